#include "core/ops/rope.h"

#include <cmath>

#include "core/ops/device_rows.h"
#include "core/ops/elementwise.h"
#include "core/ops/rope_cpu.h"
#include "core/ops/rows_cuda.h"

namespace binocle {

namespace {

constexpr float kTwoPi = 6.283185307179586F;

void Scale(std::monostate, std::vector<float>&) {}

void Scale(const LinearRopeScaling& scaling, std::vector<float>& frequencies) {
  for (float& f : frequencies) f /= static_cast<float>(scaling.factor);
}

void Scale(const FactorRopeScaling& scaling, std::vector<float>& frequencies) {
  BINOCLE_CHECK(scaling.factors.size() == frequencies.size(), scaling.factors.size());
  for (size_t i = 0; i < frequencies.size(); ++i) frequencies[i] /= scaling.factors[i];
}

void Scale(const Llama3RopeScaling& scaling, std::vector<float>& frequencies) {
  const auto factor = static_cast<float>(scaling.factor);
  const auto positions = static_cast<float>(scaling.original_positions);
  const auto low = static_cast<float>(scaling.low_freq_factor);
  const auto high = static_cast<float>(scaling.high_freq_factor);
  for (float& f : frequencies) {
    const float wavelength = kTwoPi / f;
    if (wavelength < positions / high) continue;
    if (wavelength > positions / low) {
      f /= factor;
      continue;
    }
    const float fast = (positions / wavelength - low) / (high - low);
    f = (1 - fast) * (f / factor) + fast * f;
  }
}

}  // namespace

std::vector<float> RopeFrequencies(int64_t head_dim, const RopeConfig& config) {
  BINOCLE_CHECK(head_dim > 0 && head_dim % 2 == 0, head_dim);
  std::vector<float> frequencies;
  for (int64_t i = 0; i < head_dim / 2; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
    frequencies.push_back(1.0F / std::pow(static_cast<float>(config.theta), exponent));
  }
  std::visit([&](const auto& scaling) { Scale(scaling, frequencies); }, config.scaling);
  return frequencies;
}

RopeTable RopeTable::Make(int64_t head_dim, const RopeConfig& config, int64_t max_positions) {
  const std::vector<float> frequencies = RopeFrequencies(head_dim, config);
  const int64_t half = head_dim / 2;
  RopeTable table{.cos = Tensor::F32({max_positions, half}),
                  .sin = Tensor::F32({max_positions, half}),
                  .head_dim = head_dim};
  for (int64_t i = 0; i < half; ++i) {
    for (int64_t p = 0; p < max_positions; ++p) {
      const float angle = static_cast<float>(p) * frequencies[static_cast<size_t>(i)];
      table.cos.row(p)[i] = std::cos(angle);
      table.sin.row(p)[i] = std::sin(angle);
    }
  }
  return table;
}

RopeTable RopeTable::On(Exec& ex) && {
  return {
      .cos = ToPlace(ex, std::move(cos)), .sin = ToPlace(ex, std::move(sin)), .head_dim = head_dim};
}

RopeTable RopeTable::ByFrequency() const {
  const int64_t positions = cos.dim(0);
  const int64_t half = cos.dim(1);
  RopeTable table{.cos = Tensor::F32({half, positions}),
                  .sin = Tensor::F32({half, positions}),
                  .head_dim = head_dim};
  for (int64_t p = 0; p < positions; ++p) {
    for (int64_t i = 0; i < half; ++i) {
      table.cos.row(i)[p] = cos.row(p)[i];
      table.sin.row(i)[p] = sin.row(p)[i];
    }
  }
  return table;
}

void Rope(Exec& ex, const RopeTable& table, std::span<const int32_t> positions,
          const TensorView& x) {
  const OpScope clock(ex.op_clock(), OpKind::kRope);
  const int64_t half = table.head_dim / 2;
  const int64_t heads = x.dim(1) / table.head_dim;
  BINOCLE_CHECK(
      x.dim(1) % table.head_dim == 0 && x.dim(0) == static_cast<int64_t>(positions.size()),
      x.shape().ToString());
  if (x.on_cuda()) {
    for (const int32_t position : positions)
      BINOCLE_CHECK(position >= 0 && position < table.cos.dim(0), "position ", position, " of ",
                    table.cos.dim(0));
    const cuda::RopeWork work{.cos = table.cos.f32(),
                              .sin = table.sin.f32(),
                              .positions = ex.cuda().Upload(positions),
                              .rows = Int32(x.dim(0)),
                              .heads = Int32(heads),
                              .head_dim = Int32(table.head_dim),
                              .x = x.f32(),
                              .x_stride = x.stride(0),
                              .out_stride = x.stride(0)};
    return ex.cuda().Run(cuda::kRopeF32, {work, x.f32()});
  }
  ex.ParallelRanges(x.dim(0), 16, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int32_t position = positions[static_cast<size_t>(t)];
      BINOCLE_CHECK(position >= 0 && position < table.cos.dim(0), "position ", position, " of ",
                    table.cos.dim(0));
      const float* cos = table.cos.row(position);
      const float* sin = table.sin.row(position);
      for (int64_t h = 0; h < heads; ++h) {
        float* low = x.row(t) + h * table.head_dim;
        float* high = low + half;
        RotateRowsCpu({.low = low,
                       .high = high,
                       .cos = cos,
                       .sin = sin,
                       .low_out = low,
                       .high_out = high,
                       .count = half});
      }
    }
  });
}

}  // namespace binocle
