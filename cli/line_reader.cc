#include "cli/line_reader.h"

#include <histedit.h>
#include <langinfo.h>
#include <termios.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <iostream>
#include <string_view>

#include "cli/interrupt.h"

namespace binocle::cli {
namespace {

// The editor drops characters that the locale does not have. Prompts are UTF-8 whatever the environment says.
void UseUtf8() {
  std::setlocale(LC_CTYPE, "");
  if (std::string_view(nl_langinfo(CODESET)) != "UTF-8") std::setlocale(LC_CTYPE, "C.UTF-8");
}

}  // namespace

struct LineEditor::Terminal {
  EditLine* edit = nullptr;
  History* history = nullptr;
  std::string prompt;

  static char* Prompt(EditLine* edit) {
    void* self = nullptr;
    el_get(edit, EL_CLIENTDATA, &self);
    return static_cast<Terminal*>(self)->prompt.data();
  }

  // Raw before the prompt shows: keys pressed in the moment between would be the terminal's. And Ctrl-C is a key while a line is
  // edited: a signal that came just before the editor waits for a key would not end the waiting.
  void BeginLine() const {
    el_set(edit, EL_PREP_TERM, 1);
    termios mode{};
    if (tcgetattr(STDIN_FILENO, &mode) != 0) return;
    mode.c_cc[VINTR] = _POSIX_VDISABLE;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &mode);
  }
};

LineEditor::LineEditor() {
  if (isatty(STDIN_FILENO) != 1) return;
  UseUtf8();
  terminal_ = new Terminal;
  terminal_->edit = el_init("binocle", stdin, stdout, stderr);
  terminal_->history = history_init();
  HistEvent event;
  history(terminal_->history, &event, H_SETSIZE, 1000);
  el_set(terminal_->edit, EL_CLIENTDATA, terminal_);
  el_set(terminal_->edit, EL_PROMPT, &Terminal::Prompt);
  el_set(terminal_->edit, EL_EDITOR, "emacs");
  el_set(terminal_->edit, EL_HIST, history, terminal_->history);
  el_set(terminal_->edit, EL_BIND, "-s", "^C", "^U^J", nullptr);  // drops the line and takes it
}

LineEditor::~LineEditor() {
  if (terminal_ == nullptr) return;
  el_set(terminal_->edit, EL_BIND, "-r", "^C", nullptr);  // el_end would leave its keys behind
  history_end(terminal_->history);
  el_end(terminal_->edit);
  delete terminal_;
}

std::optional<std::string> LineEditor::Read(const std::string& prompt) {
  if (terminal_ == nullptr) {
    std::string line;
    if (!std::getline(std::cin, line)) return std::nullopt;
    return line;
  }
  terminal_->prompt = prompt;
  InterruptFlag::Clear();
  terminal_->BeginLine();
  int length = 0;
  const char* line = el_gets(terminal_->edit, &length);
  if (line == nullptr || length <= 0) {
    if (!InterruptFlag::raised()) return std::nullopt;
    InterruptFlag::Clear();
    el_reset(terminal_->edit);
    std::fputc('\n', stdout);
    return "";
  }
  HistEvent event;
  if (length > 1) history(terminal_->history, &event, H_ENTER, line);
  std::string text(line, static_cast<size_t>(length));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

}  // namespace binocle::cli
