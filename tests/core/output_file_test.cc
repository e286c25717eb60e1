// Files and folders that are there whole or not at all.
#include "core/output_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <utility>

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

// Of what is mapped from `path` and was touched, the bytes in huge pages.
int64_t HugeBytesOf(const std::filesystem::path& path) {
  std::ifstream maps("/proc/self/smaps");
  bool ours = false;
  int64_t kilobytes = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(" kB") == std::string::npos) ours = line.ends_with(path.string());
    if (ours && line.starts_with("FilePmdMapped:"))
      kilobytes += std::stoll(line.substr(line.find(':') + 1));
  }
  return kilobytes << 10;
}

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

TEST_F(OutputFiles, LargeOnesAreWrittenAndMappedInHugePages) {
  const std::string megabytes(3 * kHugePage, 'x');
  // What the system does at best.
  const int fd = open((root_ / "best").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(write(fd, megabytes.data(), megabytes.size()), static_cast<ssize_t>(megabytes.size()));
  void* best = mmap(nullptr, megabytes.size(), PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  madvise(best, megabytes.size(), MADV_HUGEPAGE);
  PopulateMapped(best, megabytes.size());
  const int64_t most = HugeBytesOf(root_ / "best");
  munmap(best, megabytes.size());
  if (most == 0) GTEST_SKIP() << "the system has no huge pages for files here";

  OutputFile file(root_ / "ours");
  for (size_t i = 0; i < megabytes.size(); i += 1000)
    file.Write(std::string_view(megabytes).substr(i, 1000));
  file.Commit();
  const MappedFile mapped(root_ / "ours");
  EXPECT_EQ(mapped.bytes(), megabytes);
  // All of them where memory is not scattered.
  EXPECT_GE(HugeBytesOf(root_ / "ours"), static_cast<int64_t>(kHugePage));
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
