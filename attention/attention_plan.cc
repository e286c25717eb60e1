#include "attention/attention_plan.h"

#include <algorithm>
#include <map>
#include <variant>

#include "core/error.h"

namespace binocle {
namespace {

// A piece of a run's keys, in whole pages but for the last.
struct KeyPart {
  int64_t first;
  int64_t end;
};

// How long a list becomes, so that launches over lists that grow step by step are seldom new ones.
int64_t FilledUp(int64_t count) {
  constexpr int64_t kUnit = 32;
  return count <= kUnit ? count : (count + kUnit - 1) / kUnit * kUnit;
}

int64_t PageFloor(int64_t key) { return key / kPageTokens * kPageTokens; }
int64_t PageCeil(int64_t key) { return PageFloor(key + kPageTokens - 1); }

// Closes a tile over the rows that were appended since `first_row`, over the pages of `run`.
void AddTile(TilePlan& plan, const QueryRun& run, int64_t run_index, size_t first_row) {
  const auto rows = std::span(plan.rows).subspan(first_row);
  int64_t first = rows[0].first_key, end = 0, all_from = 0, all_to = rows[0].end_key;
  for (const cuda::TileRow& row : rows) {
    first = std::min<int64_t>(first, row.first_key);
    end = std::max<int64_t>(end, row.end_key);
    all_from = std::max<int64_t>(all_from, row.first_key);
    all_to = std::min<int64_t>(all_to, row.end_key);
  }
  first = PageFloor(first);
  const int64_t pages = PagesFor(end) - first / kPageTokens;
  plan.tiles.push_back(
      {.first_row = static_cast<int32_t>(first_row),
       .rows = static_cast<int32_t>(rows.size()),
       .first_page = static_cast<int32_t>(plan.pages.size()),
       .pages = static_cast<int32_t>(pages),
       .first_key = static_cast<int32_t>(first),
       .end_key = static_cast<int32_t>(end),
       .whole_from = static_cast<int32_t>(PageCeil(all_from)),
       .whole_to = static_cast<int32_t>(PageFloor(all_to)),
       .policy = IsPlain(run) ? kPlainPolicy : static_cast<int32_t>(1 + run_index)});
  const auto from = run.pages.begin() + first / kPageTokens;
  plan.pages.insert(plan.pages.end(), from, from + pages);
}

void AddDirect(const PlanRequest& request, int64_t run_index, int64_t rows_per_tile,
               TilePlan& plan) {
  const QueryRun& run = request.runs[static_cast<size_t>(run_index)];
  const int64_t blocks = (run.rows + rows_per_tile - 1) / rows_per_tile;
  for (int64_t block = blocks - 1; block >= 0; --block) {
    const size_t first_row = plan.rows.size();
    for (int64_t r = block * rows_per_tile; r < std::min(run.rows, (block + 1) * rows_per_tile);
         ++r) {
      const auto row = static_cast<int32_t>(run.first_row + r);
      const KeyInterval seen = SeenBy(request.mask, request.window, run, r);
      plan.rows.push_back(
          {row, row, static_cast<int32_t>(seen.first), static_cast<int32_t>(seen.end)});
    }
    AddTile(plan, run, run_index, first_row);
  }
}

std::vector<KeyPart> PartsOf(const KeyInterval& seen, int64_t shared_end, int64_t part_keys) {
  std::vector<KeyPart> parts;
  const auto add = [&](int64_t from, int64_t to) {
    for (int64_t first = from; first < to; first += part_keys) {
      const KeyPart part{std::max(first, seen.first), std::min({first + part_keys, to, seen.end})};
      if (part.first < part.end) parts.push_back(part);
    }
  };
  const int64_t own = PageFloor(std::min(shared_end, seen.end));
  add(0, own);
  add(own, seen.end);
  // A row that sees nothing still gets a result: O = 0, LSE = −∞.
  if (parts.empty()) parts.push_back({seen.first, seen.first});
  return parts;
}

// Parts that may be one tile: the same pages, all of whose keys are seen, under policies that make the same of them.
struct SharedPart {
  int64_t first;
  std::vector<int32_t> pages;
  std::vector<std::byte> effect;
  auto operator<=>(const SharedPart&) const = default;
};

struct PartRow {
  cuda::TileRow row;
  int64_t run;
};

class PartsPlan {
 public:
  PartsPlan(const PlanRequest& request, int64_t rows_per_tile, AttentionPlan& plan)
      : request_(request), rows_per_tile_(rows_per_tile), plan_(plan) {}

  void Add(int64_t run_index) {
    const QueryRun& run = request_.runs[static_cast<size_t>(run_index)];
    for (int64_t r = 0; r < run.rows; ++r) {
      const auto q_row = static_cast<int32_t>(run.first_row + r);
      const std::vector<KeyPart> parts = PartsOf(SeenBy(request_.mask, request_.window, run, r),
                                                 run.shared_end, PartKeys(request_.kv_heads));
      std::vector<cuda::RowParts>& merges = run.segments == nullptr ? plan_.merges : with_segments_;
      merges.push_back({.out_row = q_row,
                        .first_part = static_cast<int32_t>(plan_.part_rows),
                        .parts = static_cast<int32_t>(parts.size())});
      for (const KeyPart& part : parts) {
        const PartRow row{{q_row, static_cast<int32_t>(plan_.part_rows++),
                           static_cast<int32_t>(part.first), static_cast<int32_t>(part.end)},
                          run_index};
        AddPart(run, part, row);
      }
    }
  }

