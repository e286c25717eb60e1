// Tables of cells: TSV, CSV, and VLMEvalKit's TSV.
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "eval/readers/readers.h"
#include "eval/readers/text_file.h"
#include "llm/utf8.h"

namespace binocle::eval {
namespace {

constexpr size_t kMostColumns = 4096;

struct Cells {
  std::vector<std::string> values;
  size_t count = 0;  // those that were not kept included
  int64_t line = 0;  // where the row begins
  std::string_view text;
  bool closed = true;  // no quote was left open
};

// Rows of cells in a text. A quote that is never closed, or only beyond the limit, ends with its line, so that the rows after it still
// come.
class CellScanner {
 public:
  CellScanner(std::string_view text, char separator, size_t limit)
      : text_(text), separator_(separator), limit_(limit) {}
  // A row of other numbers of cells is refused by the caller: of more, those beyond are counted and not kept.
  void KeepCells(size_t most) { most_cells_ = most; }

  std::optional<Cells> Next() {
    while (position_ < text_.size() && IsLineEnd(position_)) PassLineEnd();
    if (position_ >= text_.size()) return std::nullopt;
    const size_t begin = position_;
    Cells cells{.line = line_};
    do {
      cells.closed = TakeCell(begin, cells);
    } while (cells.closed && position_ < text_.size() && text_[position_] == separator_ &&
             (++position_, true));
    if (!cells.closed || position_ - begin > limit_)
      position_ = std::min(text_.find('\n', begin), text_.size());
    const std::string_view row = text_.substr(begin, position_ - begin);
    line_ += std::count(row.begin(), row.end(), '\n');
    cells.text = row;
    PassLineEnd();
    return cells;
  }

 private:
  bool IsLineEnd(size_t at) const {
    return text_[at] == '\n' ||
           (text_[at] == '\r' && at + 1 < text_.size() && text_[at + 1] == '\n');
  }

  void PassLineEnd() {
    if (position_ < text_.size() && text_[position_] == '\r') ++position_;
    if (position_ < text_.size() && text_[position_] == '\n') {
      ++position_;
      ++line_;
    }
  }

  void Keep(std::string value, Cells& cells) const {
    ++cells.count;
    if (cells.values.size() < most_cells_) cells.values.push_back(std::move(value));
  }

  bool TakeCell(size_t row, Cells& cells) {
    if (position_ < text_.size() && text_[position_] == '"') return TakeQuoted(row, cells);
    const size_t begin = position_;
    while (position_ < text_.size() && text_[position_] != separator_ && !IsLineEnd(position_))
      ++position_;
    // What is too long is refused by the caller and must not be copied.
    if (position_ - row <= limit_) Keep(std::string(text_.substr(begin, position_ - begin)), cells);
    return true;
  }

  bool TakeQuoted(size_t row, Cells& cells) {
    std::string value;
    for (++position_; position_ < text_.size() && position_ - row <= limit_;) {
      const size_t quote = std::min(text_.find('"', position_), text_.size());
      if (quote - row > limit_) return false;
      value += text_.substr(position_, quote - position_);
      position_ = quote + 1;
      if (position_ >= text_.size() || text_[position_] != '"') {
        if (quote >= text_.size()) return false;
        Keep(std::move(value), cells);
        return position_ >= text_.size() || text_[position_] == separator_ || IsLineEnd(position_);
      }
      value += '"';
      ++position_;
    }
    return false;
  }

  std::string_view text_;
  char separator_;
  size_t limit_;
  size_t most_cells_ = kMostColumns;
  size_t position_ = 0;
  int64_t line_ = 1;
};

class DelimitedReader : public RowReader {
 public:
  DelimitedReader(const RowSource& source, char separator)
      : file_(source.path, source.name),
        stem_(source.path.stem().string()),
        scanner_(file_.text(), separator, source.limits.row_bytes),
        separator_(separator),
        limits_(source.limits),
        problems_(source.problems) {
    const std::string_view text = file_.text();
    const size_t cr = text.find('\r'), lf = text.find('\n');
    if (cr < lf && cr + 1 != lf)
      ThrowInvalid(source.path.string(), ": its lines end with CR alone, expected LF or CR LF");
    const auto head = scanner_.Next();
    if (!head || !head->closed || !IsUtf8(head->text))
      ThrowInvalid(source.path.string(), ": has no head of column names in its first line");
    if (head->count > kMostColumns)
      ThrowInvalid(source.path.string(), ": has ", head->count, " columns, expected at most ",
                   kMostColumns);
    columns_ = head->values;
    scanner_.KeepCells(columns_.size());
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (std::find(columns_.begin(), columns_.begin() + static_cast<std::ptrdiff_t>(i),
                    columns_[i]) != columns_.begin() + static_cast<std::ptrdiff_t>(i))
        ThrowInvalid(source.path.string(), ": column ", columns_[i], " is there twice");
    }
  }

