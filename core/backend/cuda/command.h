// Commands: what the CUDA module does for others, by name, in order on a stream: a kernel launch, a product, a copy. Host code; no header of CUDA's.
//
// A header of launch functions declares its commands, beside the struct that each takes:
//     inline constexpr CudaCommand<EmbeddingWork> kEmbeddingRows{"embedding rows"};
// the .cu file that has the kernel says what they do:
//     BINOCLE_COMMAND(kEmbeddingRows, EmbeddingRows(work, c.stream));
// and ops add them to a queue (core/backend/cuda_backend.h). The module is another library, or in tests the emulator; the struct goes over as bytes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <type_traits>
#include <typeindex>

#include "core/backend/cuda/stream.h"

namespace binocle::cuda {

template <typename Work>
struct CudaCommand {
  static_assert(std::is_trivially_copyable_v<Work>);
  using Argument = Work;
  const char* name;
};

// A work, and where it goes.
template <typename Work, typename Out>
struct Into {
  Work work;
  Out* out;
};

class Products;  // what products keep from call to call

class RanksOfDevices;  // the devices of other processes; null where there are none

// What commands of other folders keep with a device, made when it is first asked for.
class KeptWithDevice {
 public:
  template <typename T>
  T& Of() {
    std::shared_ptr<void>& kept = kept_[std::type_index(typeid(T))];
    if (!kept) kept = std::make_shared<T>();
    return *static_cast<T*>(kept.get());
  }
  void Clear() { kept_.clear(); }

 private:
  std::map<std::type_index, std::shared_ptr<void>> kept_;
};

// Where commands run.
struct CommandContext {
  Stream stream;
  Products* products;
  KeptWithDevice* kept;
  RanksOfDevices* ranks = nullptr;
};

using CommandFunction = void (*)(const void* work, CommandContext& context);

// The command of that name, null where the module has none.
CommandFunction FindCommand(const char* name);

// Adds one before main().
class CommandEntry {
 public:
  CommandEntry(const char* name, CommandFunction function);

 private:
  friend CommandFunction FindCommand(const char* name);
  const char* name_;
  CommandFunction function_;
  CommandEntry* next_;
};

}  // namespace binocle::cuda

// In a .cu file, in namespace binocle::cuda: what `command` does with `work` in the context `c`.
#define BINOCLE_COMMAND(command, ...)                                           \
  static ::binocle::cuda::CommandEntry entry_of_##command(                      \
      (command).name, [](const void* raw, ::binocle::cuda::CommandContext& c) { \
        using Work = std::remove_cvref_t<decltype(command)>::Argument;          \
        [[maybe_unused]] const Work& work = *static_cast<const Work*>(raw);     \
        (void)(c);                                                              \
        __VA_ARGS__;                                                            \
      })
