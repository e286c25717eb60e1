#include "core/backend/devices.h"

#include <dlfcn.h>

#include <charconv>
#include <filesystem>
#include <system_error>

#include "core/backend/cuda/module.h"
#include "core/error.h"
#include "core/module_paths.h"

namespace binocle {
namespace {

constexpr const char* kCudaModule = "libbinocle_cuda.so";
constexpr int32_t kMostDevices = 1024;

void TakeText(void* context, const char* text, size_t size) {
  static_cast<std::string*>(context)->append(text, size);
}

const CudaModule* given_module = nullptr;

const CudaModule* LoadCudaModule(std::string& problem) {
  for (const auto& path : ModulePaths(kCudaModule)) {
    std::error_code error;
    if (!std::filesystem::exists(path, error)) continue;
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    const void* symbol = library == nullptr ? nullptr : dlsym(library, kCudaModuleSymbol);
    if (symbol != nullptr) return static_cast<const CudaModule*>(symbol);
    const char* words = dlerror();
    problem = std::string("the CUDA module cannot be loaded: ") + (words ? words : path.c_str());
    return nullptr;
  }
  problem = "this build has no CUDA module";
  return nullptr;
}

}  // namespace

const CudaModule* FindCudaModule(std::string& problem) {
  if (given_module != nullptr) return given_module;
  return LoadCudaModule(problem);
}

void UseCudaModule(const CudaModule& module) { given_module = &module; }

CudaDevices FindCudaDevices() {
  CudaDevices found;
  const CudaModule* module = FindCudaModule(found.why_none);
  if (module == nullptr) return found;
  std::string problem;
  const int32_t count = module->device_count(&TakeText, &problem);
  if (count <= 0) {
    found.why_none = "no CUDA device" + (problem.empty() ? "" : ": " + problem);
    return found;
  }
  for (int32_t i = 0; i < count; ++i) {
    CudaDevice device;
    CudaModule::Device numbers{};
    if (!module->device(i, &numbers, &TakeText, &TakeText, &device.name)) {
      found.devices.clear();
      found.why_none = "CUDA device " + std::to_string(i) + ": " + device.name;
      return found;
    }
    device.major = numbers.major;
    device.minor = numbers.minor;
    device.multiprocessors = numbers.multiprocessors;
    device.memory_bytes = numbers.memory_bytes;
    device.supported = module->supports(numbers.major, numbers.minor);
    found.devices.push_back(device);
  }
  return found;
}

const CudaDevice& SupportedDevice(const CudaDevices& found, int32_t index) {
  if (index >= std::ssize(found.devices)) {
    ThrowInvalid("cuda:", index, " is not there, expected one of the ", found.devices.size(),
                 " there are, from cuda:0 on");
  }
  const CudaDevice& device = found.devices[static_cast<size_t>(index)];
  if (!device.supported) {
    Throw(Code::kUnimplemented, "cuda:", index, " is ", device.name, " of compute capability ",
          device.major, ".", device.minor, ", expected 8.0 or above");
  }
  return device;
}

DeviceName ParseDevice(const std::string& text) {
  if (text == "cpu") return {};
  if (text == "cuda") return {.cuda = true};
  constexpr std::string_view kPrefix = "cuda:";
  DeviceName name{.cuda = true};
  if (text.starts_with(kPrefix)) {
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + kPrefix.size(), end, name.index);
    if (error == std::errc() && rest == end && name.index >= 0 && name.index < kMostDevices)
      return name;
  }
  ThrowOption("device", "is ", Printable(text, 40), ", expected cpu, cuda or cuda:N");
}

}  // namespace binocle
