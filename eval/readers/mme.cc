// MME's folders: a folder per category with pictures, and a text per picture with its two questions.
#include <algorithm>
#include <array>
#include <utility>

#include "core/error.h"
#include "eval/readers/readers.h"
#include "eval/readers/text_file.h"
#include "llm/utf8.h"

namespace binocle::eval {
namespace {

namespace fs = std::filesystem;

bool IsFolder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

std::vector<fs::path> Sorted(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> paths;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    paths.push_back(entry->path());
  if (error)
    Throw(Code::kNotFound, folder.string(), ": ", error.message(), ", expected MME's folder");
  std::sort(paths.begin(), paths.end());
  return paths;
}

class MmeReader : public RowReader {
 public:
  explicit MmeReader(const RowSource& source)
      : root_(source.path), name_(source.name), limits_(source.limits), problems_(source.problems) {
    for (const fs::path& category : Sorted(root_)) {
      if (!IsFolder(category)) continue;
      const fs::path questions = category / "questions_answers_YN";
      const size_t before = texts_.size();
      for (const fs::path& path : Sorted(IsFolder(questions) ? questions : category)) {
        if (path.extension() == ".txt" && !IsFolder(path))
          texts_.push_back({category.filename().string(), path});
      }
      if (texts_.size() == before)
        problems_.Add(Damage::kSyntax, category.filename().string(),
                      "has no texts, expected one for each picture");
    }
    if (texts_.empty())
      Throw(Code::kNotFound, root_.string(),
            ": has no texts, expected folders of pictures and texts, one of each per picture");
  }

  std::optional<Row> Next() override {
    for (; at_ < texts_.size(); ++at_, rows_.clear()) {
      if (rows_.empty()) TryText(texts_[at_]);
      if (given_ < rows_.size()) return std::move(rows_[given_++]);
      given_ = 0;
    }
    return std::nullopt;
  }

 private:
  struct Text {
    std::string category;
    fs::path path;
  };

  // The picture of a text, as a path within the folder; a picture that is not there has the first ending.
  std::string PictureOf(const Text& text) const {
    static constexpr std::array<const char*, 5> kEndings = {".jpg", ".png", ".jpeg", ".JPG",
                                                            ".webp"};
    const fs::path category = root_ / text.category;
    const fs::path folder = IsFolder(category / "images") ? category / "images" : category;
    fs::path picture = folder / text.path.stem();
    picture += kEndings[0];
    for (const char* ending : kEndings) {
      fs::path candidate = folder / text.path.stem();
      candidate += ending;
      if (IsThere(candidate)) {
        picture = candidate;
        break;
      }
    }
    return picture.lexically_relative(root_).generic_string();
  }

  void TryText(const Text& text) {
    try {
      ReadText(text);
    } catch (const Error& error) {
      const bool is_there = error.code() != Code::kNotFound;
      problems_.Add(is_there ? Damage::kEncoding : Damage::kSyntax, name_, error.message());
    }
  }

  void ReadText(const Text& text) {
    const TextFile file(text.path, text.path.lexically_relative(root_).generic_string());
    if (file.text().find_first_not_of(" \t\r\n") == std::string_view::npos)
      problems_.Add(Damage::kSyntax, file.name(), "is empty, expected two questions");
    Lines lines(file.text());
    std::string_view line;
    while (lines.Next(line)) {
      const std::string place = file.Place(lines.number());
      if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
      const size_t tab = line.rfind('\t');
      if (line.size() > limits_.row_bytes) {
        problems_.AddTooLong(place, line.size(), limits_.row_bytes);
      } else if (!IsUtf8(line)) {
        problems_.Add(Damage::kEncoding, place, "is not UTF-8");
      } else if (line.find('\0') != std::string_view::npos) {
        problems_.Add(Damage::kSyntax, place, "has a NUL byte");
      } else if (tab == std::string_view::npos) {
        problems_.Add(Damage::kSyntax, place, "has no tab, expected a question, a tab, an answer");
      } else {
        const std::string group = text.path.stem().string();
        rows_.push_back(
            {Json{{"category", text.category},
                  {"image", PictureOf(text)},
                  {"group", group},
                  {"_key", text.category + "/" + group + "/" + std::to_string(lines.number())},
                  {"question", std::string(line.substr(0, tab))},
                  {"answer", std::string(line.substr(tab + 1))}},
             place});
      }
    }
  }

  fs::path root_;
  std::string name_;
  ReaderLimits limits_;
  Problems& problems_;
  std::vector<Text> texts_;
  size_t at_ = 0;
  std::vector<Row> rows_;  // of the text at at_
  size_t given_ = 0;
};

}  // namespace

std::unique_ptr<RowReader> OpenMme(const RowSource& source) {
  return std::make_unique<MmeReader>(source);
}

}  // namespace binocle::eval
