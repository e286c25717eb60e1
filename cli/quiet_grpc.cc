#include "cli/quiet_grpc.h"

#include <cstdlib>

namespace binocle::cli {

void QuietGrpc() { setenv("GRPC_VERBOSITY", "NONE", /*replace=*/0); }

}  // namespace binocle::cli
