#include "cli/interrupt.h"

namespace binocle::cli {
namespace {

// What a signal handler may touch.
volatile std::sig_atomic_t g_interrupted = 0;

volatile std::sig_atomic_t g_ends_when_raised_again = 0;

void OnInterrupt(int signal) {
  if (g_interrupted != 0 && g_ends_when_raised_again != 0) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  g_interrupted = 1;
}

void Install(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);  // no SA_RESTART: a read at the prompt returns
}

bool IsIgnored(int signal) {
  struct sigaction action {};
  sigaction(signal, nullptr, &action);
  return action.sa_handler == SIG_IGN;
}

}  // namespace

InterruptFlag::InterruptFlag(Again again) : InterruptFlag({SIGINT}) {
  g_ends_when_raised_again = again == Again::kEnds ? 1 : 0;
}

InterruptFlag::InterruptFlag(std::initializer_list<int> signals) {
  Clear();
  for (const int signal : signals) {
    if (signal != SIGINT && IsIgnored(signal)) continue;
    Install(signal, OnInterrupt);
    taken_.push_back(signal);
  }
}

InterruptFlag::~InterruptFlag() {
  g_ends_when_raised_again = 0;
  for (const int signal : taken_) Install(signal, SIG_DFL);
}

bool InterruptFlag::raised() { return g_interrupted != 0; }
void InterruptFlag::Clear() { g_interrupted = 0; }

}  // namespace binocle::cli
