#include "service/engine/checkpoint_number.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace binocle {
namespace {

constexpr int64_t kOfATensor = 64;
constexpr std::streamsize kOfAFile = 1 << 20;

// FNV-1a. What differs by accident is found; nobody is kept from making two that do not.
class Fnv {
 public:
  void Add(std::string_view bytes) {
    for (const char byte : bytes) Mix(static_cast<unsigned char>(byte));
    Mix(0xFF);  // "ab", "c" is not "a", "bc"
  }
  void Add(int64_t number) {
    Add(std::string_view(reinterpret_cast<const char*>(&number), sizeof number));
  }
  int64_t number() const { return static_cast<int64_t>(state_); }

 private:
  void Mix(unsigned char byte) { state_ = (state_ ^ byte) * 0x100000001B3ULL; }

  uint64_t state_ = 0xCBF29CE484222325ULL;
};

std::string BeginOf(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(kOfAFile, '\0');
  file.read(bytes.data(), kOfAFile);
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

}  // namespace

int64_t CheckpointNumber(const CheckedModel& model) {
  Fnv fnv;
  const std::filesystem::path& path = model.directory();
  fnv.Add(BeginOf(std::filesystem::is_directory(path) ? path / "config.json" : path));
  for (const auto& [name, view] : model.tensors().tensors()) {
    fnv.Add(name);
    fnv.Add(static_cast<int64_t>(view.dtype()));
    fnv.Add(view.shape().ToString());
    const std::string_view bytes(static_cast<const char*>(view.data()),
                                 static_cast<size_t>(view.bytes()));
    const size_t count = std::min<size_t>(kOfATensor, bytes.size());
    fnv.Add(bytes.substr(0, count));
    fnv.Add(bytes.substr(bytes.size() - count));
  }
  return fnv.number();
}

}  // namespace binocle
