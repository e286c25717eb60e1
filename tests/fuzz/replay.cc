// The main function of a fuzz target in builds without libFuzzer. Runs the target over every seed, the seed cut at each
// sixteenth, and the seed with single bytes changed at places that a fixed generator chooses: the same inputs everywhere.
//
//   fuzz_NAME FILE|DIRECTORY…      a file that libFuzzer left behind is run like a seed
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

namespace fs = std::filesystem;

constexpr size_t kCuts = 16;
constexpr int kFlips = 32;  // with five targets a second and a half, under AddressSanitizer four

std::vector<fs::path> FilesOf(const fs::path& path) {
  std::vector<fs::path> files;
  if (!fs::is_directory(path)) return {path};
  for (const auto& entry : fs::directory_iterator(path)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<uint8_t> Read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// A copy of exactly this size, so that AddressSanitizer sees the first byte read past its end.
void Run(std::vector<uint8_t> input) {
  input.shrink_to_fit();
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

void RunVariants(const std::vector<uint8_t>& seed) {
  Run(seed);
  for (size_t i = 0; i < kCuts; ++i)
    Run({seed.begin(), seed.begin() + static_cast<ptrdiff_t>(seed.size() * i / kCuts)});
  std::minstd_rand random(1);
  for (int i = 0; i < kFlips && !seed.empty(); ++i) {
    std::vector<uint8_t> flipped = seed;
    const size_t at = random() % seed.size();
    flipped[at] ^= static_cast<uint8_t>(1 + random() % 255);
    Run(std::move(flipped));
  }
}

}  // namespace

int main(int argc, char** argv) {
  size_t seeds = 0;
  for (int i = 1; i < argc; ++i) {
    for (const fs::path& file : FilesOf(argv[i])) {
      // Before the run, so that the last line names the seed of a crash.
      std::fprintf(stderr, "%s\n", file.c_str());
      RunVariants(Read(file));
      ++seeds;
    }
  }
  if (seeds == 0) std::fprintf(stderr, "no seeds\n");
  return seeds == 0 ? 1 : 0;
}
