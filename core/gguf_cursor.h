// A place in the bytes of a GGUF file, all little-endian. Nothing is read before it is known to be there.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "core/error.h"

namespace binocle {

class GgufCursor {
 public:
  // `where` names the file in messages.
  GgufCursor(std::string_view bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {}

  const std::string& where() const { return where_; }
  uint64_t position() const { return position_; }
  const char* here() const { return bytes_.data() + position_; }

  // What is read from here on, for messages: "tensor 3".
  void About(std::string what) { about_ = std::move(what); }

  // These throw INVALID_ARGUMENT when the file ends before.
  std::string_view Bytes(uint64_t count) {
    const uint64_t left = bytes_.size() - position_;
    if (count > left) {
      Fail(internal::Concat("needs ", count, " bytes at byte ", position_, ", the file has ", left,
                            " there"));
    }
    const std::string_view bytes = bytes_.substr(position_, count);
    position_ += count;
    return bytes;
  }
  template <typename T>
  T Number() {
    T number;
    std::memcpy(&number, Bytes(sizeof(T)).data(), sizeof(T));
    return number;
  }
  // A length of 8 bytes and as many characters, at most `limit`.
  std::string_view String(uint64_t limit) {
    const auto length = Number<uint64_t>();
    if (length > limit)
      Fail(internal::Concat("has a string of ", length, " bytes, expected at most ", limit));
    return Bytes(length);
  }

  [[noreturn]] void Fail(const std::string& problem) const {
    ThrowInvalid(where_, ": ", about_, " ", problem);
  }

 private:
  std::string_view bytes_;
  std::string where_;
  std::string about_;
  uint64_t position_ = 0;
};

}  // namespace binocle
