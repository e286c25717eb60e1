// Lines that a person types, with editing and history on a terminal; plain lines otherwise.
#pragma once

#include <optional>
#include <string>

namespace binocle::cli {

class LineEditor {
 public:
  LineEditor();
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // The next line without its end; empty optional at the end of input. Ctrl-C gives an empty line.
  std::optional<std::string> Read(const std::string& prompt);

 private:
  struct Terminal;
  Terminal* terminal_ = nullptr;  // absent when input is no terminal
};

}  // namespace binocle::cli
