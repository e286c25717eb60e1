// JSON files that hold a list or an object of records, and VQA's pairs of them.
#include <unordered_map>
#include <utility>

#include "eval/readers/json_records.h"
#include "eval/readers/readers.h"
#include "eval/readers/text_file.h"

namespace binocle::eval {
namespace {

class JsonReader : public RowReader {
 public:
  JsonReader(const RowSource& source, const std::string& records)
      : file_(source.path, source.name),
        stem_(source.path.stem().string()),
        records_(file_, source.path.string(), records, source.limits, source.problems) {}

  std::optional<Row> Next() override {
    auto record = records_.Next();
    if (!record) return std::nullopt;
    Row row{std::move(record->fields), std::move(record->place)};
    row.fields["_file"] = stem_;
    row.fields["_row"] = record->number - 1;
    if (!record->key.empty()) row.fields["_key"] = record->key;
    return row;
  }

 private:
  TextFile file_;
  std::string stem_;
  JsonRecords records_;
};

std::string KeyOf(const Json& fields, std::string_view member) {
  const auto value = fields.find(member);
  if (value == fields.end()) return "";
  if (value->is_number_integer()) return value->dump();
  return value->is_string() ? value->get<std::string>() : "";
}

// Annotations are found by question_id and parsed when their question comes: what is kept of each is its place.
class VqaReader : public RowReader {
 public:
  VqaReader(const RowSource& source, const std::filesystem::path& annotations)
      : questions_(source, "questions"),
        annotations_(annotations, annotations.filename().string()),
        problems_(source.problems) {
    JsonRecords records(annotations_, annotations.string(), "annotations", source.limits,
                        problems_);
    while (auto record = records.Next()) {
      const std::string& place = record->place;
      const std::string key = KeyOf(record->fields, "question_id");
      if (key.empty()) {
        problems_.Add(Damage::kColumn, place, "question_id is missing or no integer or text");
      } else if (!by_question_.emplace(key, record->text).second) {
        problems_.Add(Damage::kDuplicateId, place, "question_id " + key + " has an annotation");
      }
    }
  }

  std::optional<Row> Next() override {
    while (auto row = questions_.Next()) {
      const std::string key = KeyOf(row->fields, "question_id");
      const auto found = by_question_.find(key);
      if (found == by_question_.end()) {
        problems_.Add(Damage::kColumn, row->place,
                      "question_id " + key + " has no annotation in " + annotations_.name());
        continue;
      }
      // It has been read once, but a file may change meanwhile.
      const auto annotation = ParseRecord(found->second, row->place + ": annotation", problems_);
      if (!annotation) continue;
      for (const auto& [name, value] : annotation->items()) row->fields.emplace(name, value);
      return row;
    }
    return std::nullopt;
  }

 private:
  JsonReader questions_;
  TextFile annotations_;
  Problems& problems_;
  std::unordered_map<std::string, std::string_view> by_question_;
};

}  // namespace

std::unique_ptr<RowReader> OpenJson(const RowSource& source, const std::string& records) {
  return std::make_unique<JsonReader>(source, records);
}

std::unique_ptr<RowReader> OpenVqa(const RowSource& source,
                                   const std::filesystem::path& annotations) {
  return std::make_unique<VqaReader>(source, annotations);
}

}  // namespace binocle::eval
