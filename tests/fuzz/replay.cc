// The main function of a fuzz target in builds without libFuzzer. Runs the target over every seed, the seed cut at each
// sixteenth, and the seed with single bytes changed at places that a fixed generator chooses: the same inputs everywhere. Then, with
// --seconds, over seeds that are changed, cut, doubled and spliced at random for so long.
//
//   fuzz_NAME [--seconds N] FILE|DIRECTORY…      a file that libFuzzer or --seconds left behind is run like a seed
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<uint8_t>;

constexpr size_t kCuts = 16;
constexpr int kFlips = 32;  // with five targets a second and a half, under AddressSanitizer four
constexpr size_t kLongest = 16384;

std::vector<fs::path> FilesOf(const fs::path& path) {
  std::vector<fs::path> files;
  if (!fs::is_directory(path)) return {path};
  for (const auto& entry : fs::directory_iterator(path)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

Bytes Read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// What is being run, for LeaveBehind.
const Bytes* running = nullptr;

void LeaveBehind() {
  if (running == nullptr) return;
  std::FILE* file = std::fopen("crash-input", "wb");
  if (file == nullptr) return;
  std::fwrite(running->data(), 1, running->size(), file);
  std::fclose(file);
  std::fputs("the input is in crash-input\n", stderr);
}

void LeaveBehindAndDie(int signal) {
  LeaveBehind();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

// A copy of exactly this size, so that AddressSanitizer sees the first byte read past its end.
void Run(Bytes input) {
  input.shrink_to_fit();
  running = &input;
  LLVMFuzzerTestOneInput(input.data(), input.size());
  running = nullptr;
}

void RunVariants(const Bytes& seed) {
  Run(seed);
  for (size_t i = 0; i < kCuts; ++i)
    Run({seed.begin(), seed.begin() + static_cast<ptrdiff_t>(seed.size() * i / kCuts)});
  std::minstd_rand random(1);
  for (int i = 0; i < kFlips && !seed.empty(); ++i) {
    Bytes flipped = seed;
    const size_t at = random() % seed.size();
    flipped[at] ^= static_cast<uint8_t>(1 + random() % 255);
    Run(std::move(flipped));
  }
}

class Mutator {
 public:
  Mutator(const std::vector<Bytes>& seeds, uint64_t seed) : seeds_(seeds), random_(seed) {}

  Bytes Next() {
    Bytes input = Any();
    for (uint64_t changes = 1 + Below(8); changes > 0; --changes) Change(input);
    if (input.size() > kLongest) input.resize(kLongest);
    return input;
  }

 private:
  uint64_t Below(uint64_t n) { return random_() % n; }
  const Bytes& Any() { return seeds_[Below(seeds_.size())]; }
  // A stretch of an input, from small to all of it.
  std::pair<ptrdiff_t, ptrdiff_t> Part(const Bytes& of) {
    const uint64_t begin = Below(of.size() + 1);
    const uint64_t most = std::min<uint64_t>(of.size() - begin, uint64_t{1} << Below(13));
    return {static_cast<ptrdiff_t>(begin), static_cast<ptrdiff_t>(begin + Below(most + 1))};
  }

  void Change(Bytes& input) {
    static constexpr uint8_t kTelling[] = {0,   1,   0x7F, 0x80, 0xFF, '"', '\\',
                                           '{', '}', '[',  ']',  '-',  '0', 'e'};
    const auto [begin, end] = Part(input);
    const auto first = input.begin() + begin, last = input.begin() + end;
    switch (Below(7)) {
      case 0:
        for (auto at = first; at != last; ++at) *at ^= static_cast<uint8_t>(Below(256));
        break;
      case 1: input.erase(first, last); break;
      case 2: {
        const Bytes copy(first, last);
        input.insert(input.begin() + static_cast<ptrdiff_t>(Below(input.size() + 1)), copy.begin(),
                     copy.end());
        break;
      }
      case 3: {
        const Bytes& other = Any();
        const auto [from, to] = Part(other);
        const Bytes piece(other.begin() + from, other.begin() + to);
        input.erase(first, last);
        input.insert(input.begin() + begin, piece.begin(), piece.end());
        break;
      }
      case 4:
        if (begin < end) *first = kTelling[Below(std::size(kTelling))];
        break;
      case 5: input.insert(first, kTelling[Below(std::size(kTelling))]); break;
      default:
        if (begin < end) *first = static_cast<uint8_t>(*first + Below(9) - 4);
    }
  }

  const std::vector<Bytes>& seeds_;
  std::mt19937_64 random_;
};

void RunAtRandom(const std::vector<Bytes>& seeds, std::chrono::seconds length) {
  const uint64_t seed = std::random_device()();
  Mutator mutator(seeds, seed);
  const auto end = std::chrono::steady_clock::now() + length;
  uint64_t inputs = 0;
  for (; std::chrono::steady_clock::now() < end; ++inputs) Run(mutator.Next());
  std::fprintf(stderr, "%llu inputs at random from %zu seeds\n",
               static_cast<unsigned long long>(inputs), seeds.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(LeaveBehind);
  for (const int signal : {SIGABRT, SIGILL, SIGTRAP}) std::signal(signal, LeaveBehindAndDie);
  std::chrono::seconds length{0};
  std::vector<Bytes> seeds;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
      length = std::chrono::seconds(std::atoi(argv[++i]));
      continue;
    }
    for (const fs::path& file : FilesOf(argv[i])) {
      // Before the run, so that the last line names the seed of a crash.
      std::fprintf(stderr, "%s\n", file.c_str());
      seeds.push_back(Read(file));
      RunVariants(seeds.back());
    }
  }
  if (seeds.empty()) {
    std::fprintf(stderr, "no seeds\n");
    return 1;
  }
  if (length.count() > 0) RunAtRandom(seeds, length);
  return 0;
}
