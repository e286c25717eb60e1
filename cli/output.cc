#include "cli/output.h"

#include <cstdio>
#include <iostream>

#include "binocle/error.h"

namespace binocle::cli {

void FlushOutput() {
  std::cout.flush();
  const bool printed = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (!printed || !std::cout)
    throw Error(Code::kDataLoss, "standard output: not everything could be written");
}

}  // namespace binocle::cli
