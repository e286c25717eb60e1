#include "attention/plan_keeper.h"

#include <algorithm>

namespace binocle {
namespace {

bool SameRun(const QueryRun& a, const QueryRun& b) {
  return a.first_row == b.first_row && a.rows == b.rows && a.first_position == b.first_position &&
         a.keys == b.keys && a.first_key == b.first_key && a.shared_end == b.shared_end &&
         std::ranges::equal(a.pages.first(static_cast<size_t>(PagesFor(a.keys))),
                            b.pages.first(static_cast<size_t>(PagesFor(b.keys))));
}

}  // namespace

PlanKeeper::Kept& PlanKeeper::PlanFor(const PlanRequest& request) {
  effects_.clear();
  for (const QueryRun& run : request.runs) effects_.push_back(EffectOf(run, 0, run.keys));
  const auto known =
      std::ranges::find_if(kept_, [&](const Kept& kept) { return IsFor(kept, request); });
  if (known != kept_.end()) {
    std::rotate(kept_.begin(), known, known + 1);
    return kept_.front();
  }
  std::rotate(kept_.begin(), kept_.end() - 1, kept_.end());
  Kept& oldest = kept_.front();
  oldest.valid = false;
  PlanAttention(request, oldest.plan);
  Remember(request, oldest);
  return oldest;
}

bool PlanKeeper::IsFor(const Kept& kept, const PlanRequest& request) const {
  return kept.valid && kept.heads == request.heads && kept.kv_heads == request.kv_heads &&
         kept.mask == request.mask && kept.window == request.window &&
         std::ranges::equal(kept.runs, request.runs, SameRun) && kept.effects == effects_;
}

void PlanKeeper::Remember(const PlanRequest& request, Kept& kept) {
  kept.heads = request.heads;
  kept.kv_heads = request.kv_heads;
  kept.mask = request.mask;
  kept.window = request.window;
  kept.runs.assign(request.runs.begin(), request.runs.end());
  kept.pages.clear();
  for (const QueryRun& run : kept.runs)
    kept.pages.insert(kept.pages.end(), run.pages.begin(), run.pages.begin() + PagesFor(run.keys));
  size_t at = 0;
  for (QueryRun& run : kept.runs) {
    const auto count = static_cast<size_t>(PagesFor(run.keys));
    run.pages = std::span<const int32_t>(kept.pages).subspan(at, count);
    at += count;
  }
  kept.effects = effects_;
  kept.valid = true;
}

}  // namespace binocle
