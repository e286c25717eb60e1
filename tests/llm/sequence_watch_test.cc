// The switches of VAR's released form, each by itself against the paper's form, and the rows and layers that an intervention means.
#include "llm/sequence_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace binocle {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kWidth = 4;
constexpr uint8_t kVisualSink = kVisualKey | kSinkKey;

// Positions 0 and 1 are text, 2 and 3 a picture, 4 and 5 text; then what is generated.
struct Watching {
  explicit Watching(const VarForm& form, float tau = 1.5F)
      : watch(Config(),
              {.dims = {0},
               .tau = tau,
               .var = VarPlan{.form = form, .params = {.p = 0.5F}, .layers = {0, 1}},
               .gain = {},
               .measure = {}},
              {.prompt_tokens = 6, .capacity = 8, .images = {{.first_position = 2, .tokens = 2}}}) {
  }

  static LlamaConfig Config() {
    LlamaConfig config;
    config.layers = 2;
    config.heads = 1;
    config.width = kWidth;
    return config;
  }

  // A row enters layer 0 with `value` in dimension 0 and nothing elsewhere: φ is 2, whatever the value.
  void Enter(int64_t position, float value) {
    Tensor x = Tensor::F32({1, kWidth});
    x.f32()[0] = value;
    Exec ex(1);
    watch.EnterLayer(ex, 0, {.rows = 1, .first_position = position, .keys = position + 1}, x);
  }
  // Rows of the prompt's text, and whether each is under VAR.
  std::vector<bool> Ruled(int64_t layer = 0) {
    std::vector<bool> ruled;
    for (const auto& [first, rows] : {std::pair<int64_t, int64_t>{0, 2}, {4, 2}}) {
      std::vector<QueryRun> runs;
      watch.Cut(layer, SequenceWatch::Rows::kText,
                {.first_row = first, .rows = rows, .first_position = first, .keys = first + rows},
                runs);
      for (const QueryRun& run : runs) {
        const bool under_var = run.segments != nullptr && run.segments->rule != nullptr;
        ruled.insert(ruled.end(), static_cast<size_t>(run.rows), under_var);
        if (under_var) rule = run.segments->rule;
      }
    }
    return ruled;
  }
  uint8_t Class(int64_t position) const { return watch.classes(0)[static_cast<size_t>(position)]; }

  SequenceWatch watch;
  SegmentRule rule = nullptr;
};

TEST(PaperForm, SinksAreTokensOfThePromptAndGeneratedOnesThatReachTau) {
  Watching w(kPaperForm, 2);
  w.Enter(0, 1);
  w.Enter(1, 0);
  w.Enter(2, -3);
  w.Enter(3, 0);
  w.Enter(6, 1);
  EXPECT_EQ(w.Class(0), kSinkKey);
  EXPECT_EQ(w.Class(1), 0);
  EXPECT_EQ(w.Class(2), kVisualSink);
  EXPECT_EQ(w.Class(3), kVisualKey);
  EXPECT_EQ(w.Class(6), kSinkKey);
  EXPECT_THAT(w.Ruled(), ElementsAre(true, true, true, true));
  EXPECT_EQ(w.rule, &VarByContentShare);
}

TEST(StrictPhi, TauItselfIsNotEnough) {
  Watching paper(kPaperForm, 2), strict({.strict_phi = true}, 2);
  for (Watching* w : {&paper, &strict}) w->Enter(0, 1e4F);  // beside which 1e-6 is nothing
  EXPECT_EQ(paper.Class(0), kSinkKey);
  EXPECT_EQ(strict.Class(0), 0);
}

TEST(StrictPhi, TheMeanSquareIsRaised) {
  Watching paper(kPaperForm), strict({.strict_phi = true});
  for (Watching* w : {&paper, &strict}) {
    w->Enter(0, 1);
    w->Enter(1, 2e-3F);  // a mean square of 1e-6: φ is 2 / √2
  }
  EXPECT_EQ(strict.Class(0), kSinkKey);
  EXPECT_EQ(paper.Class(1), kSinkKey);
  EXPECT_EQ(strict.Class(1), 0);
}

TEST(PromptSinksOnly, GeneratedTokensAreNone) {
  Watching w({.prompt_sinks_only = true});
  w.Enter(5, 1);
  w.Enter(6, 1);
  EXPECT_EQ(w.Class(5), kSinkKey);
  EXPECT_EQ(w.Class(6), 0);
}

TEST(RhoBoundsSinks, IsAnotherTestOfHeads) {
  Watching w({.rho_bounds_sinks = true});
  EXPECT_THAT(w.Ruled(), ElementsAre(true, true, true, true));
  EXPECT_EQ(w.rule, &VarBySinkShare);
  const VarParams params{.p = 0.5F, .rho = 0.3F, .mass = 0.1F};
  const SegmentMasses mostly_content{.content = 0.4F, .visual_sink = 0.1F};
  const SegmentMasses mostly_sinks{.content = 0.2F, .visual_sink = 0.3F};
  EXPECT_NE(VarBySinkShare(params, mostly_content), SegmentGains{});
  EXPECT_EQ(VarBySinkShare(params, mostly_sinks), SegmentGains{});
  EXPECT_NE(VarByContentShare(params, mostly_sinks), SegmentGains{}) << "0.4 is more than rho";
  const VarParams quarter{.p = 0.5F, .rho = 0.25F, .mass = 0.1F};
  const SegmentMasses at_rho{.content = 0.375F, .visual_sink = 0.125F};
  EXPECT_NE(VarBySinkShare(quarter, at_rho), SegmentGains{}) << "no more than rho";
}

TEST(NeedsVisualSink, ALayerWithoutOneIsLeftAlone) {
  Watching w({.needs_visual_sink = true});
  w.Enter(0, 1);
  EXPECT_THAT(w.Ruled(), ElementsAre(false, false, false, false)) << "a sink of text is not enough";
  w.Enter(3, 1);
  EXPECT_THAT(w.Ruled(), ElementsAre(true, true, true, true));
  EXPECT_THAT(w.Ruled(1), ElementsAre(false, false, false, false)) << "layer 1 has none";
}

TEST(RowsAfterPictures, RowsBeforeKeepPlainAttention) {
  Watching w({.rows_after_pictures = true});
  EXPECT_THAT(w.Ruled(), ElementsAre(false, false, true, true));
}

// p_is_kept and last_layer: tests/service/intervention_plan_test.cc.
TEST(ReleasedForm, HasAllOfThem) {
  Watching at_tau(kReleasedForm, 2);
  at_tau.Enter(2, 1e4F);
  EXPECT_EQ(at_tau.Class(2), kVisualKey);
  Watching w(kReleasedForm);
  w.Enter(0, 1);
  EXPECT_THAT(w.Ruled(), ElementsAre(false, false, false, false)) << "no visual sink";
  w.Enter(2, 1);
  w.Enter(6, 1);
  EXPECT_THAT(w.Ruled(), ElementsAre(false, false, true, true));
  EXPECT_EQ(w.rule, &VarBySinkShare);
  EXPECT_EQ(w.Class(6), 0);
}

}  // namespace
}  // namespace binocle