  void Finish() {
    plan_.content_merges_from = std::ssize(plan_.merges);
    plan_.merges.insert(plan_.merges.end(), with_segments_.begin(), with_segments_.end());
    AddShared();
  }

 private:
  void AddShared() {
    for (const auto& [part, rows] : shared_) {
      for (size_t begin = 0; begin < rows.size(); begin += static_cast<size_t>(rows_per_tile_)) {
        const size_t first_row = plan_.parts.rows.size();
        const size_t end = std::min(rows.size(), begin + static_cast<size_t>(rows_per_tile_));
        for (size_t i = begin; i < end; ++i) plan_.parts.rows.push_back(rows[i].row);
        const int64_t run = rows[begin].run;
        AddTile(plan_.parts, request_.runs[static_cast<size_t>(run)], run, first_row);
      }
    }
  }

  void AddPart(const QueryRun& run, const KeyPart& part, const PartRow& row) {
    if (part.first % kPageTokens == 0 && part.end % kPageTokens == 0) {
      const auto pages = run.pages.begin();
      shared_[{part.first,
               {pages + part.first / kPageTokens, pages + part.end / kPageTokens},
               EffectOf(run, part.first, part.end)}]
          .push_back(row);
      return;
    }
    const size_t first_row = plan_.parts.rows.size();
    plan_.parts.rows.push_back(row.row);
    AddTile(plan_.parts, run, row.run, first_row);
  }

  const PlanRequest& request_;
  int64_t rows_per_tile_;
  AttentionPlan& plan_;
  std::map<SharedPart, std::vector<PartRow>> shared_;
  std::vector<cuda::RowParts> with_segments_;
};

}  // namespace

std::vector<std::byte> EffectOf(const QueryRun& run, int64_t first_key, int64_t end_key) {
  std::vector<std::byte> effect;
  if (IsPlain(run)) return effect;
  const auto add = [&](auto values) {
    const std::span<const std::byte> bytes = std::as_bytes(values);
    effect.insert(effect.end(), bytes.begin(), bytes.end());
  };
  const auto in_part = [&](auto by_key) {
    return by_key.subspan(static_cast<size_t>(first_key), static_cast<size_t>(end_key - first_key));
  };
  effect.push_back(static_cast<std::byte>(run.variant.index()));
  effect.push_back(static_cast<std::byte>(run.segments != nullptr));
  if (const auto* gain = std::get_if<KeyGain>(&run.variant)) {
    add(in_part(std::span(gain->gain)));
    add(std::span(gain->head_factor));
  } else if (const auto* bias = std::get_if<KeyBias>(&run.variant)) {
    add(in_part(std::span(bias->bias)));
  } else if (const auto* cap = std::get_if<SoftCap>(&run.variant)) {
    add(std::span(&cap->cap, 1));
  }
  if (run.segments == nullptr) return effect;
  if (const DeviceSegments* segments = run.segments->on_device) {
    add(std::span(&segments->origin, 1));
  } else {
    add(in_part(std::span(run.segments->classes)));
  }
  return effect;
}

KeyInterval SeenBy(Mask mask, int64_t window, const QueryRun& run, int64_t row) {
  const int64_t end = mask == Mask::kCausal ? run.first_position + row + 1 : run.keys;
  const int64_t first = window > 0 ? std::max(run.first_key, end - window) : run.first_key;
  return {std::min(first, end), end};
}

void PlanAttention(const PlanRequest& request, AttentionPlan& plan) {
  const int64_t group = request.heads / request.kv_heads;
  if (group > cuda::kTileRows) {
    Throw(Code::kUnimplemented, "attention on a GPU: ", request.heads, " query heads for ",
          request.kv_heads, " kv heads, expected at most ", cuda::kTileRows, " for one");
  }
  for (TilePlan* part : {&plan.direct, &plan.parts}) {
    part->tiles.clear();
    part->rows.clear();
    part->pages.clear();
  }
  plan.merges.clear();
  plan.part_rows = 0;
  const int64_t rows_per_tile = cuda::kTileRows / group;
  PartsPlan parts(request, rows_per_tile, plan);
  for (int64_t r = 0; r < std::ssize(request.runs); ++r) {
    const QueryRun& run = request.runs[static_cast<size_t>(r)];
    if (run.rows == 0) continue;
    if (run.rows * group >= kDirectRows && run.rows > 1) {
      AddDirect(request, r, rows_per_tile, plan.direct);
    } else {
      parts.Add(r);
    }
  }
  parts.Finish();
  for (TilePlan* part : {&plan.direct, &plan.parts}) {
    const auto varied = std::stable_partition(
        part->tiles.begin(), part->tiles.end(),
        [](const cuda::AttentionTile& tile) { return tile.policy == kPlainPolicy; });
    part->plain_tiles = varied - part->tiles.begin();
    const auto plain = FilledUp(part->plain_tiles);
    part->tiles.insert(varied, static_cast<size_t>(plain - part->plain_tiles), {});
    part->plain_tiles = plain;
    part->tiles.resize(static_cast<size_t>(plain + FilledUp(std::ssize(part->tiles) - plain)));
  }
  plan.merges.resize(static_cast<size_t>(FilledUp(std::ssize(plan.merges))));
}

}  // namespace binocle
