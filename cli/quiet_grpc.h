// What gRPC's library writes on stderr.
#pragma once

namespace binocle::cli {

// stderr is for our lines; the library writes its own, of several lines, about a port that is taken. Its variable GRPC_VERBOSITY still turns
// them on. Called before any other use of the library.
void QuietGrpc();

}  // namespace binocle::cli
