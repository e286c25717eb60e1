#include "eval/readers/readers.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/error.h"

namespace binocle::eval {
namespace {

// One reader after the other.
class Chain : public RowReader {
 public:
  explicit Chain(std::vector<std::unique_ptr<RowReader>> readers) : readers_(std::move(readers)) {}

  std::optional<Row> Next() override {
    for (; at_ < readers_.size(); ++at_) {
      if (auto row = readers_[at_]->Next()) return row;
      readers_[at_].reset();
    }
    return std::nullopt;
  }

 private:
  std::vector<std::unique_ptr<RowReader>> readers_;
  size_t at_ = 0;
};

[[noreturn]] void RefuseParquet(const std::string& name) {
  Throw(Code::kUnimplemented, name,
        ": Parquet is not read by this build, expected JSONL: "
        "tools/eval/parquet_to_jsonl.py FILE.parquet > FILE.jsonl writes it, pictures included, "
        "and the "
        "task's data.format becomes \"jsonl\"");
}

std::unique_ptr<RowReader> OpenOne(const DataFiles& data, size_t index,
                                   const std::filesystem::path& folder, const RowSource& source) {
  switch (data.format) {
    case DataFormat::kJsonl: return OpenJsonl(source);
    case DataFormat::kJson: return OpenJson(source, data.records);
    case DataFormat::kVqa: return OpenVqa(source, folder / data.annotations.at(index));
    case DataFormat::kTsv: return OpenDelimited(source, '\t');
    case DataFormat::kCsv: return OpenDelimited(source, ',');
    case DataFormat::kVlmevalTsv: return OpenVlmevalTsv(source);
    case DataFormat::kMme: return OpenMme(source);
    case DataFormat::kParquet: break;
  }
  RefuseParquet(source.name);
}

constexpr std::array<std::string_view, 8> kNames = {"jsonl", "json",        "vqa", "tsv",
                                                    "csv",   "vlmeval_tsv", "mme", "parquet"};

}  // namespace

std::string_view DataFormatName(DataFormat format) { return kNames[static_cast<size_t>(format)]; }

std::optional<DataFormat> FindDataFormat(std::string_view name) {
  const auto* found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<DataFormat>(found - kNames.begin());
}

std::unique_ptr<RowReader> OpenRows(const DataFiles& data, const std::filesystem::path& folder,
                                    ReaderLimits limits, Problems& problems) {
  std::vector<std::unique_ptr<RowReader>> readers;
  for (size_t i = 0; i < data.files.size(); ++i) {
    const std::string& name = data.files[i];
    readers.push_back(OpenOne(data, i, folder, {folder / name, name, limits, problems}));
  }
  return std::make_unique<Chain>(std::move(readers));
}

}  // namespace binocle::eval
