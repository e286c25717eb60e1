// JSON lines: ours, POPE's, lmms-eval's.
#include "eval/readers/readers.h"
#include "eval/readers/text_file.h"

namespace binocle::eval {
namespace {

class JsonlReader : public RowReader {
 public:
  explicit JsonlReader(const RowSource& source)
      : file_(source.path, source.name),
        stem_(source.path.stem().string()),
        lines_(file_.text()),
        limits_(source.limits),
        problems_(source.problems) {}

  std::optional<Row> Next() override {
    std::string_view line;
    while (lines_.Next(line)) {
      if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
      const std::string place = file_.Place(lines_.number());
      if (line.size() > limits_.row_bytes) {
        problems_.AddTooLong(place, line.size(), limits_.row_bytes);
        continue;
      }
      if (line.find("}\r{") != std::string_view::npos) {
        problems_.Add(Damage::kSyntax, place,
                      "holds lines that end with CR alone, expected LF or CR LF");
        continue;
      }
      auto fields = ParseRecord(line, place, problems_);
      if (!fields) continue;
      (*fields)["_file"] = stem_;
      (*fields)["_row"] = lines_.number() - 1;
      return Row{std::move(*fields), place};
    }
    return std::nullopt;
  }

 private:
  TextFile file_;
  std::string stem_;
  Lines lines_;
  ReaderLimits limits_;
  Problems& problems_;
};

}  // namespace

std::unique_ptr<RowReader> OpenJsonl(const RowSource& source) {
  return std::make_unique<JsonlReader>(source);
}

}  // namespace binocle::eval
