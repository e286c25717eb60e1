// Files and folders that are there whole or not at all.
#include "core/output_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "core/mapped_file.h"
#include "tests/testing/errors.h"

namespace binocle {
namespace {

using testing::ErrorOf;

class OutputFiles : public ::testing::Test {
 protected:
  OutputFiles() {
    std::string name = (std::filesystem::temp_directory_path() / "binocle_output_XXXXXX").string();
    root_ = mkdtemp(name.data());
  }
  ~OutputFiles() override { std::filesystem::remove_all(root_); }

  void Put(const std::filesystem::path& path, const std::string& text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::vector<std::string> Left() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_))
      names.push_back(entry.path().lexically_relative(root_).string());
    std::sort(names.begin(), names.end());
    return names;
  }

  std::filesystem::path root_;
};

TEST_F(OutputFiles, AFileAppearsWithCommitAndNotBefore) {
  {
    OutputFile file(root_ / "a");
    file.Write("one ");
    file.Write("two");
    EXPECT_FALSE(std::filesystem::exists(root_ / "a"));
    EXPECT_EQ(file.bytes(), 7);
    file.Commit();
  }
  EXPECT_EQ(ReadFile(root_ / "a", 100), "one two");
  EXPECT_EQ(Left(), std::vector<std::string>{"a"});
}

TEST_F(OutputFiles, WhatIsNotCommittedLeavesNothingAndWhatWasThereStays) {
  Put(root_ / "a", "older");
  { OutputFile(root_ / "a", Replace::kOlder).Write("new"); }
  EXPECT_EQ(ReadFile(root_ / "a", 100), "older");
  EXPECT_EQ(Left(), std::vector<std::string>{"a"});
  EXPECT_EQ(ErrorOf([&] { OutputFile(root_ / "a"); }),
            "ALREADY_EXISTS: " + (root_ / "a").string() + ": is there already");
}

TEST_F(OutputFiles, TwoWritersOfOnePathDoNotMix) {
  OutputFile first(root_ / "a");
  EXPECT_EQ(ErrorOf([&] { OutputFile(root_ / "a"); }).substr(0, 14), "ALREADY_EXISTS");
  first.Write("first");
  first.Commit();
  EXPECT_EQ(ReadFile(root_ / "a", 100), "first");
}

TEST_F(OutputFiles, AFolderReplacesAModelAndNothingElse) {
  Put(root_ / "model/config.json", "{}");
  Put(root_ / "model/old", "x");
  Put(root_ / "pictures/cat.png", "x");
  EXPECT_EQ(ErrorOf([&] { NewFolder(root_ / "pictures", Replace::kOlder); }),
            "FAILED_PRECONDITION: " + (root_ / "pictures").string() +
                ": has no config.json, expected a model's folder: no other is replaced");
  EXPECT_EQ(
      ErrorOf([&] { NewFolder(root_ / "model", Replace::kNothing); }),
      "ALREADY_EXISTS: " + (root_ / "model").string() + ": is there already and is not empty");
  {
    NewFolder folder(root_ / "model/", Replace::kOlder);
    Put(folder.path() / "config.json", "{}");
  }
  EXPECT_TRUE(std::filesystem::exists(root_ / "model/old"));
  {
    NewFolder folder(root_ / "model/", Replace::kOlder);
    Put(folder.path() / "new", "x");
    folder.Commit();
  }
  EXPECT_EQ(Left(),
            (std::vector<std::string>{"model", "model/new", "pictures", "pictures/cat.png"}));
}

TEST_F(OutputFiles, AnEmptyFolderMayBeThere) {
  std::filesystem::create_directory(root_ / "model");
  NewFolder folder(root_ / "model", Replace::kNothing);
  Put(folder.path() / "new", "x");
  folder.Commit();
  EXPECT_EQ(Left(), (std::vector<std::string>{"model", "model/new"}));
}

TEST_F(OutputFiles, TheSystemsReasonIsTheError) {
  EXPECT_EQ(ErrorOf([&] { OutputFile(root_ / "none/a"); }),
            "NOT_FOUND: " + (root_ / "none/a").string() +
                ": cannot be written: No such file or directory");
  EXPECT_EQ(ErrorOf([&] { NewFolder(root_ / "none/a", Replace::kNothing); }).substr(0, 9),
            "NOT_FOUND");
  EXPECT_EQ(ErrorOf([&] { CheckRoom(root_ / "a", int64_t{1} << 60); }).substr(0, 18),
            "RESOURCE_EXHAUSTED");
  EXPECT_EQ(ErrorOf([&] { CheckRoom(root_ / "a", 1); }), "no error");
}

}  // namespace
}  // namespace binocle
