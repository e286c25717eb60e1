// AddressSanitizer stops at a larger allocation. Inputs have kilobytes, so whoever asks for more has believed a number in one. Included by the
// one source of a target.
#pragma once

extern "C" __attribute__((used, visibility("default"))) const char* __asan_default_options() {
  return "max_allocation_size_mb=32";
}
