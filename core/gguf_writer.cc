#include "core/gguf_writer.h"

#include <cstring>

#include "core/gguf_metadata.h"

namespace binocle {
namespace {

constexpr uint64_t kAlignment = 32;  // what readers take where general.alignment is absent

template <typename Number>
void Append(Number number, std::string& out) {
  char bytes[sizeof number];
  std::memcpy(bytes, &number, sizeof number);
  out.append(bytes, sizeof number);
}

void AppendText(std::string_view text, std::string& out) {
  Append<uint64_t>(text.size(), out);
  out += text;
}

uint32_t FileType(DType dtype) {
  switch (dtype) {
    case DType::kF32: return 0;
    case DType::kF16: return 1;
    case DType::kBF16: return 30;
    case DType::kI32: return 26;
    case DType::kQ40: return 2;
    case DType::kQ41: return 3;
    case DType::kQ50: return 6;
    case DType::kQ51: return 7;
    case DType::kQ80: return 8;
    case DType::kQ4K: return 12;
    case DType::kQ5K: return 13;
    case DType::kQ6K: return 14;
    case DType::kU8: break;
  }
  BINOCLE_CHECK(false, DTypeName(dtype));
}

uint64_t Padding(uint64_t bytes) { return (kAlignment - bytes % kAlignment) % kAlignment; }

}  // namespace

void GgufEntries::Key(std::string_view key, uint32_t type) {
  AppendText(key, bytes_);
  Append(type, bytes_);
  ++count_;
}

void GgufEntries::U32(std::string_view key, uint32_t value) {
  Key(key, static_cast<uint32_t>(GgufType::kU32));
  Append(value, bytes_);
}

void GgufEntries::F32(std::string_view key, float value) {
  Key(key, static_cast<uint32_t>(GgufType::kF32));
  Append(value, bytes_);
}

void GgufEntries::Bool(std::string_view key, bool value) {
  Key(key, static_cast<uint32_t>(GgufType::kBool));
  bytes_ += value ? '\1' : '\0';
}

void GgufEntries::String(std::string_view key, std::string_view value) {
  Key(key, static_cast<uint32_t>(GgufType::kString));
  AppendText(value, bytes_);
}

void GgufEntries::Strings(std::string_view key, const std::vector<std::string>& values) {
  Key(key, static_cast<uint32_t>(GgufType::kArray));
  Append(static_cast<uint32_t>(GgufType::kString), bytes_);
  Append<uint64_t>(values.size(), bytes_);
  for (const std::string& value : values) AppendText(value, bytes_);
}

void GgufEntries::I32s(std::string_view key, const std::vector<int32_t>& values) {
  Key(key, static_cast<uint32_t>(GgufType::kArray));
  Append(static_cast<uint32_t>(GgufType::kI32), bytes_);
  Append<uint64_t>(values.size(), bytes_);
  for (const int32_t value : values) Append(value, bytes_);
}

void WriteGguf(OutputFile& file, const GgufEntries& entries, const std::vector<NewTensor>& tensors,
               const TensorSource& source) {
  std::string head = "GGUF";
  Append<uint32_t>(3, head);
  Append<uint64_t>(tensors.size(), head);
  Append<uint64_t>(entries.count(), head);
  head += entries.bytes();
  uint64_t offset = 0;
  for (const NewTensor& tensor : tensors) {
    AppendText(tensor.name, head);
    Append(static_cast<uint32_t>(tensor.shape.rank()), head);
    for (int axis = tensor.shape.rank() - 1; axis >= 0; --axis)
      Append(static_cast<uint64_t>(tensor.shape[axis]), head);
    Append(FileType(tensor.dtype), head);
    Append(offset, head);
    const auto bytes = static_cast<uint64_t>(tensor.bytes());
    offset += bytes + Padding(bytes);
  }
  head.append(Padding(head.size()), '\0');
  file.Write(head);
  for (const NewTensor& tensor : tensors) {
    const int64_t begin = file.bytes();
    source(tensor, [&](std::string_view piece) { file.Write(piece); });
    BINOCLE_CHECK(file.bytes() - begin == tensor.bytes(), tensor.name);
    file.Write(std::string(Padding(static_cast<uint64_t>(tensor.bytes())), '\0'));
  }
}

}  // namespace binocle
