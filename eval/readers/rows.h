// Rows of data files: what every reader gives, whatever the format, and what becomes of rows that are damaged.
//
// A reader goes through its files in order. A damaged row is reported with its place and counted, and the rows after it still come;
// only what makes a whole file unreadable is thrown.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace binocle::eval {

struct Row {
  Json fields;        // an object: the value of each column
  std::string place;  // "val.jsonl:12", "val.json:1: record 12"
};

struct ReaderLimits {
  size_t row_bytes = size_t{64} << 20;  // of one line, record or TSV row
};

enum class Damage { kSyntax, kTooLong, kEncoding, kColumn, kDuplicateId, kImage };
inline constexpr size_t kDamages = 6;

// "bad syntax" and so on.
std::string_view DamageName(Damage damage);

struct Problem {
  Damage damage;
  std::string message;  // "val.jsonl:12: …"
};

class Problems {
 public:
  static constexpr size_t kMaxKept = 1000;

  void Add(Damage damage, const std::string& place, const std::string& what);
  void AddTooLong(const std::string& place, size_t bytes, size_t most);
  // What is not read because nobody knows what it is.
  void AddUnread(int64_t bytes) { unread_bytes_ = unread_bytes_.value_or(0) + bytes; }

  int64_t count() const;
  int64_t count(Damage damage) const { return counts_[static_cast<size_t>(damage)]; }
  // The first kMaxKept, in the order of the rows.
  const std::vector<Problem>& kept() const { return kept_; }
  // {"skipped": 3, "image": 2, "duplicate id": 1}: kinds that did not occur are left out. Where reading ended at a fault, how much of the
  // file is behind it, which may be nothing:
  // {"skipped": 1, "syntax": 1, "unread_bytes": 5000}.
  OrderedJson Summary() const;

 private:
  std::array<int64_t, kDamages> counts_{};
  std::vector<Problem> kept_;
  std::optional<int64_t> unread_bytes_;
};

class RowReader {
 public:
  virtual ~RowReader() = default;
  // The next row that is whole; nothing at the end.
  virtual std::optional<Row> Next() = 0;
};

// One record's JSON, an object; otherwise the problem is reported and nothing comes back.
std::optional<Json> ParseRecord(std::string_view text, const std::string& place,
                                Problems& problems);

}  // namespace binocle::eval
