// The one exception type of Binocle.
//
// Everything that can go wrong because of input (files, images, requests, options) ends in a binocle::Error: a canonical code
// and one line that names the object, what was found, what was expected and where that expectation came from.
//
//   try { model = binocle::Model::Load("models/binocle-tiny", {}); }
//   catch (const binocle::Error& e) { std::cerr << e.what() << '\n'; }   // "NOT_FOUND: models/binocle-tiny: no such directory"
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "binocle/export.h"

namespace binocle {

// The canonical codes of gRPC, with the same numbers.
enum class Code {
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// "INVALID_ARGUMENT" and so on.
BINOCLE_EXPORT std::string_view CodeName(Code code);

class BINOCLE_EXPORT Error : public std::exception {
 public:
  // `option`: see option(); the message begins with it.
  Error(Code code, std::string message, std::string option = {});

  Code code() const { return code_; }
  // The message without the code. One line: line breaks and other control characters are escaped.
  const std::string& message() const { return message_; }
  // The option at fault, as GenerationOptions, EngineOptions or Request spell it ("max_new_tokens"), and as message() begins;
  // empty when something else is wrong. A program whose users know the option by another name puts that in its place.
  const std::string& option() const { return option_; }
  // "CODE: message".
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  Code code_;
  std::string message_;
  std::string option_;
  std::string what_;
};

}  // namespace binocle
