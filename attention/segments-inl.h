// Masses and partial outputs of the key classes of attention/segments.h, riding along with the online softmax of a block.
//
// Per page and row, with the page's weights p = exp(s − shift) and the row's correction c = exp(old shift − shift):
//   m_c ← m_c·c + Σ_{j∈c} p_j        a_c ← a_c·c + Σ_{j∈c} p_j·v_j
// Content takes one more product, over the span of its columns; sinks are few and take an axpy each.
//
// Include after hwy/highway.h, once per target (Highway's foreach_target pattern).

#if defined(BINOCLE_ATTENTION_SEGMENTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BINOCLE_ATTENTION_SEGMENTS_INL_H_
#undef BINOCLE_ATTENTION_SEGMENTS_INL_H_
#else
#define BINOCLE_ATTENTION_SEGMENTS_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "attention/attention_cpu.h"
#include "attention/elements-inl.h"
#include "attention/page_products-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace binocle::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The weights of a page as the softmax step left them, for rows [r0, r0 + rows) of the block.
template <typename Pages>
struct PageWeights {
  const float* p;  // [R, 64], 0 for keys a row does not see
  typename Pages::Values values;
  int64_t first_key;
  int64_t keys;  // of the page that some row sees
  int64_t r0, rows;
};

class SegmentSums {
 public:
  SegmentSums(const SegmentPolicy& policy, int64_t stride, Carver& carver)
      : policy_(&policy),
        stride_(stride),
        mask_(carver.Take(kPageTokens)),
        masked_(carver.Take(kBlockRows * kPageTokens)),
        content_(carver.Take(kBlockRows * stride)),
        sink_(carver.Take(kBlockRows * stride)) {}

  void Clear(int64_t rows) {
    std::fill(masses_, masses_ + rows, SegmentMasses{});
    if (policy_->rule == nullptr) return;
    std::memset(content_, 0, static_cast<size_t>(rows * stride_) * sizeof(float));
    std::memset(sink_, 0, static_cast<size_t>(rows * stride_) * sizeof(float));
  }

  void Rescale(int64_t r, float correction) {
    masses_[r].content *= correction;
    masses_[r].visual_sink *= correction;
    masses_[r].text_sink *= correction;
    if (policy_->rule == nullptr) return;
    for (float* part : {content_ + r * stride_, sink_ + r * stride_})
      Multiply(part, stride_, correction, part);
  }

  template <typename Pages>
  void AddPage(const Pages& pages, const PageWeights<Pages>& w) {
    const uint8_t* classes = policy_->classes.data() + w.first_key;
    AddContent(pages, w, classes);
    for (int64_t j = 0; j < w.keys; ++j) {
      if (classes[j] & kSinkKey) AddSink(pages, w, j, classes[j] & kVisualKey);
    }
  }

  // Masses of a row as shares of its sum.
  SegmentMasses Masses(int64_t r, float inverse_sum) const {
    return {.content = masses_[r].content * inverse_sum,
            .visual_sink = masses_[r].visual_sink * inverse_sum,
            .text_sink = masses_[r].text_sink * inverse_sum};
  }

  // What the rule makes of them.
  SegmentGains Gains(const SegmentMasses& m) const {
    return policy_->rule == nullptr ? SegmentGains{} : policy_->rule(policy_->params, m);
  }

  // o, the row's output, with its classes' parts multiplied. False where the sinks' part was so much larger than what is left that
  // the difference has lost its digits.
  bool Apply(int64_t r, const SegmentGains& gains, float inverse_sum, int64_t d, float* o) const {
    constexpr float kMostCancelled = 8;  // of 24 bits, three
    const float content = (gains.content - 1) * inverse_sum;
    const float sink = (gains.sink - 1) * inverse_sum;
    float largest = 0, taken = 0;
    for (int64_t i = 0; i < d; ++i) {
      const float part = sink * sink_[r * stride_ + i];
      o[i] += content * content_[r * stride_ + i] + part;
      largest = std::max(largest, std::abs(o[i]));
      taken = std::max(taken, std::abs(part));
    }
    return taken <= kMostCancelled * largest;
  }

  // The factor on a key's weight.
  float FactorOf(int64_t key, const SegmentGains& gains) const {
    const uint8_t c = policy_->classes[static_cast<size_t>(key)];
    if (c & kSinkKey) return gains.sink;
    return c == kVisualKey ? gains.content : 1.0F;
  }

 private:
  template <typename Pages>
  void AddContent(const Pages& pages, const PageWeights<Pages>& w, const uint8_t* classes) {
    const auto is_content = [](uint8_t c) { return c == kVisualKey; };
    const auto* first = std::find_if(classes, classes + w.keys, is_content);
    if (first == classes + w.keys) return;
    const int64_t begin = first - classes;
    int64_t end = w.keys;
    while (!is_content(classes[end - 1])) --end;
    for (int64_t j = 0; j < kPageTokens; ++j)
      mask_[j] = j >= begin && j < end && is_content(classes[j]) ? 1.0F : 0.0F;
    for (int64_t r = w.r0; r < w.r0 + w.rows; ++r)
      masses_[r].content += MaskRow(w.p + r * kPageTokens, masked_ + r * kPageTokens);
    if (policy_->rule == nullptr) return;
    pages.AddProduct({.p = masked_, .r0 = w.r0, .rows = w.rows, .begin = begin, .end = end},
                     w.values, content_);
  }

  // masked ← p ⊙ mask; returns its sum.
  float MaskRow(const float* p, float* masked) const {
    const hn::ScalableTag<float> d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    auto sum = hn::Zero(d);
    for (int64_t j = 0; j < kPageTokens; j += lanes) {
      const auto kept = hn::Mul(hn::Load(d, p + j), hn::Load(d, mask_ + j));
      hn::Store(kept, d, masked + j);
      sum = hn::Add(sum, kept);
    }
    return hn::GetLane(hn::SumOfLanes(d, sum));
  }

  template <typename Pages>
  void AddSink(const Pages& pages, const PageWeights<Pages>& w, int64_t j, bool visual) {
    const hn::ScalableTag<float> d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    const float* value = pages.ValueRow(w.values, j);
    for (int64_t r = w.r0; r < w.r0 + w.rows; ++r) {
      const float p = w.p[r * kPageTokens + j];
      (visual ? masses_[r].visual_sink : masses_[r].text_sink) += p;
      if (policy_->rule == nullptr) continue;
      float* sink = sink_ + r * stride_;
      const auto weight = hn::Set(d, Pages::Weight(p));
      for (int64_t i = 0; i < stride_; i += lanes)
        hn::Store(hn::MulAdd(weight, hn::LoadU(d, value + i), hn::Load(d, sink + i)), d, sink + i);
    }
  }

  const SegmentPolicy* policy_;
  int64_t stride_;
  SegmentMasses masses_[kBlockRows];
  float* mask_;     // [64]
  float* masked_;   // [R, 64]
  float* content_;  // [R, stride]
  float* sink_;     // [R, stride]
};

}  // namespace binocle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // BINOCLE_ATTENTION_SEGMENTS_INL_H_
