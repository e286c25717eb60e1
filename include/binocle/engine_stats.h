// What an engine holds and has done.
#pragma once

#include <cstdint>

namespace binocle {

struct EngineStats {
  // Now.
  int64_t queued =
      0;  // requests that are not started, those whose pictures are being read included
  int64_t requests = 0;      // on the engine: started, or ready to start
  int64_t running = 0;       // answers that hold pages
  int64_t pages = 0;         // of keys and values, 64 tokens each
  int64_t free_pages = 0;    // held by nobody
  int64_t prefix_pages = 0;  // held by the prefix index, some of them by answers too
  // Since the engine was loaded.
  int64_t steps = 0;
  int64_t prompt_rows = 0;    // computed for prompts
  int64_t answer_tokens = 0;  // chosen
  int64_t prefix_tokens = 0;  // prompt tokens that the prefix index had
  int64_t preemptions = 0;    // answers sent back to wait, to be computed again
};

}  // namespace binocle
