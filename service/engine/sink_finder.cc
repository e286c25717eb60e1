#include "service/engine/sink_finder.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "core/error.h"

namespace binocle {
namespace {

constexpr double kPublishedShare = 20.0 / 64;  // τ = 20 where √D = 64
constexpr double kGap = 1.25;                  // from D_sink to the next dimension
constexpr double kNearThreshold = 1.5;         // τ is looked for within this factor
constexpr size_t kMostDims = 16;
constexpr size_t kReportedNext = 4;

// What the largest coordinate of a thousand Gaussian tokens is expected to reach.
double Noise(int64_t width) { return std::sqrt(2 * std::log(2000.0 * static_cast<double>(width))); }

// What at least three quarters of `values` reach.
double ThreeQuartersReach(std::vector<float> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 4];
}

// What at least a quarter of `values` reach.
double AQuarterReaches(std::vector<float> values) {
  std::sort(values.rbegin(), values.rend());
  return values[(values.size() + 3) / 4 - 1];
}

double ToHundredths(double value) { return std::round(value * 100) / 100; }

}  // namespace

SinkFinder::SinkFinder(int64_t layers, int64_t width)
    : layers_(layers),
      width_(width),
      threshold_(std::max(kPublishedShare * std::sqrt(static_cast<double>(width)), Noise(width))),
      low_(std::max(Noise(width), threshold_ / kNearThreshold)) {}

void SinkFinder::BeginPicture() {
  const auto size = static_cast<size_t>(layers_ * width_);
  pictures_.push_back(
      {.largest = std::vector<float>(size), .above_half = std::vector<int64_t>(size), .peaks = {}});
}

void SinkFinder::LayerInput(int64_t layer, int64_t first_position, const TensorView& x) {
  Picture& picture = pictures_.back();
  float* largest = picture.largest.data() + layer * width_;
  int64_t* above_half = picture.above_half.data() + layer * width_;
  const auto half = static_cast<float>(threshold_ / 2);
  const auto low = static_cast<float>(low_);
  if (layer == 0) picture.tokens += x.dim(0);
  for (int64_t t = 0; t < x.dim(0); ++t) {
    const float* row = x.row(t);
    double squares = 0;
    for (int64_t d = 0; d < width_; ++d) squares += static_cast<double>(row[d]) * row[d];
    if (!(squares > 0)) continue;
    const auto inverse = static_cast<float>(std::sqrt(static_cast<double>(width_) / squares));
    for (int64_t d = 0; d < width_; ++d) {
      const float size = std::abs(row[d]) * inverse;
      largest[d] = std::max(largest[d], size);
      above_half[d] += size > half ? 1 : 0;
      if (size >= low) picture.peaks.push_back({layer, first_position + t, d, size});
    }
  }
}

double SinkFinder::Strength(int64_t dim) const {
  std::vector<float> of_pictures;
  for (const Picture& picture : pictures_) {
    std::vector<float> of_layers;
    for (int64_t l = 0; l < layers_; ++l)
      of_layers.push_back(picture.largest[static_cast<size_t>(l * width_ + dim)]);
    of_pictures.push_back(static_cast<float>(AQuarterReaches(std::move(of_layers))));
  }
  return ThreeQuartersReach(std::move(of_pictures));
}

// Above the threshold in a quarter of the layers, for most pictures.
bool SinkFinder::FirstTokenIsMassive(int64_t dim) const {
  int64_t pictures = 0;
  for (const Picture& picture : pictures_) {
    const auto layers = std::count_if(
        picture.peaks.begin(), picture.peaks.end(),
        [&](const Peak& p) { return p.dim == dim && p.position == 0 && p.size >= threshold_; });
    pictures += 4 * layers >= layers_ ? 1 : 0;
  }
  return 2 * pictures > std::ssize(pictures_);
}

