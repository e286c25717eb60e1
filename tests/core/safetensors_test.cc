#include "core/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "tests/testing/errors.h"

namespace binocle {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// A file that goes away with the test.
class SafetensorsFileTest : public ::testing::Test {
 protected:
  ~SafetensorsFileTest() override { std::filesystem::remove(path_); }

  std::filesystem::path Write(const std::string& header, size_t data_bytes,
                              int64_t header_length = -1) {
    std::ofstream out(path_, std::ios::binary);
    const uint64_t length =
        header_length < 0 ? header.size() : static_cast<uint64_t>(header_length);
    out.write(reinterpret_cast<const char*>(&length), 8);
    out << header << std::string(data_bytes, '\x01');
    return path_;
  }
  std::string ErrorOf(const std::string& header, size_t data_bytes, int64_t header_length = -1) {
    Write(header, data_bytes, header_length);
    std::string error = testing::ErrorOf([&] { SafetensorsFile{path_}; });
    const std::string prefix = "INVALID_ARGUMENT: " + path_.string() + ": ";
    EXPECT_THAT(error, StartsWith(prefix)) << "the file is named";
    return error.substr(std::min(prefix.size(), error.size()));
  }

  std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / ("binocle_safetensors_" + std::to_string(getpid()));
};

TEST_F(SafetensorsFileTest, ReadsTensorsOfEveryKnownType) {
  Write(
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[24,28]},)"
      R"("ids":{"dtype":"I64","shape":[1],"data_offsets":[28,36]},"s":{"dtype":"F16","shape":[],"data_offsets":[36,38]}})",
      38);
  const SafetensorsFile file(path_);
  EXPECT_EQ(file.tensors().at("a").shape(), (Shape{2, 3}));
  EXPECT_EQ(file.tensors().at("b").dtype(), DType::kBF16);
  EXPECT_EQ(file.tensors().at("s").elements(), 1) << "a scalar";
  EXPECT_FALSE(file.tensors().contains("ids")) << "types that no model reads are skipped";
  EXPECT_EQ(file.tensors().at("a").name(), "a");
}

TEST_F(SafetensorsFileTest, RefusesDamagedFilesByNameAndPlace) {
  EXPECT_THAT(ErrorOf("{}", 0, 100), HasSubstr("header length 100"));
  EXPECT_THAT(ErrorOf("{}", 0, INT64_MAX), HasSubstr("header length"));
  EXPECT_THAT(ErrorOf("{\"a\":", 0), HasSubstr("not valid JSON"));
  EXPECT_THAT(ErrorOf("[1]", 0), HasSubstr("expected an object"));
  EXPECT_THAT(ErrorOf(R"({"a":3})", 0), HasSubstr("a: is a JSON number"));
  EXPECT_THAT(ErrorOf(R"({"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}})", 4),
              HasSubstr("dtype is \"F99\""));
  EXPECT_THAT(ErrorOf(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4),
              HasSubstr("extents of 0 or more"));
  EXPECT_THAT(
      ErrorOf(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", 4),
      HasSubstr("fits 63 bits"));
  EXPECT_THAT(
      ErrorOf(R"({"a":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}})", 0),
      HasSubstr("fits 63 bits"))
      << "strides must not overflow where there are no elements";
  EXPECT_THAT(
      ErrorOf(R"({"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4]}})", 4),
      HasSubstr("data_offsets"));
  EXPECT_THAT(ErrorOf(R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", 4),
              HasSubstr("extents"));
  EXPECT_THAT(ErrorOf(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4),
              HasSubstr("a range of 8 bytes = 2 × 4"));
  EXPECT_THAT(ErrorOf(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4),
              HasSubstr("data_offsets"));
  EXPECT_THAT(ErrorOf(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3),
              HasSubstr("data_offsets"));
  EXPECT_THAT(ErrorOf(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4),
              HasSubstr("[begin, end]"));
  EXPECT_THAT(ErrorOf(R"({"a":{"dtype":"F32","shape":[1,1,1,1,1],"data_offsets":[0,4]}})", 4),
              HasSubstr("at most 4 dimensions"));
  EXPECT_THAT(ErrorOf(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4),
              HasSubstr("dtype is missing"));
}

// A header of U8 tensors named a, b, … with these byte ranges.
std::string Ranges(std::initializer_list<std::pair<int, int>> ranges) {
  std::string header;
  char name = 'a';
  for (const auto& [begin, end] : ranges) {
    header +=
        internal::Concat(header.empty() ? "{" : ",", '"', name++, R"(":{"dtype":"U8","shape":[)",
                         end - begin, R"(],"data_offsets":[)", begin, ",", end, "]}");
  }
  return header + "}";
}

TEST_F(SafetensorsFileTest, OverlapsNameBothTensorsAndTheirRanges) {
  EXPECT_EQ(ErrorOf(Ranges({{0, 8}, {4, 12}}), 12),
            "a (data_offsets [0, 8]) and b (data_offsets [4, 12]) overlap");
  EXPECT_EQ(ErrorOf(Ranges({{0, 4}, {4, 8}, {4, 8}}), 8),
            "b (data_offsets [4, 8]) and c (data_offsets [4, 8]) overlap")
      << "the same range twice";
  EXPECT_EQ(ErrorOf(Ranges({{2, 4}, {0, 8}}), 8),
            "b (data_offsets [0, 8]) and a (data_offsets [2, 4]) overlap")
      << "one inside the other, in any order of names";
  EXPECT_EQ(ErrorOf(Ranges({{0, 8}, {4, 4}}), 8),
            "a (data_offsets [0, 8]) and b (data_offsets [4, 4]) overlap")
      << "a tensor of no elements inside another";
}

TEST_F(SafetensorsFileTest, HolesNameTheBytesThatNoTensorHas) {
  EXPECT_EQ(ErrorOf(Ranges({{0, 4}, {8, 12}}), 12),
            "bytes 4 to 8 of the data belong to no tensor: a hole before b (data_offsets [8, 12])");
  EXPECT_EQ(ErrorOf(Ranges({{1, 4}}), 4),
            "bytes 0 to 1 of the data belong to no tensor: a hole before a (data_offsets [1, 4])");
  EXPECT_EQ(ErrorOf(Ranges({{0, 4}}), 8),
            "bytes 4 to 8 of the data belong to no tensor: a hole before the end of the file");
  EXPECT_EQ(ErrorOf("{}", 8),
            "bytes 0 to 8 of the data belong to no tensor: a hole before the end of the file");
}

TEST_F(SafetensorsFileTest, TensorsWithoutElementsMayShareAPlace) {
  Write(Ranges({{0, 0}, {0, 4}, {4, 4}, {4, 4}}), 4);
  EXPECT_EQ(SafetensorsFile(path_).tensors().size(), 4U);
}

TEST_F(SafetensorsFileTest, EveryPrefixOfAFileIsAnError) {
  const std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  Write(header, 8);
  const auto size = std::filesystem::file_size(path_);
  for (uintmax_t length = 0; length < size; ++length) {
    Write(header, 8);
    std::filesystem::resize_file(path_, length);
    EXPECT_THROW(SafetensorsFile{path_}, Error) << length << " bytes";
  }
}

TEST(Safetensors, WhatIsNoFileIsRefusedAtOnce) {
  EXPECT_THROW(SafetensorsFile("/dev/zero"), Error);
  EXPECT_THROW(SafetensorsFile("/"), Error);
  EXPECT_THROW(SafetensorsFile("/nonexistent"), Error);
}

}  // namespace
}  // namespace binocle
