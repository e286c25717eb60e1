#include "cli/interrupt.h"

#include <csignal>

namespace binocle::cli {
namespace {

// The one thing a signal handler may touch.
volatile std::sig_atomic_t g_interrupted = 0;

void OnInterrupt(int) { g_interrupted = 1; }

void Install(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);  // no SA_RESTART: a read at the prompt returns
}

}  // namespace

InterruptFlag::InterruptFlag() {
  Clear();
  Install(OnInterrupt);
}
InterruptFlag::~InterruptFlag() { Install(SIG_DFL); }
bool InterruptFlag::raised() { return g_interrupted != 0; }
void InterruptFlag::Clear() { g_interrupted = 0; }

}  // namespace binocle::cli
