// A folder of data files that a test writes and that goes when the test ends.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "eval/readers/readers.h"
#include "eval/readers/values.h"

namespace binocle::eval {

class DataFolder {
 public:
  DataFolder() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::temp_directory_path() /
            ("binocle_" + std::string(test->test_suite_name()) + "_" + test->name() + "_" +
             std::to_string(::getpid()));
    std::filesystem::create_directories(path_);
  }
  ~DataFolder() { std::filesystem::remove_all(path_); }
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void Write(const std::string& name, std::string_view text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
  }

 private:
  std::filesystem::path path_;
};

inline std::vector<Row> AllRows(const DataFiles& data, const DataFolder& folder, Problems& problems,
                                ReaderLimits limits = {}) {
  const auto reader = OpenRows(data, folder.path(), limits, problems);
  std::vector<Row> rows;
  while (auto row = reader->Next()) rows.push_back(std::move(*row));
  return rows;
}

inline std::vector<std::string> Column(const std::vector<Row>& rows, const std::string& column) {
  std::vector<std::string> texts;
  for (const Row& row : rows) texts.push_back(TextOf(row.fields.at(column), column));
  return texts;
}

inline std::vector<std::string> Messages(const Problems& problems) {
  std::vector<std::string> messages;
  for (const Problem& problem : problems.kept()) messages.push_back(problem.message);
  return messages;
}

}  // namespace binocle::eval
