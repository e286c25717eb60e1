// Each kernel is right where !broken; what `broken` leaves out or adds is the fault that the emulator has to find. Compiled like the real kernels,
// plain and checked.
#include "core/backend/cuda/device.h"
#include "simt/array.h"
#include "tests/simt/faults_cuda.h"

namespace simt {
namespace {

using namespace binocle::cuda;  // NOLINT(google-build-using-namespace): the kernels' vocabulary

int Me() { return static_cast<int>(threadIdx.x); }

__global__ void ReadsANeighbour(float* out, bool broken) {
  BINOCLE_SHARED(float, s, [64]);
  s[Me()] = 1;
  if (!broken) __syncthreads();
  out[Me()] = s[(Me() + 33) % 64];
}

__global__ void ReadsALaneOfItsWarp(float* out, bool broken) {
  BINOCLE_SHARED(float, s, [32]);
  s[Me()] = 1;
  if (!broken) __syncwarp();
  out[Me()] = s[(Me() + 1) % 32];
}

// A shuffle is no fence.
__global__ void TakesAShuffleForAFence(float* out, bool broken) {
  BINOCLE_SHARED(float, s, [32]);
  s[Me()] = 1;
  float x = __shfl_xor_sync(kWholeWarp, 1.0F, 1);
  if (!broken) __syncwarp();
  out[Me()] = s[(Me() + 1) % 32] + x;
}

__global__ void RefillsWhatIsStillRead(float* out, bool broken) {
  BINOCLE_SHARED(float, s, [64]);
  float sum = 0;
  for (int round = 0; round < 3; ++round) {
    s[Me()] = 1;
    __syncthreads();
    sum += s[63 - Me()];
    if (!broken) __syncthreads();
  }
  out[Me()] = sum;
}

__global__ void AllWriteOnePlace(float* out, bool broken) {
  BINOCLE_SHARED(float, s, [64]);
  s[broken ? 0 : Me()] = 1;
  __syncthreads();
  out[Me()] = s[0];
}

__global__ void WritesPastAnArray(float* out, bool broken) {
  BINOCLE_SHARED(float, s, [32]);
  s[broken ? Me() + 1 : Me()] = 1;
  __syncthreads();
  out[Me()] = s[Me()];
}

__global__ void WritesPastDynamicShared(float* out, bool broken) {
  BINOCLE_DYNAMIC_SHARED(bytes);
  float* s = reinterpret_cast<float*>(bytes);
  s[broken ? Me() + 32 : Me()] = 1;
  out[Me()] = 1;
}

__global__ void ReadsPastABuffer(const float* in, float* out, bool broken) {
  out[Me()] = in[broken ? Me() + 1 : Me()];
}

__global__ void WritesBeforeABuffer(float* out, bool broken) { out[broken ? Me() - 1 : Me()] = 1; }

__global__ void ReadsSharedThatNobodyWrote(float* out, bool broken) {
  BINOCLE_SHARED(float, s, [64]);
  if (!broken || Me() != 7) s[Me()] = 1;
  __syncthreads();
  out[Me()] = s[Me()];
}

__global__ void ReadsAnOutput(float* out, bool broken) { out[Me()] = broken ? out[Me()] + 1 : 1; }

__global__ void ForgetsToWait(const uint4* in, uint4* out, bool broken) {
  BINOCLE_SHARED(uint4, s, [32]);
  CopyAsync16(&s[Me()], in + Me(), true);
  CopyCommit();
  if (!broken) CopyWait<0>();
  out[Me()] = s[Me()];
}

__global__ void WaitsForTheWrongGroup(const uint4* in, uint4* out, bool broken) {
  BINOCLE_SHARED(uint4, s, [2][32]);
  CopyAsync16(&s[0][Me()], in + Me(), true);
  CopyCommit();
  CopyAsync16(&s[1][Me()], in + Me(), true);
  CopyCommit();
  CopyWait<1>();
  out[Me()] = s[0][Me()];
  if (!broken) CopyWait<0>();
  out[Me()] = s[1][Me()];
}

__global__ void ForgetsToCommit(const uint4* in, uint4* out, bool broken) {
  BINOCLE_SHARED(uint4, s, [32]);
  CopyAsync16(&s[Me()], in + Me(), true);
  if (!broken) CopyCommit();
  CopyWait<0>();
  out[Me()] = s[Me()];
}

__global__ void WaitsWithoutABarrier(const uint4* in, uint4* out, bool broken) {
  BINOCLE_SHARED(uint4, s, [64]);
  CopyAsync16(&s[Me()], in + Me(), true);
  CopyCommit();
  CopyWait<0>();
  if (!broken) __syncthreads();
  out[Me()] = s[63 - Me()];
}

__global__ void CopiesOverWhatIsRead(const uint4* in, uint4* out, bool broken) {
  BINOCLE_SHARED(uint4, s, [64]);
  s[Me()] = in[Me()];
  __syncthreads();
  out[Me()] = s[63 - Me()];
  if (!broken) __syncthreads();
  CopyAsync16(&s[Me()], in + Me(), true);
  CopyCommit();
  CopyWait<0>();
}

__global__ void CopiesFromPastABuffer(const uint4* in, uint4* out, bool broken) {
  BINOCLE_SHARED(uint4, s, [32]);
  const int from = Me() + 16;
  CopyAsync16(&s[Me()], in + from, broken || from < 32);
  CopyCommit();
  CopyWait<0>();
  out[Me()] = s[Me()];
}

__global__ void BarrierInABranch(float* out, bool broken) {
  if (!broken || Me() < 32) __syncthreads();
  out[Me()] = 1;
}

__global__ void TwoBarriersForOne(float* out, bool broken) {
  if (broken && Me() < 32) {
    __syncthreads();
  } else {
    if (broken) __syncthreads();
  }
  out[Me()] = 1;
}

__global__ void ReturnsBeforeABarrier(float* out, bool broken) {
  out[Me()] = 1;
  if (broken && Me() >= 40) return;
  __syncthreads();
}

__global__ void ShuffleInABranch(float* out, bool broken) {
  float x = 1;
  if (!broken || Me() < 16) x += __shfl_xor_sync(kWholeWarp, x, 1);
  if (broken && Me() >= 16) x += __shfl_xor_sync(kWholeWarp, x, 2);
  out[Me()] = x;
}

__global__ void LaneLeavesBeforeAVote(float* out, bool broken) {
  out[Me()] = 1;
  if (broken && Me() == 31) return;
  if (__any_sync(kWholeWarp, Me() == 0)) out[Me()] = 2;
}

__global__ void TwoBlocksWriteOnePlace(float* out, bool broken) {
  out[broken ? Me() : Me() + static_cast<int>(blockIdx.x) * 32] = 1;
}

__global__ void ABlockReadsAnothersResult(float* out, float* sum, bool broken) {
  const int at = Me() + static_cast<int>(blockIdx.x) * 32;
  out[at] = 1;
  sum[at] = broken ? out[Me()] : out[at];
}

__global__ void AddsWithoutAtomics(float* sum, float* out, bool broken) {
  if (broken) {
    *sum += 1;
  } else {
    atomicAdd(sum, 1.0F);
  }
  out[Me()] = 1;
}

__global__ void LoadsAMisalignedVector(const float* in, float* out, bool broken) {
  const float4 v = *reinterpret_cast<const float4*>(in + 4 * Me() + (broken ? 1 : 0));
  out[Me()] = v.x;
}

__global__ void CopiesToAMisalignedPlace(const uint4* in, uint4* out, bool broken) {
  BINOCLE_SHARED(uint4, s, [34]);
  CopyAsync16(reinterpret_cast<char*>(&s[Me()]) + (broken ? 8 : 0), in + Me(), true);
  CopyCommit();
  CopyWait<0>();
  out[Me()] = in[Me()];
}

__global__ void LoadsAMatrixFromUnwrittenRows(float* out, bool broken) {
  BINOCLE_SHARED(uint4, s, [32]);
  if (!broken || Me() != 5) s[Me()] = make_uint4(0, 0, 0, 0);
  __syncwarp();
  uint32_t m[4];
  LoadMatrix4(m, &s[Me()]);
  out[Me()] = static_cast<float>(m[0]);
}

__global__ void WritesAnInput(float* in, float* out, bool broken) {
  if (broken) in[Me()] = 0;
  out[Me()] = 1;
}

// Neighbours write the two halves of a word of two bytes, which is no race; twice the same byte is one.
__global__ void WritesAByteTwice(uint8_t* out, bool broken) { out[broken ? Me() / 2 : Me()] = 1; }

__global__ void WritesAnInputsBytes(uint8_t* in, uint8_t* out, bool broken) {
  if (broken) in[Me()] = 0;
  out[Me()] = 1;
}

// Where the one that writes runs last, it is the last reader as well.
__global__ void WritesWhatAllBlocksRead(float* shared, float* out, bool broken) {
  out[Me() + static_cast<int>(blockIdx.x) * 32] = shared[Me()];
  if (broken && blockIdx.x == 1) shared[Me()] = 2;
}

__global__ void ShufflesInHalfAWarp(float* out, bool broken) {
  out[Me()] = __shfl_xor_sync(broken ? 0xFFFFU : kWholeWarp, 1.0F, 1);
}

__global__ void Nothing(float* out) { out[Me()] = 1; }

template <auto kKernel, unsigned kThreads, unsigned kBlocks = 1>
void Outputs(bool broken) {
  const Array<float> out("out", kThreads * kBlocks);
  BINOCLE_LAUNCH(kKernel, dim3(kBlocks), dim3(kThreads), 128, nullptr)(out.data(), broken);
}

template <auto kKernel, unsigned kThreads>
void Copies(bool broken) {
  const Array<uint4> in("in", std::vector<uint4>(kThreads)), out("out", kThreads);
  BINOCLE_LAUNCH(kKernel, dim3(1), dim3(kThreads), 0, nullptr)(in.data(), out.data(), broken);
}

template <auto kKernel>
void Vectors(bool broken) {
  const Array<float> in("in", std::vector<float>(kKernel == &LoadsAMisalignedVector ? 132 : 32));
  const Array<float> out("out", 32);
  BINOCLE_LAUNCH(kKernel, dim3(1), dim3(32), 0, nullptr)(in.data(), out.data(), broken);
}

template <auto kKernel>
void Results(bool broken) {
  const auto first = Array<float>::Writable("first", std::vector<float>(64));
  const Array<float> second("second", 64);
  BINOCLE_LAUNCH(kKernel, dim3(2), dim3(32), 0, nullptr)(first.data(), second.data(), broken);
}

template <auto kKernel>
void OneBlockResults(bool broken) {
  const auto first = Array<float>::Writable("first", std::vector<float>(1));
  const Array<float> second("second", 64);
  BINOCLE_LAUNCH(kKernel, dim3(1), dim3(64), 0, nullptr)(first.data(), second.data(), broken);
}

void TooManyThreads(bool broken) {
  const Array<float> out("out", 2048);
  BINOCLE_LAUNCH(Nothing, dim3(1), dim3(broken ? 1056 : 1024), 0, nullptr)(out.data());
}

void TooManyBlocksAcross(bool broken) {
  const Array<float> out("out", 1);
  if (broken) BINOCLE_LAUNCH(Nothing, dim3(1, 65536), dim3(1), 0, nullptr)(out.data());
}

void Bytes(bool broken) {
  const Array<uint8_t> out("out", 32);
  BINOCLE_LAUNCH(WritesAByteTwice, dim3(1), dim3(32), 0, nullptr)(out.data(), broken);
}

void InputBytes(bool broken) {
  const Array<uint8_t> in("in", std::vector<uint8_t>(32)), out("out", 32);
  BINOCLE_LAUNCH(WritesAnInputsBytes, dim3(1), dim3(32), 0, nullptr)(in.data(), out.data(), broken);
}

// A vector in a buffer that begins in the middle of a larger one.
void PackedBuffers(bool broken) {
  Memory::Instance().SetOffset(broken ? 8 : 16);
  const Array<float> in("in", std::vector<float>(132)), out("out", 32);
  Memory::Instance().SetOffset(0);
  BINOCLE_LAUNCH(LoadsAMisalignedVector, dim3(1), dim3(32), 0, nullptr)
  (in.data(), out.data(), false);
}

void TooMuchShared(bool broken) {
  const Array<float> out("out", 32);
  BINOCLE_LAUNCH(Nothing, dim3(1), dim3(32), (broken ? 164 : 163) * 1024, nullptr)(out.data());
}

void UsesAFreedBuffer(bool broken) {
  const Array<float> other("other", 32);
  float* out = nullptr;
  {
    const Array<float> freed("freed", 32);
    out = freed.data();
  }
  if (!broken) out = other.data();
  BINOCLE_LAUNCH(Nothing, dim3(1), dim3(32), 0, nullptr)(out);
}

// Writes an input: its launch hands out a read-only buffer as if it were none.
void Inputs(bool broken) {
  const Array<float> in("in", std::vector<float>(32));
  const Array<float> out("out", 32);
  BINOCLE_LAUNCH(WritesAnInput, dim3(1), dim3(32), 0, nullptr)(in.data(), out.data(), broken);
}

}  // namespace

std::vector<PlantedFault> PlantedFaults() {
  return {
      {"reads a neighbour", Fault::kRace, &Outputs<&ReadsANeighbour, 64>},
      {"reads a lane of its warp", Fault::kRace, &Outputs<&ReadsALaneOfItsWarp, 32>},
      {"takes a shuffle for a fence", Fault::kRace, &Outputs<&TakesAShuffleForAFence, 32>},
      {"refills what is still read", Fault::kRace, &Outputs<&RefillsWhatIsStillRead, 64>},
      {"all write one place", Fault::kRace, &Outputs<&AllWriteOnePlace, 64>},
      {"adds without atomics", Fault::kRace, &OneBlockResults<&AddsWithoutAtomics>},
      {"waits without a barrier", Fault::kRace, &Copies<&WaitsWithoutABarrier, 64>},
      {"copies over what is read", Fault::kRace, &Copies<&CopiesOverWhatIsRead, 64>},
      {"writes past an array", Fault::kOutOfBounds, &Outputs<&WritesPastAnArray, 32>},
      {"writes past dynamic shared memory", Fault::kOutOfBounds,
       &Outputs<&WritesPastDynamicShared, 32>},
      {"reads past a buffer", Fault::kOutOfBounds, &Vectors<&ReadsPastABuffer>},
      {"writes before a buffer", Fault::kOutOfBounds, &Outputs<&WritesBeforeABuffer, 32>},
      {"copies from past a buffer", Fault::kOutOfBounds, &Copies<&CopiesFromPastABuffer, 32>},
      {"uses a freed buffer", Fault::kOutOfBounds, &UsesAFreedBuffer},
      {"reads shared memory that nobody wrote", Fault::kUninitialised,
       &Outputs<&ReadsSharedThatNobodyWrote, 64>},
      {"loads a matrix from unwritten rows", Fault::kUninitialised,
       &Outputs<&LoadsAMatrixFromUnwrittenRows, 32>},
      {"reads an output", Fault::kUninitialised, &Outputs<&ReadsAnOutput, 32>},
      {"forgets to wait", Fault::kPendingCopy, &Copies<&ForgetsToWait, 32>},
      {"waits for the wrong group", Fault::kPendingCopy, &Copies<&WaitsForTheWrongGroup, 32>},
      {"forgets to commit", Fault::kPendingCopy, &Copies<&ForgetsToCommit, 32>},
      {"barrier in a branch", Fault::kBarrierDivergence, &Outputs<&BarrierInABranch, 64>, true},
      {"two barriers for one", Fault::kBarrierDivergence, &Outputs<&TwoBarriersForOne, 64>, true},
      {"returns before a barrier", Fault::kBarrierDivergence, &Outputs<&ReturnsBeforeABarrier, 64>,
       true},
      {"shuffle in a branch", Fault::kWarpDivergence, &Outputs<&ShuffleInABranch, 32>, true},
      {"a lane leaves before a vote", Fault::kWarpDivergence, &Outputs<&LaneLeavesBeforeAVote, 32>,
       true},
      {"two blocks write one place", Fault::kBlockConflict,
       &Outputs<&TwoBlocksWriteOnePlace, 32, 2>},
      {"a block reads another's result", Fault::kBlockConflict,
       &Results<&ABlockReadsAnothersResult>},
      {"loads a misaligned vector", Fault::kMisaligned, &Vectors<&LoadsAMisalignedVector>},
      {"copies to a misaligned place", Fault::kMisaligned, &Copies<&CopiesToAMisalignedPlace, 32>,
       true},
      {"writes an input", Fault::kReadOnly, &Inputs},
      {"writes an input's bytes", Fault::kReadOnly, &InputBytes},
      {"writes a byte twice", Fault::kRace, &Bytes},
      {"writes what all blocks read", Fault::kBlockConflict, &Results<&WritesWhatAllBlocksRead>},
      {"loads a vector from a packed buffer", Fault::kMisaligned, &PackedBuffers},
      {"shuffles in half a warp", Fault::kWarpDivergence, &Outputs<&ShufflesInHalfAWarp, 32>, true},
      {"too many blocks across", Fault::kBadLaunch, &TooManyBlocksAcross, true},
      {"too many threads", Fault::kBadLaunch, &TooManyThreads, true},
      {"too much shared memory", Fault::kBadLaunch, &TooMuchShared, true},
  };
}

}  // namespace simt
