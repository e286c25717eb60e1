// The commands of `binocle client`. Each adds its options to it and runs as their callback.
#pragma once

namespace CLI {
class App;
}

namespace binocle::cli {

void AddClientAsk(CLI::App& client);
void AddClientLoad(CLI::App& client);

}  // namespace binocle::cli
