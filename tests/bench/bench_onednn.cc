// What oneDNN takes for the matrix products of a prefill of TinyLlama-1.1B's shape, and for nothing else: no attention, no rounding of rows. The mark for
// `binocle bench model`'s prefill. Weights are packed before, and the same ones are read again and again.
//
//   OMP_NUM_THREADS=2 bench_onednn [ROWS [ROUNDS]]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dnnl.hpp>
#include <unordered_map>
#include <vector>

namespace {

using dnnl::memory;
using Clock = std::chrono::steady_clock;

struct Product {
  int64_t k, n;
  int times;  // in the model
};
constexpr int kLayers = 22;
constexpr Product kProducts[] = {{2048, 2048, 2 * kLayers},  // q, o
                                 {2048, 512, kLayers},       // k and v
                                 {2048, 2 * 5632, kLayers},  // gate and up
                                 {5632, 2048, kLayers}};     // down

struct Kind {
  const char* name;
  memory::data_type x, w, y;
};
constexpr Kind kKinds[] = {
    {"bf16", memory::data_type::bf16, memory::data_type::bf16, memory::data_type::f32},
    {"int8", memory::data_type::u8, memory::data_type::s8, memory::data_type::s32}};

memory Filled(const memory::desc& desc, const dnnl::engine& engine) {
  memory filled(desc, engine);
  std::memset(filled.get_data_handle(), 1, filled.get_desc().get_size());
  return filled;
}

// Median seconds of one product.
double Measure(dnnl::engine& engine, const Kind& kind, const Product& p, int64_t rows, int rounds) {
  const auto plain = memory::format_tag::ab;
  const memory::desc x({rows, p.k}, kind.x, plain), y({rows, p.n}, kind.y, plain);
  const memory::desc w({p.k, p.n}, kind.w, memory::format_tag::any);
  const dnnl::matmul::primitive_desc chosen(dnnl::matmul::desc(x, w, y), engine);
  dnnl::matmul product(chosen);
  dnnl::stream stream(engine);
  const std::unordered_map<int, memory> arguments = {
      {DNNL_ARG_SRC, Filled(x, engine)},
      {DNNL_ARG_WEIGHTS, Filled(chosen.weights_desc(), engine)},
      {DNNL_ARG_DST, Filled(y, engine)}};
  std::vector<double> seconds;
  for (int i = 0; i <= rounds; ++i) {
    const auto start = Clock::now();
    product.execute(stream, arguments);
    stream.wait();
    if (i > 0) seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + rounds / 2, seconds.end());
  return seconds[static_cast<size_t>(rounds / 2)];
}

}  // namespace

int main(int count, char** values) {
  const int64_t rows = count > 1 ? std::atoll(values[1]) : 512;
  const int rounds = count > 2 ? std::atoi(values[2]) : 15;
  dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  for (const Kind& kind : kKinds) {
    double seconds = 0, operations = 0;
    for (const Product& p : kProducts) {
      seconds += p.times * Measure(engine, kind, p, rows, rounds);
      operations += 2.0 * p.times * static_cast<double>(rows * p.k * p.n);
    }
    std::printf("%s: products of %lld rows %.1f ms, %.2f Top/s\n", kind.name,
                static_cast<long long>(rows), seconds * 1e3, operations / seconds / 1e12);
  }
}
