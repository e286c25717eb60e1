// Files of tensors written and read again: safetensors and GGUF.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/gguf_writer.h"
#include "core/safetensors.h"
#include "core/safetensors_writer.h"
#include "core/weight_files.h"
#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::ErrorOf;

class TensorFiles : public ::testing::Test {
 protected:
  TensorFiles() {
    std::string name = (std::filesystem::temp_directory_path() / "binocle_tensors_XXXXXX").string();
    root_ = mkdtemp(name.data());
    testing::Numbers numbers(7);
    const auto add = [&](const char* tensor_name, DType dtype, Shape shape) {
      Tensor tensor(dtype, shape, tensor_name);
      auto* bytes = static_cast<uint8_t*>(tensor.view().data());
      for (int64_t i = 0; i < tensor.view().bytes(); ++i)
        bytes[i] = static_cast<uint8_t>(numbers.Bits());
      tensors_.push_back(std::move(tensor));
    };
    add("b.odd", DType::kU8, {3});
    add("a.half", DType::kF16, {5, 7});
    add("c.word", DType::kF32, {2, 3, 1, 4});
    add("d.empty", DType::kBF16, {0, 8});
    add("e.half", DType::kBF16, {33});
    add("f.number", DType::kI32, {1});
  }
  ~TensorFiles() override { std::filesystem::remove_all(root_); }

  std::vector<NewTensor> News() const {
    std::vector<NewTensor> out;
    for (const Tensor& t : tensors_)
      out.push_back({std::string(t.view().name()), t.view().dtype(), t.shape()});
    return out;
  }
  // In pieces of 3 bytes, so that tensors do not come whole.
  TensorSource Source() const {
    return [this](const NewTensor& tensor, const std::function<void(std::string_view)>& write) {
      for (const Tensor& t : tensors_) {
        if (t.view().name() != tensor.name) continue;
        const std::string_view all(static_cast<const char*>(t.view().data()),
                                   static_cast<size_t>(t.view().bytes()));
        for (size_t at = 0; at < all.size(); at += 3) write(all.substr(at, 3));
      }
    };
  }
  void ExpectSame(const TensorSet& set) const {
    ASSERT_EQ(set.tensors().size(), tensors_.size());
    for (const Tensor& t : tensors_) {
      const TensorView* found = set.Find(t.view().name());
      ASSERT_NE(found, nullptr) << t.view().name();
      EXPECT_EQ(found->dtype(), t.view().dtype());
      EXPECT_EQ(found->shape(), t.shape());
      if (t.view().bytes() == 0) continue;
      EXPECT_EQ(std::memcmp(found->data(), t.view().data(), static_cast<size_t>(t.view().bytes())),
                0);
    }
  }

  std::filesystem::path root_;
  std::vector<Tensor> tensors_;
};

TEST_F(TensorFiles, SafetensorsComeBackAsTheyWent) {
  EXPECT_EQ(WriteSafetensors(root_, News(), 1 << 20, Source()),
            std::vector<std::string>{"model.safetensors"});
  const TensorSet set = ReadTensors(root_);
  ExpectSame(set);
  for (const auto& [name, view] : set.tensors()) {
    const auto address = reinterpret_cast<uintptr_t>(view.data());
    EXPECT_EQ(address % static_cast<uintptr_t>(DTypeSize(view.dtype())), 0U) << name;
  }
}

TEST_F(TensorFiles, ShardsAreFullAndNamedByAnIndex) {
  const auto names = WriteSafetensors(root_, News(), 80, Source());
  // 3 + 70 | 96, larger than a shard | 0 + 66 + 4
  EXPECT_EQ(names, (std::vector<std::string>{
                       "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                       "model-00003-of-00003.safetensors", "model.safetensors.index.json"}));
  ExpectSame(ReadTensors(root_));
  EXPECT_EQ(SafetensorsFile(root_ / names[1]).tensors().size(), 1U);
}

TEST_F(TensorFiles, AnErrorOfTheSourceLeavesNoFile) {
  const auto failing = [](const NewTensor& tensor,
                          const std::function<void(std::string_view)>& write) {
    if (tensor.name == "a.half") ThrowInvalid("a.half: is broken");
    write(std::string(static_cast<size_t>(tensor.bytes()), '\0'));
  };
  EXPECT_EQ(ErrorOf([&] { WriteSafetensors(root_, News(), 1 << 20, failing); }),
            "INVALID_ARGUMENT: a.half: is broken");
  EXPECT_TRUE(std::filesystem::is_empty(root_));
}

TEST_F(TensorFiles, GgufComesBackWithItsMetadata) {
  tensors_.erase(tensors_.begin());  // u8 has no number in GGUF
  tensors_.push_back(Tensor(DType::kQ80, {3, 64}, "blocks"));
  GgufEntries entries;
  entries.String("general.architecture", "none");
  entries.U32("a.number", 4000000000U);
  entries.F32("a.float", 0.5F);
  entries.Bool("a.truth", true);
  entries.Strings("a.texts", {"", "two"});
  entries.Strings("a.nothing", {});
  entries.I32s("a.ids", {-1, 7});
  OutputFile file(root_ / "m.gguf");
  WriteGguf(file, entries, News(), Source());
  file.Commit();
  ExpectSame(ReadTensors(root_ / "m.gguf"));
  const GgufFile read(root_ / "m.gguf");
  const GgufMetadata& m = read.metadata();
  EXPECT_EQ(m.Keys().size(), 7U);
  EXPECT_EQ(m.Int("a.number", 0, INT64_MAX), 4000000000);
  EXPECT_EQ(m.Number("a.float", 0, 1), 0.5);
  EXPECT_TRUE(m.BoolOr("a.truth", false));
  EXPECT_EQ(m.Strings("a.texts"), (std::vector<std::string_view>{"", "two"}));
  EXPECT_TRUE(m.Strings("a.nothing").empty());
  EXPECT_EQ(m.Ints("a.ids", -5, 10), (std::vector<int64_t>{-1, 7}));
}

}  // namespace
}  // namespace binocle
