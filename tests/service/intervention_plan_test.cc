// What a request's numbers mean in each form of VAR.
#include "service/engine/intervention_plan.h"

#include <gtest/gtest.h>

namespace binocle {
namespace {

constexpr auto kRelease = VarOptions::Compat::kRelease;

WatchPlan PlanOf(const VarOptions& var) {
  LlamaConfig config;
  config.layers = 8;
  config.width = 16;
  const AttentionCalibration calibration{.sink_dims = {3}};
  return PlanWatch(ResolveInterventions({.var = var}, config, calibration, 1), config, calibration,
                   false);
}

TEST(PIsKept, WhatIsGivenAwayIsTheRest) {
  EXPECT_FLOAT_EQ(PlanOf({.p = 0.25}).var->params.p, 0.25F);
  EXPECT_FLOAT_EQ(PlanOf({.p = 0.25, .compat = kRelease}).var->params.p, 0.75F);
}

TEST(PIsKept, NothingGivenAwayIsNoVar) {
  EXPECT_FALSE(PlanOf({.p = 0}).var);
  EXPECT_FALSE(PlanOf({.p = 1, .compat = kRelease}).var);
  EXPECT_TRUE(PlanOf({.p = 1}).var);
  EXPECT_TRUE(PlanOf({.p = 0, .compat = kRelease}).var);
}

TEST(LastLayerOfVar, IsInTheReleasesDefaultRange) {
  const LayerRange paper = PlanOf({.p = 0.5}).var->layers;
  const LayerRange release = PlanOf({.p = 0.5, .compat = kRelease}).var->layers;
  EXPECT_EQ(paper.first, 2);
  EXPECT_EQ(paper.last, 6);
  EXPECT_EQ(release.first, 2);
  EXPECT_EQ(release.last, 7);
}

}  // namespace
}  // namespace binocle
