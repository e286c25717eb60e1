#include "core/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <type_traits>

#include "core/convert.h"
#include "core/safetensors.h"
#include "core/weight_files.h"
#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::SameBits;
using ::testing::StartsWith;

const std::filesystem::path kGoldens = std::filesystem::path(BINOCLE_TEST_DATA) / "gguf";

// The bytes of a file, put together piece by piece.
class Bytes {
 public:
  template <typename T>
  Bytes& Add(T number) {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    text_.append(reinterpret_cast<const char*>(&number), sizeof(T));
    return *this;
  }
  Bytes& Add(std::string_view text) {
    Add<uint64_t>(text.size());
    text_ += text;
    return *this;
  }
  Bytes& Add(const char* text) { return Add(std::string_view(text)); }
  Bytes& Add(const Bytes& more) {
    text_ += more.text_;
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

Bytes Head(uint64_t tensors, uint64_t entries, uint32_t version = 3) {
  return Bytes().Add(uint32_t{0x46554747}).Add(version).Add(tensors).Add(entries);
}

template <typename T>
Bytes Entry(const char* key, GgufType type, T value) {
  return Bytes().Add(key).Add(type).Add(value);
}

Bytes ArrayEntry(const char* key, GgufType element, uint64_t count, const Bytes& values) {
  return Bytes().Add(key).Add(GgufType::kArray).Add(element).Add(count).Add(values);
}

// `extents` as files have them: the fastest first.
Bytes TensorEntry(const char* name, std::initializer_list<uint64_t> extents, uint32_t type,
                  uint64_t offset) {
  Bytes bytes;
  bytes.Add(name).Add(static_cast<uint32_t>(extents.size()));
  for (const uint64_t extent : extents) bytes.Add(extent);
  return bytes.Add(type).Add(offset);
}

// Files that go away with the test.
class GgufFileTest : public ::testing::Test {
 protected:
  GgufFileTest() { std::filesystem::create_directories(folder_); }
  ~GgufFileTest() override { std::filesystem::remove_all(folder_); }

  // `head`, padding to the alignment, and that many bytes of data.
  std::filesystem::path Write(const Bytes& head, size_t data_bytes = 0, size_t alignment = 32,
                              const std::string& name = "x.gguf") {
    std::ofstream out(folder_ / name, std::ios::binary);
    out << head.text();
    if (data_bytes > 0)
      out << std::string((alignment - head.text().size() % alignment) % alignment, '\0')
          << std::string(data_bytes, '\x01');
    return folder_ / name;
  }
  // What opening it says, without the code and the file, which are checked.
  std::string ErrorOf(const Bytes& head, size_t data_bytes = 0,
                      const std::string& code = "INVALID_ARGUMENT") {
    const std::filesystem::path path = Write(head, data_bytes);
    const std::string error = testing::ErrorOf([&] { GgufFile{path}; });
    const std::string prefix = code + ": " + path.string() + ": ";
    EXPECT_THAT(error, StartsWith(prefix));
    return error.substr(std::min(prefix.size(), error.size()));
  }

  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("binocle_gguf_" + std::to_string(getpid()));
};

TEST(Gguf, TensorsOfEveryTypeHaveTheValuesOfTheGgufPackage) {
  const SafetensorsFile values(kGoldens / "every_type.safetensors");
  for (const char* name : {"every_type.gguf", "split-00001-of-00003.gguf"}) {
    const TensorSet set = ReadTensors(kGoldens / name);
    ASSERT_EQ(set.tensors().size(), values.tensors().size()) << name;
    for (const auto& [tensor, view] : set.tensors()) {
      const TensorView want = values.tensors().at(tensor);
      ASSERT_EQ(view.shape(), want.shape()) << tensor;
      EXPECT_EQ(view.name(), tensor);
      if (view.dtype() == DType::kI32) {
        EXPECT_THAT(std::vector<int32_t>(view.i32(), view.i32() + 3), ElementsAre(1, -2, 3));
        continue;
      }
      EXPECT_EQ(DTypeName(view.dtype()), tensor == "vector" ? "f32"
                                         : tensor == "cube" ? "q4_0"
                                                            : tensor);
      Tensor got = Tensor::F32(want.shape(), tensor), expected = got.Clone();
      ReadAsF32(view, 0, view.elements(), got.f32());
      ReadAsF32(want, 0, want.elements(), expected.f32());
      const Shape flat{1, want.elements()};
      EXPECT_TRUE(SameBits(got.view().Reshape(flat), expected.view().Reshape(flat))) << name;
    }
  }
}

TEST(Gguf, MetadataOfEveryTypeIsReadAsWritten) {
  const GgufFile file(kGoldens / "every_type.gguf");
  const GgufMetadata& m = file.metadata();
  EXPECT_EQ(m.String("general.architecture"), "llama");
  EXPECT_EQ(m.Int("test.u8", 0, 255), 200);
  EXPECT_EQ(m.Int("test.i8", -128, 127), -100);
  EXPECT_EQ(m.Int("test.u16", 0, 65535), 60000);
  EXPECT_EQ(m.Int("test.i16", -40000, 0), -30000);
  EXPECT_EQ(m.Int("test.u32", 0, INT64_MAX), 4000000000);
  EXPECT_EQ(m.Int("test.i32", INT64_MIN, 0), -2000000000);
  EXPECT_EQ(m.Int("test.i64", INT64_MIN, 0), -(int64_t{1} << 62));
  EXPECT_EQ(m.Number("test.u64", 0, 1e20), 0x1p63);
  EXPECT_EQ(m.Number("test.f32", 0, 1), 0.1F);
  EXPECT_EQ(m.Number("test.f64", 0, 1), 0.1);
  EXPECT_EQ(m.Number("test.i8", -200, 0), -100) << "integers are numbers";
  EXPECT_TRUE(m.BoolOr("test.bool", false));
  EXPECT_EQ(m.String("test.string"), "grüße");
  EXPECT_EQ(m.String("test.empty"), "");
  EXPECT_THAT(m.Strings("test.strings"), ElementsAre("a", "", "▁b"));
  EXPECT_THAT(m.Floats("test.floats"), ElementsAre(0.1F, -1.5F));
  EXPECT_THAT(m.Bools("test.bools"), ElementsAre(true, false, true));
  EXPECT_THAT(m.Ints("test.u8s", 0, 255), ElementsAre(1, 2, 250));
  EXPECT_THAT(m.Ints("test.i16s", -1, 255), ElementsAre(-1, 2, 250));
  EXPECT_THAT(m.Ints("test.i32s", -1, 255), ElementsAre(-1, 2, 250));
  EXPECT_THAT(m.Ints("test.u64s", 0, 255), ElementsAre(1, 2, 250));
}

TEST(Gguf, FallbacksAreForMissingKeysAlone) {
  const GgufFile file(kGoldens / "every_type.gguf");
  const GgufMetadata& m = file.metadata();
  EXPECT_FALSE(m.Has("none"));
  EXPECT_EQ(m.IntOr("none", 7, 0, 1), 7);
  EXPECT_EQ(m.NumberOr("none", 0.5, 0, 1), 0.5);
  EXPECT_TRUE(m.BoolOr("none", true));
  EXPECT_EQ(m.StringOr("none", "x"), "x");
  EXPECT_THROW(m.IntOr("test.string", 7, 0, 1), Error);
  EXPECT_THROW(m.NumberOr("test.string", 7, 0, 1), Error);
  EXPECT_THROW(m.BoolOr("test.u8", true), Error);
  EXPECT_THROW(m.StringOr("test.u8", "x"), Error);
}

TEST(Gguf, LookupsSayWhatIsThereAndWhatWasExpected) {
  const GgufFile file(kGoldens / "every_type.gguf");
  const GgufMetadata& m = file.metadata();
  const auto error_of = [&](const std::function<void()>& lookup) {
    const std::string error = testing::ErrorOf(lookup);
    const std::string prefix = "INVALID_ARGUMENT: " + file.path() + ": ";
    EXPECT_THAT(error, StartsWith(prefix));
    return error.substr(std::min(prefix.size(), error.size()));
  };
  EXPECT_EQ(error_of([&] { m.Int("none", 1, 9); }),
            "none is missing, expected an integer from 1 to 9");
  EXPECT_EQ(error_of([&] { m.Int("test.u8", 1, 9); }),
            "test.u8 is u8 200, expected an integer from 1 to 9");
  EXPECT_EQ(error_of([&] { m.Int("test.u64", 1, 9); }),
            "test.u64 is u64 9223372036854775808, expected an integer from 1 to 9");
  EXPECT_EQ(error_of([&] { m.Int("test.f32", 0, 9); }),
            "test.f32 is f32 0.1, expected an integer from 0 to 9");
  EXPECT_EQ(error_of([&] { m.Number("test.f64", 1, 2); }),
            "test.f64 is f64 0.1, expected a number from 1 to 2");
  EXPECT_EQ(error_of([&] { m.String("test.bool"); }), "test.bool is bool true, expected a string");
  EXPECT_EQ(error_of([&] { m.BoolOr("test.string", true); }),
            "test.string is string \"grüße\", expected true or false");
  EXPECT_EQ(error_of([&] { m.Strings("test.floats"); }),
            "test.floats is array of 2 f32s, expected an array of strings");
  EXPECT_EQ(error_of([&] { m.Int("test.strings", 0, 1); }),
            "test.strings is array of 3 strings, expected an integer from 0 to 1");
  EXPECT_EQ(error_of([&] { m.Floats("test.u8s"); }),
            "test.u8s is array of 3 u8s, expected an array of f32");
  EXPECT_EQ(error_of([&] { m.Bools("test.bool"); }),
            "test.bool is bool true, expected an array of bools");
  EXPECT_EQ(error_of([&] { m.Ints("test.floats", 0, 1); }),
            "test.floats is array of 2 f32s, expected an array of integers");
  EXPECT_EQ(error_of([&] { m.Ints("test.u8s", 0, 9); }),
            "test.u8s element 2 is 250, expected an integer from 0 to 9");
}

TEST_F(GgufFileTest, TheSmallestFilesAreRead) {
  EXPECT_TRUE(GgufFile(Write(Head(0, 0))).tensors().empty());
  EXPECT_TRUE(GgufFile(Write(Head(0, 0, 2))).metadata().Keys().empty()) << "version 2";
  const GgufFile file(
      Write(Head(2, 0).Add(TensorEntry("s", {}, 0, 0)).Add(TensorEntry("e", {0, 3}, 0, 32)), 36));
  EXPECT_EQ(file.tensors().at("s").shape(), Shape{1}) << "a scalar";
  EXPECT_EQ(file.tensors().at("e").shape(), (Shape{3, 0}));
}

TEST_F(GgufFileTest, ExtentsAreReversedAndDataIsWhereTheAlignmentPutsIt) {
  const Bytes head = Head(2, 1)
                         .Add(Entry("general.alignment", GgufType::kU32, uint32_t{128}))
                         .Add(TensorEntry("a", {3, 2}, 0, 0))
                         .Add(TensorEntry("b", {32, 2, 5}, 2, 128));
  const GgufFile file(Write(head, 128 + 180, 128));
  const TensorView a = file.tensors().at("a"), b = file.tensors().at("b");
  EXPECT_EQ(a.shape(), (Shape{2, 3}));
  EXPECT_EQ(b.shape(), (Shape{5, 2, 32}));
  EXPECT_EQ(b.bytes(), 180);
  EXPECT_EQ(*static_cast<const char*>(a.data()), 1) << "the first byte of the data";
  EXPECT_EQ(static_cast<const char*>(b.data()) - static_cast<const char*>(a.data()), 128);
}

TEST_F(GgufFileTest, ArraysInArraysAreSkippedUpToAnExtent) {
  Bytes nested = Bytes().Add(GgufType::kU8).Add(uint64_t{2}).Add(uint16_t{0});
  for (int level = 2; level < GgufMetadata::kMaxNesting; ++level)
    nested = Bytes().Add(GgufType::kArray).Add(uint64_t{1}).Add(nested);
  const GgufFile file(Write(Head(0, 1).Add(ArrayEntry("n", GgufType::kArray, 1, nested))));
  EXPECT_EQ(file.metadata().Describe("n"), "array of 1 array");
  const Bytes deeper = Bytes().Add(GgufType::kArray).Add(uint64_t{1}).Add(nested);
  EXPECT_EQ(ErrorOf(Head(0, 1).Add(ArrayEntry("n", GgufType::kArray, 1, deeper))),
            "metadata entry 0 (n) has arrays in arrays, expected at most 4 levels");
}

TEST_F(GgufFileTest, OtherFormatsAndVersionsAreNamed) {
  EXPECT_EQ(ErrorOf(Bytes().Add(uint32_t{0x12345678})), "is no GGUF file");
  EXPECT_EQ(ErrorOf(Bytes().Add(uint16_t{1})),
            "header needs 4 bytes at byte 0, the file has 2 there");
  EXPECT_EQ(ErrorOf(Head(0, 0, 1), 0, "UNIMPLEMENTED"), "is of GGUF version 1, expected 2 or 3");
  EXPECT_EQ(ErrorOf(Head(0, 0, 4), 0, "UNIMPLEMENTED"), "is of GGUF version 4, expected 2 or 3");
  EXPECT_EQ(ErrorOf(Head(0, 0, 0x03000000), 0, "UNIMPLEMENTED"),
            "is big-endian, expected a little-endian file");
  EXPECT_EQ(
      ErrorOf(Head(1, 0).Add(TensorEntry("x", {256}, 16, 0)), 66, "UNIMPLEMENTED"),
      "tensor x is of type IQ2_XXS (16), expected one of F32, F16, BF16, I32, Q8_0, Q4_0, Q4_1, "
      "Q5_0, Q5_1, Q4_K, Q5_K, Q6_K");
  EXPECT_THAT(ErrorOf(Head(1, 0).Add(TensorEntry("x", {256}, 99, 0)), 66, "UNIMPLEMENTED"),
              StartsWith("tensor x is of type unknown (99), expected one of F32"));
}

TEST_F(GgufFileTest, DamagedMetadataIsRefusedByNameAndPlace) {
  EXPECT_EQ(ErrorOf(Head(0, 65537)), "has 65537 metadata entries, expected at most 65536");
  EXPECT_EQ(ErrorOf(Head(0, 1)), "metadata entry 0 needs 8 bytes at byte 24, the file has 0 there");
  EXPECT_EQ(ErrorOf(Head(0, 1).Add(uint64_t{1} << 60)),
            "metadata entry 0 has a string of 1152921504606846976 bytes, expected at most 65535");
  EXPECT_EQ(ErrorOf(Head(0, 1).Add(Entry("k", static_cast<GgufType>(13), 0))),
            "metadata entry 0 (k) has value type 13, expected 0 to 12");
  EXPECT_EQ(ErrorOf(Head(0, 1).Add(Entry("k", GgufType::kU64, uint32_t{0}))),
            "metadata entry 0 (k) needs 8 bytes at byte 37, the file has 4 there");
  EXPECT_EQ(ErrorOf(Head(0, 1).Add(Entry("k", GgufType::kBool, uint8_t{2}))),
            "metadata entry 0 (k) has 2 as a truth value, expected 0 or 1");
  EXPECT_EQ(ErrorOf(Head(0, 1).Add(Entry("k", GgufType::kString, uint64_t{1} << 40))),
            "metadata entry 0 (k) has a string of 1099511627776 bytes, expected at most 67108864");
  EXPECT_EQ(ErrorOf(Head(0, 1).Add(Entry("k", GgufType::kString, uint64_t{5}))),
            "metadata entry 0 (k) needs 5 bytes at byte 45, the file has 0 there");
  EXPECT_EQ(ErrorOf(Head(0, 1).Add(ArrayEntry("k", GgufType::kU64, uint64_t{1} << 61, Bytes()))),
            "metadata entry 0 (k) is an array of 2305843009213693952 elements, expected at most "
            "16777216");
  EXPECT_EQ(ErrorOf(Head(0, 1).Add(ArrayEntry("k", GgufType::kU64, 1 << 24, Bytes()))),
            "metadata entry 0 (k) needs 134217728 bytes at byte 49, the file has 0 there");
  EXPECT_EQ(
      ErrorOf(Head(0, 1).Add(ArrayEntry("k", GgufType::kBool, 2, Bytes().Add(uint16_t{256 * 9})))),
      "metadata entry 0 (k) has 9 as a truth value, expected 0 or 1");
  EXPECT_EQ(ErrorOf(Head(0, 1).Add(ArrayEntry("k", GgufType::kString, 2, Bytes().Add("a")))),
            "metadata entry 0 (k) needs 8 bytes at byte 58, the file has 0 there");
  const Bytes k = Entry("k", GgufType::kU8, uint8_t{0});
  EXPECT_EQ(ErrorOf(Head(0, 2).Add(k).Add(k)), "metadata entry 1 (k) is there twice");
}

TEST_F(GgufFileTest, DamagedTensorsAreRefusedByNameAndPlace) {
  EXPECT_EQ(ErrorOf(Head(65537, 0)), "has 65537 tensors, expected at most 65536");
  EXPECT_EQ(ErrorOf(Head(1, 0)), "tensor 0 needs 8 bytes at byte 24, the file has 0 there");
  EXPECT_EQ(ErrorOf(Head(1, 0).Add(std::string_view(std::string(1025, 'x')))),
            "tensor 0 has a string of 1025 bytes, expected at most 1024");
  EXPECT_EQ(ErrorOf(Head(1, 0).Add(TensorEntry("x", {1, 1, 1, 1, 1}, 0, 0)), 4),
            "tensor x has 5 dimensions, expected at most 4");
  EXPECT_EQ(ErrorOf(Head(1, 0).Add(TensorEntry("x", {uint64_t{1} << 63}, 0, 0)), 4),
            "tensor x has extent 9223372036854775808 in dimension 0, expected a product that fits "
            "63 bits");
  EXPECT_THAT(ErrorOf(Head(1, 0).Add(TensorEntry("x", {1 << 16, uint64_t{1} << 47}, 0, 0)), 4),
              HasSubstr("in dimension 1, expected a product that fits 63 bits"));
  EXPECT_THAT(
      ErrorOf(Head(1, 0).Add(TensorEntry("x", {0, uint64_t{1} << 62, uint64_t{1} << 62}, 0, 0)), 4),
      HasSubstr("fits 63 bits"))
      << "strides must not overflow where there are no elements";
  EXPECT_EQ(ErrorOf(Head(1, 0).Add(TensorEntry("x", {uint64_t{1} << 62}, 0, 0)), 4),
            "tensor x is f32 [4611686018427387904], expected bytes that fit 63 bits");
  EXPECT_EQ(ErrorOf(Head(1, 0).Add(TensorEntry("x", {100, 2}, 12, 0)), 999),
            "tensor x is q4_k [2, 100], expected a last extent of whole blocks of 256");
  EXPECT_EQ(ErrorOf(Head(1, 0).Add(TensorEntry("x", {1}, 0, 4)), 36),
            "tensor x has offset 4, expected a multiple of 32 (general.alignment)");
  EXPECT_EQ(ErrorOf(Head(1, 0).Add(TensorEntry("x", {2}, 0, 0)), 7),
            "tensor x has 8 bytes at offset 0, the data has 7");
  EXPECT_EQ(ErrorOf(Head(1, 0).Add(TensorEntry("x", {2}, 0, 0))),
            "tensor x has 8 bytes at offset 0, the data has 0")
      << "the file ends before the data begins";
  EXPECT_EQ(ErrorOf(Head(1, 0).Add(TensorEntry("x", {2}, 0, ~uint64_t{31})), 8),
            "tensor x has 8 bytes at offset 18446744073709551584, the data has 8");
  EXPECT_EQ(
      ErrorOf(Head(2, 0).Add(TensorEntry("x", {1}, 0, 0)).Add(TensorEntry("x", {1}, 0, 32)), 36),
      "tensor x is there twice");
  EXPECT_EQ(
      ErrorOf(Head(2, 0).Add(TensorEntry("b", {9}, 0, 0)).Add(TensorEntry("a", {1}, 0, 32)), 36),
      "tensor b (bytes 0 to 36 of the data) and tensor a (bytes 32 to 36 of the data) overlap");
}

TEST_F(GgufFileTest, AlignmentsAreSmallPowersOfTwo) {
  const auto with = [](uint32_t alignment) {
    return Head(0, 1).Add(Entry("general.alignment", GgufType::kU32, alignment));
  };
  EXPECT_EQ(ErrorOf(with(0)), "general.alignment is u32 0, expected an integer from 1 to 1048576");
  EXPECT_EQ(ErrorOf(with(48)), "general.alignment is u32 48, expected a power of two");
  EXPECT_EQ(ErrorOf(with(1 << 21)),
            "general.alignment is u32 2097152, expected an integer from 1 to 1048576");
}

TEST_F(GgufFileTest, EveryPrefixOfAFileIsAnError) {
  const std::filesystem::path path = folder_ / "x.gguf";
  std::filesystem::copy_file(kGoldens / "every_type.gguf", path);
  constexpr uintmax_t kHead = 1408;   // where the data begins
  constexpr uintmax_t kPadding = 40;  // after the last tensor
  uintmax_t length = std::filesystem::file_size(path) - kPadding;
  while (length > 0) {
    length -= length > kHead ? std::min<uintmax_t>(61, length - kHead) : 1;
    std::filesystem::resize_file(path, length);
    EXPECT_THROW(GgufFile{path}, Error) << length << " bytes";
  }
}

// Part `number` (from 0) of `count`, with one tensor.
Bytes SplitPart(const char* tensor, uint16_t number, uint16_t count, int32_t tensors) {
  return Head(1, 3)
      .Add(Entry("split.no", GgufType::kU16, number))
      .Add(Entry("split.count", GgufType::kU16, count))
      .Add(Entry("split.tensors.count", GgufType::kI32, tensors))
      .Add(TensorEntry(tensor, {1}, 0, 0));
}

class SplitGguf : public GgufFileTest {
 protected:
  static constexpr const char* kFirst = "m-00001-of-00002.gguf";
  static constexpr const char* kSecond = "m-00002-of-00002.gguf";

  std::string ErrorOfFirst() {
    const std::string error = testing::ErrorOf([&] { GgufFile{folder_ / kFirst}; });
    std::string out;  // without the folder
    for (size_t at = 0; at < error.size(); ++at) {
      if (error.compare(at, folder_.string().size(), folder_.string()) == 0)
        at += folder_.string().size();
      else
        out += error[at];
    }
    return out;
  }
};

TEST_F(SplitGguf, TheFirstPartOpensAll) {
  Write(SplitPart("a", 0, 2, 2), 4, 32, kFirst);
  Write(SplitPart("b", 1, 2, 2), 4, 32, kSecond);
  const GgufFile file(folder_ / kFirst);
  EXPECT_EQ(file.tensors().size(), 2U);
  EXPECT_EQ(file.tensors().at("b").elements(), 1);
  EXPECT_EQ(testing::ErrorOf([&] { GgufFile{folder_ / kSecond}; }),
            "INVALID_ARGUMENT: " + (folder_ / kSecond).string() +
                ": split.no is u16 1, expected 0: the first of 2 parts is opened");
}

TEST_F(SplitGguf, MissingAndContradictingPartsAreNamed) {
  Write(SplitPart("a", 0, 2, 2), 4, 32, kFirst);
  EXPECT_EQ(ErrorOfFirst(),
            "NOT_FOUND: m-00001-of-00002.gguf: part 2 of 2: m-00002-of-00002.gguf: no such file");
  Write(SplitPart("b", 1, 3, 2), 4, 32, kSecond);
  EXPECT_EQ(ErrorOfFirst(),
            "INVALID_ARGUMENT: m-00002-of-00002.gguf: split.count is u16 3, expected an integer "
            "from 2 to 2");
  Write(SplitPart("b", 0, 2, 2), 4, 32, kSecond);
  EXPECT_EQ(ErrorOfFirst(),
            "INVALID_ARGUMENT: m-00002-of-00002.gguf: split.no is u16 0, expected an integer from "
            "1 to 1");
  Write(SplitPart("a", 1, 2, 2), 4, 32, kSecond);
  EXPECT_EQ(
      ErrorOfFirst(),
      "INVALID_ARGUMENT: m-00002-of-00002.gguf: tensor a is there twice, here or in another part");
  Write(SplitPart("b", 1, 2, 3), 4, 32, kSecond);
  EXPECT_EQ(ErrorOfFirst(),
            "INVALID_ARGUMENT: m-00002-of-00002.gguf: split.tensors.count is i32 3, expected an "
            "integer from "
            "2 to 2");
  Write(Head(0, 0), 0, 32, kSecond);
  EXPECT_EQ(ErrorOfFirst(),
            "INVALID_ARGUMENT: m-00002-of-00002.gguf: split.count is missing, expected an integer "
            "from 2 to 2");
}

TEST_F(SplitGguf, TheNameSaysWhereTheOthersAre) {
  EXPECT_EQ(ErrorOf(SplitPart("a", 0, 2, 2), 4),
            "split.count is u16 2, expected a file name that ends in -00001-of-00002.gguf");
}

TEST_F(GgufFileTest, AModelOfTwoFilesIsOneSet) {
  TensorSet set;
  AddGgufTensors(std::make_shared<GgufFile>(Write(Head(1, 0).Add(TensorEntry("a", {1}, 0, 0)), 4)),
                 set);
  const auto other = std::make_shared<GgufFile>(
      Write(Head(1, 0).Add(TensorEntry("b", {1}, 0, 0)), 4, 32, "y.gguf"));
  AddGgufTensors(other, set);
  EXPECT_EQ(set.tensors().size(), 2U);
  EXPECT_THROW(AddGgufTensors(other, set), Error);
}

}  // namespace
}  // namespace binocle