SinkDimension SinkFinder::Describe(int64_t dim) const {
  SinkDimension out{.dim = dim, .strength = Strength(dim)};
  out.first_token = FirstTokenIsMassive(dim);
  double shares = 0;
  int64_t counted = 0;
  for (int64_t l = 0; l < layers_; ++l) {
    const auto at = static_cast<size_t>(l * width_ + dim);
    std::vector<float> largest;
    for (const Picture& picture : pictures_) {
      largest.push_back(picture.largest[at]);
      if (picture.largest[at] < threshold_) continue;
      shares += static_cast<double>(picture.above_half[at]) / static_cast<double>(picture.tokens);
      ++counted;
    }
    if (ThreeQuartersReach(std::move(largest)) < threshold_) continue;
    if (out.last_layer < 0) out.first_layer = l;
    out.last_layer = l;
  }
  out.tokens = counted > 0 ? shares / static_cast<double>(counted) : 0;
  return out;
}

// In the middle of the widest gap of φ near the threshold, so that τ parts the same tokens when they come a little otherwise.
double SinkFinder::Tau(const SinkCalibration& found) const {
  double weakest = threshold_ * kNearThreshold;
  for (const SinkDimension& s : found.strongest) {
    if (std::binary_search(found.dims.begin(), found.dims.end(), s.dim))
      weakest = std::min(weakest, s.strength);
  }
  std::vector<double> sizes = {low_, weakest};
  for (const Picture& picture : pictures_) {
    std::map<std::pair<int64_t, int64_t>, float> phi;  // of layer, position
    for (const Peak& p : picture.peaks) {
      if (!std::binary_search(found.dims.begin(), found.dims.end(), p.dim)) continue;
      float& largest = phi[{p.layer, p.position}];
      largest = std::max(largest, p.size);
    }
    for (const auto& [token, size] : phi) {
      if (size < weakest) sizes.push_back(size);
    }
  }
  std::sort(sizes.begin(), sizes.end());
  size_t widest = 0;
  for (size_t i = 0; i + 1 < sizes.size(); ++i) {
    if (sizes[i + 1] / sizes[i] > sizes[widest + 1] / sizes[widest]) widest = i;
  }
  return std::sqrt(sizes[widest] * sizes[widest + 1]);
}

SinkCalibration SinkFinder::Find() const {
  BINOCLE_CHECK(!pictures_.empty(), "no picture");
  SinkCalibration out{.threshold = threshold_, .width = width_, .pictures = std::ssize(pictures_)};
  for (const Picture& picture : pictures_) out.tokens += picture.tokens;

  std::vector<std::pair<double, int64_t>> by_strength;
  for (int64_t d = 0; d < width_; ++d) by_strength.emplace_back(-Strength(d), d);
  std::sort(by_strength.begin(), by_strength.end());
  std::vector<SinkDimension> sparse, crowded;  // strongest first
  for (const auto& [strength, dim] : by_strength) {
    SinkDimension s = Describe(dim);
    (s.tokens > kCrowdOfTokens ? crowded : sparse).push_back(s);
    if (sparse.size() > kMostDims + kReportedNext) break;
  }
  size_t chosen = 0;
  double widest = kGap;
  for (size_t i = 0; i + 1 < sparse.size() && i < kMostDims; ++i) {
    if (sparse[i].strength < threshold_) break;
    const double gap = sparse[i].strength / sparse[i + 1].strength;
    if (gap < widest) continue;
    widest = gap;
    chosen = i + 1;
  }
  for (size_t i = 0; i < chosen; ++i) out.dims.push_back(sparse[i].dim);
  std::sort(out.dims.begin(), out.dims.end());
  out.strongest.assign(sparse.begin(), sparse.begin() + static_cast<ptrdiff_t>(chosen));
  std::vector<SinkDimension> next(sparse.begin() + static_cast<ptrdiff_t>(chosen), sparse.end());
  next.insert(next.end(), crowded.begin(), crowded.end());
  std::stable_sort(next.begin(), next.end(),
                   [](const auto& a, const auto& b) { return a.strength > b.strength; });
  next.resize(std::min(next.size(), kReportedNext));
  out.strongest.insert(out.strongest.end(), next.begin(), next.end());
  if (!out.dims.empty()) out.tau = ToHundredths(Tau(out));
  return out;
}

}  // namespace binocle
