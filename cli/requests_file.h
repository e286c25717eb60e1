// --requests FILE.jsonl: one request a line.
//
//   {"id": 7, "images": ["a.png"], "prompt": "What is it?"}
//
// Keys: id (any JSON value, default the line number), prompt or messages ([{"role", "text", "images"}]), images or image, not both, system,
// prompt_format, and the generation options of the command line with underscores (max_new_tokens, temperature, …), grounding, and the interventions
// as texts ("var": "p=0.6,rho=0.5"; null turns one off). `answer` and
// `kind`, which data sets carry, are allowed and not used. Anything else is refused.
// A relative picture path begins in the file's folder or, if nothing is there, in the working directory; on standard input in the
// working directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <istream>
#include <optional>
#include <string>

#include "binocle/request.h"
#include "cli/json_output.h"

namespace binocle::cli {

struct RequestLine {
  Json id;
  std::string text;  // the line
  int64_t number = 0;
};

// What lines leave open.
struct RequestDefaults {
  Request request;
  ImageInput picture;  // but for its path
  std::filesystem::path folder;
};

// What errors call the file, and where its relative picture paths begin.
std::string RequestsName(const std::string& path);
std::filesystem::path RequestsFolder(const std::string& path);

// The lines that are not blank, one at a time: a line is read when it is asked for, so a pipe may wait for an answer before it sends
// the next one, and input may be endless.
class RequestsFile {
 public:
  // "-": standard input. A regular file is read through once, to count, and begun anew. Throws NOT_FOUND and the like, and for a
  // regular file what Next() would throw for any of its lines.
  explicit RequestsFile(const std::string& path);

  // Empty at the end. Throws INVALID_ARGUMENT when there was none at all; a line longer than 16 MiB is RESOURCE_EXHAUSTED.
  std::optional<RequestLine> Next();

  // How many requests there are; empty where they were not counted.
  std::optional<int64_t> total() const { return total_; }

 private:
  bool ReadLine(std::string& text);

  std::string name_;
  std::ifstream file_;
  std::istream& in_;
  std::optional<int64_t> total_;
  int64_t number_ = 0;  // of the line that was read last
  bool empty_ = true;   // no request yet
};

// The request a line asks for, on top of `defaults`. `id` becomes the line's own id, if it has one, before anything else is looked at,
// so that an error can carry it. Throws INVALID_ARGUMENT naming the line and the key.
Request ParseRequestLine(const RequestLine& line, const RequestDefaults& defaults, Json& id);

}  // namespace binocle::cli
