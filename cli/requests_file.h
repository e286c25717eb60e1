// --requests FILE.jsonl: one request a line.
//
//   {"id": 7, "images": ["a.png"], "prompt": "What is it?"}
//
// Keys: id (any JSON value, default the line number), prompt or messages ([{"role", "text", "images"}]), images or image, system,
// prompt_format, and the generation options of the command line with underscores (max_new_tokens, temperature, …), grounding, and the interventions
// as texts ("var": "p=0.6,rho=0.5"; null turns one off). `answer` and
// `kind`, which data sets carry, are allowed and not used. Anything else is refused.
// A relative picture path begins in the file's folder or, if nothing is there, in the working directory; on standard input in the
// working directory.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

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

// The lines of the file ("-": standard input) that are not blank. Throws NOT_FOUND and the like, INVALID_ARGUMENT when there are none;
// a line longer than 16 MiB is RESOURCE_EXHAUSTED.
std::vector<RequestLine> ReadRequestLines(const std::string& path);

// The request a line asks for, on top of `defaults`. `id` becomes the line's own id, if it has one, before anything else is looked at,
// so that an error can carry it. Throws INVALID_ARGUMENT naming the line and the key.
Request ParseRequestLine(const RequestLine& line, const RequestDefaults& defaults, Json& id);

}  // namespace binocle::cli
