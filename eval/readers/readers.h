// The formats of data files, each in a file of its own. Columns that readers add: _file, the file's name without folder and ending; _row,
// the row's number in its file, from 0 on; _key, the key of a record in a JSON object.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eval/readers/rows.h"

namespace binocle::eval {

enum class DataFormat { kJsonl, kJson, kVqa, kTsv, kCsv, kVlmevalTsv, kMme, kParquet };

// Which files are read and how.
struct DataFiles {
  DataFormat format = DataFormat::kJsonl;
  std::vector<std::string> files;        // within the data folder; folders for kMme
  std::vector<std::string> annotations;  // kVqa: one per file, joined by question_id
  std::string records;                   // kJson: the member that holds the list; empty: the file
  std::map<std::string, std::string> sha256;  // by file: what it has to be, where the task says so
};

inline constexpr const char* kDataFormatNames =
    "jsonl, json, vqa, tsv, csv, vlmeval_tsv, mme or parquet";
std::optional<DataFormat> FindDataFormat(std::string_view name);
std::string_view DataFormatName(DataFormat format);

// All files are opened and their heads read before the first row: throws NOT_FOUND, INVALID_ARGUMENT for what is no such file,
// UNIMPLEMENTED for Parquet. `problems` must outlive the reader.
std::unique_ptr<RowReader> OpenRows(const DataFiles& data, const std::filesystem::path& folder,
                                    ReaderLimits limits, Problems& problems);

// One file each. `name` is what messages call it.
struct RowSource {
  std::filesystem::path path;
  std::string name;
  ReaderLimits limits;
  Problems& problems;
};
// A JSON object a line; blank lines are passed over.
std::unique_ptr<RowReader> OpenJsonl(const RowSource& source);
std::unique_ptr<RowReader> OpenJson(const RowSource& source, const std::string& records);
// The official VQA pair: {"questions": […]} and {"annotations": […]}. A row has the members of both.
std::unique_ptr<RowReader> OpenVqa(const RowSource& source,
                                   const std::filesystem::path& annotations);
// A head of column names; cells in double quotes may hold separators, line ends and quotes written twice. Every value is a text.
std::unique_ptr<RowReader> OpenDelimited(const RowSource& source, char separator);
// The same with VLMEvalKit's rule: an image of at most 64 characters is the index of the row that has the picture.
std::unique_ptr<RowReader> OpenVlmevalTsv(const RowSource& source);
// MME: a folder per category, pictures and for each a text of the same name with "question<tab>answer" lines; either side by side or in
// "images" and "questions_answers_YN". Rows have category, image (a path within the folder), question, answer, group.
std::unique_ptr<RowReader> OpenMme(const RowSource& source);

}  // namespace binocle::eval