  std::optional<Row> Next() override {
    while (const auto cells = scanner_.Next()) {
      ++rows_;
      if (!IsWhole(*cells)) continue;
      Row row{Json::object(), file_.Place(cells->line)};
      for (size_t i = 0; i < columns_.size(); ++i) row.fields[columns_[i]] = cells->values[i];
      row.fields["_file"] = stem_;
      row.fields["_row"] = rows_ - 1;
      return row;
    }
    return std::nullopt;
  }

 protected:
  const TextFile& file() const { return file_; }
  const std::vector<std::string>& columns() const { return columns_; }
  char separator() const { return separator_; }
  const ReaderLimits& limits() const { return limits_; }
  Problems& problems() { return problems_; }

 private:
  bool IsWhole(const Cells& cells) {
    const std::string place = file_.Place(cells.line);
    if (cells.text.size() > limits_.row_bytes) {
      problems_.AddTooLong(place, cells.text.size(), limits_.row_bytes);
    } else if (!cells.closed) {
      problems_.Add(Damage::kSyntax, place, "a cell in quotes does not end as one");
    } else if (!IsUtf8(cells.text)) {
      problems_.Add(Damage::kEncoding, place, "is not UTF-8");
    } else if (cells.text.find('\0') != std::string_view::npos) {
      problems_.Add(Damage::kSyntax, place, "has a NUL byte");
    } else if (cells.count != columns_.size()) {
      problems_.Add(Damage::kSyntax, place,
                    "has " + std::to_string(cells.count) + " cells, expected " +
                        std::to_string(columns_.size()));
    } else {
      return true;
    }
    return false;
  }

  TextFile file_;
  std::string stem_;
  CellScanner scanner_;
  char separator_;
  ReaderLimits limits_;
  Problems& problems_;
  std::vector<std::string> columns_;
  int64_t rows_ = 0;
};

constexpr size_t kMaxImageIndex = 64;  // VLMEvalKit's: a longer cell is a picture

class VlmevalReader : public DelimitedReader {
 public:
  explicit VlmevalReader(const RowSource& source) : DelimitedReader(source, '\t') {}

  std::optional<Row> Next() override {
    while (auto row = DelimitedReader::Next()) {
      const auto image = row->fields.find("image");
      if (image == row->fields.end() || !row->fields.contains("index")) return row;
      const auto& text = image->get_ref<const std::string&>();
      if (text.empty() || text.size() > kMaxImageIndex || text[0] == '[') return row;
      if (!indexed_) Index();
      const auto found = pictures_.find(text);
      if (found == pictures_.end()) {
        problems().Add(Damage::kImage, row->place,
                       "image is " + text + ", the index of no row with a picture");
        continue;
      }
      *image = std::string(found->second);
      return row;
    }
    return std::nullopt;
  }

 private:
  // Where the pictures lie in the file; pictures are base64 and so never quoted, but for lists of them, which no row refers to.
  void Index() {
    indexed_ = true;
    const auto column = [&](std::string_view name) {
      return static_cast<size_t>(std::find(columns().begin(), columns().end(), name) -
                                 columns().begin());
    };
    CellScanner scanner(file().text(), separator(), limits().row_bytes);
    while (const auto cells = scanner.Next()) {
      if (!cells->closed || cells->values.size() != columns().size()) continue;
      const std::string& picture = cells->values[column("image")];
      const size_t at = cells->text.find(picture);
      if (picture.size() > kMaxImageIndex && at != std::string_view::npos)
        pictures_.emplace(cells->values[column("index")], cells->text.substr(at, picture.size()));
    }
  }

  bool indexed_ = false;
  std::unordered_map<std::string, std::string_view> pictures_;
};

}  // namespace

std::unique_ptr<RowReader> OpenDelimited(const RowSource& source, char separator) {
  return std::make_unique<DelimitedReader>(source, separator);
}

std::unique_ptr<RowReader> OpenVlmevalTsv(const RowSource& source) {
  return std::make_unique<VlmevalReader>(source);
}

}  // namespace binocle::eval
