// What is between ops and the CUDA module, with the emulator for a device.
#include <gtest/gtest.h>

#include "attention/attention.h"
#include "attention/var.h"
#include "core/backend/cuda_backend.h"
#include "core/ops/elementwise.h"
#include "llm/decoder_leader.h"
#include "simt_module.h"
#include "tests/cuda/device_ops.h"
#include "tests/llm/rank_with_orders.h"
#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Numbers;
using testing::RandomTensor;

Exec OnTheGpu() { return Exec(1, std::make_unique<CudaBackend>(0)); }

TEST(DeviceOps, AreThoseOfTheHost) {
  Exec host(1), gpu = OnTheGpu();
  const auto found = testing::CompareDeviceOps(host, gpu);
  EXPECT_GT(found.size(), 100U);
  for (const testing::DeviceDifference& difference : found)
    EXPECT_TRUE(difference.within()) << difference.what << " is off by " << difference.off;
}

// Parts of an odd number of rows times an odd number of heads lie before what is stored in pairs and fours of floats.
TEST(DeviceOps, ContentOfAnOddNumberOfHeads) {
  constexpr int64_t kDim = 64;
  Exec host(1), gpu = OnTheGpu();
  for (const int64_t heads : {3, 9, 15}) {
    for (const int64_t keys : {60, 150}) {
      Numbers numbers(1);
      const Tensor q = RandomTensor({1, heads * kDim}, numbers);
      const Tensor k = RandomTensor({keys, 3 * kDim}, numbers);
      std::vector<uint8_t> classes(static_cast<size_t>(keys), kVisualKey);
      classes[0] = kSinkKey;
      const auto attended = [&](Exec& ex) {
        KvPool pool(1, 3, kDim, 4, DType::kBF16, ex.place());
        KvSequence sequence(pool);
        sequence.Extend(keys);
        std::vector<int32_t> slots;
        for (int64_t p = 0; p < keys; ++p) slots.push_back(sequence.Slot(p));
        const Tensor rows = ToPlace(ex, k.Clone());
        WriteKv(ex, rows, rows, slots, pool.layer(0));
        const SegmentPolicy var{.classes = classes,
                                .rule = &VarByContentShare,
                                .params = {.p = 0.6F, .rho = 0.1F, .mass = 0.1F}};
        const QueryRun run{.rows = 1,
                           .first_position = keys - 1,
                           .keys = keys,
                           .pages = sequence.pages(),
                           .segments = &var};
        Tensor out = Tensor::F32({1, heads * kDim}, "out", ex.place());
        Tensor lse = Tensor::F32({1, heads}, "lse", ex.place());
        Attention(
            ex,
            {.q = ToPlace(ex, q.Clone()), .kv = pool.layer(0), .runs = {&run, 1}, .scale = 0.125F},
            out, lse);
        Tensor on_host = Tensor::F32({1, heads * kDim});
        CopyRows(ex, out, on_host);
        ex.Wait();
        return on_host;
      };
      const Tensor want = attended(host), got = attended(gpu);
      for (int64_t i = 0; i < heads * kDim; ++i)
        ASSERT_NEAR(got.f32()[i], want.f32()[i], 2e-2)  // bf16 rounds numbers of 2 to 4 by 2⁻⁷
            << heads << " heads, " << keys << " keys";
    }
  }
}

// A pass only waits on a device until somebody flushes. What cannot begin then takes sums with it that the other ranks wait for.
TEST(DeviceRanks, APassThatCannotBeginEndsIt) {
  testing::RankWithOrders rank(0, std::make_unique<CudaBackend>(0));
  DecoderLeader leader(rank.communicator, testing::kPagesOfRank, {});
  rank.decoder->Lead(&leader);
  ImageKv image;
  const Tensor visual = Tensor::F32({5, rank.config.width}, "visual", rank.ex.place());
  rank.decoder->EncodeImage(rank.ex, {.visual = visual}, {}, *rank.activations, image);
  EXPECT_EQ(rank.communicator.over(), "");
  TheSimtDevices().broken = true;
  const std::string words = testing::ErrorOf([&] {
    rank.decoder->EncodeImage(rank.ex, {.visual = visual}, {}, *rank.activations, image);
  });
  TheSimtDevices().broken = false;
  EXPECT_NE(words, "no error");
  EXPECT_EQ(rank.communicator.over(), "tensor_parallel: a pass of rank 0 failed: " + words);
}

TEST(DeviceBackend, UploadsOfAStepAreOneAndKeepTheirPlaces) {
  CudaBackend cuda(0);
  std::vector<int32_t> a(100, 7);
  const std::vector<int32_t> equal(100, 7), other(100, 8);
  const auto upload = [&](const std::vector<int32_t>& values) {
    return cuda.Upload(std::span<const int32_t>(values));
  };
  const int32_t* first = upload(a);
  EXPECT_EQ(upload(a), first);
  const int32_t* second = upload(equal);
  EXPECT_NE(second, first) << "equal by chance";
  a[0] = 6;
  const int32_t* third = upload(a);
  EXPECT_NE(third, first) << "not what was there before";
  const int32_t* last = upload(other);
  cuda.Flush();
  // A list that has grown by a few numbers leaves those behind it where they were.
  const std::vector<int32_t> grown(110, 7);
  EXPECT_EQ(upload(grown), first);
  EXPECT_EQ(upload(equal), second);
  EXPECT_EQ(upload(a), third);
  EXPECT_EQ(upload(other), last);
}

TEST(DeviceBackend, WhatIsFreedIsKeptUntilTheCommandsBeforeHaveRun) {
  Exec gpu = OnTheGpu();
  Numbers numbers(12);
  const Tensor x = RandomTensor({3, 40}, numbers);
  const Tensor out = Tensor::F32(x.shape(), "out", gpu.place());
  const int64_t before = gpu.cuda().allocated_bytes();
  {
    const Tensor passing = ToPlace(gpu, x.Clone());
    CopyRows(gpu, passing, out);
  }
  const Tensor other = Tensor::F32(x.shape(), "other", gpu.place());  // the same memory otherwise
  EXPECT_TRUE(testing::SameBits(ToHost(gpu, out), x));
  gpu.cuda().Wait();
  EXPECT_EQ(gpu.cuda().allocated_bytes(), before + other.bytes());
}

TEST(DeviceBackend, TooMuchMemoryIsAnErrorThatSaysHowMuchThereIs) {
  CudaBackend cuda(0);
  try {
    cuda.Allocate(int64_t{1} << 40);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kResourceExhausted);
    EXPECT_NE(error.message().find("1099511627776 bytes are asked for"), std::string::npos)
        << error.message();
  }
}

}  // namespace
}  // namespace binocle
