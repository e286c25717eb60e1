#include "llm/tokenizer_sentencepiece_file.h"

#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "core/error.h"

namespace binocle {
namespace {

// Protocol buffers' wire format. Field numbers are those of sentencepiece_model.proto.
constexpr uint32_t kModelNormalizer = 3;
constexpr uint32_t kModelDenormalizer = 5;
constexpr uint32_t kNormalizerCharsmap = 2;
constexpr uint32_t kNormalizerAddDummyPrefix = 3;
constexpr uint32_t kNormalizerRemoveExtraWhitespaces = 4;

struct Field {
  uint32_t number = 0;
  uint64_t varint = 0;
  std::string_view bytes = {};
};

// The fields of one message, in order.
class MessageReader {
 public:
  MessageReader(std::string_view message, const std::string& name) : rest_(message), name_(name) {}

  std::optional<Field> Next() {
    if (rest_.empty()) return std::nullopt;
    const uint64_t tag = Varint();
    Field field{.number = static_cast<uint32_t>(tag >> 3)};
    switch (tag & 7) {
      case 0: field.varint = Varint(); break;
      case 1: Take(8); break;
      case 2: field.bytes = Take(Varint()); break;
      case 5: Take(4); break;
      default: Damaged();
    }
    return field;
  }

 private:
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(Take(1)[0]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    Damaged();
  }

  std::string_view Take(uint64_t size) {
    if (size > rest_.size()) Damaged();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  [[noreturn]] void Damaged() const {
    ThrowInvalid(name_, ": not a sentencepiece model: the file is damaged or cut off");
  }

  std::string_view rest_;
  const std::string& name_;
};

// A character map is a little-endian u32 with the size in bytes of a double array, the array, and NUL-terminated
// strings. One element of the array is 32 bits (darts-clone): bits 0-7 (and 31) the label, 8 whether a value follows,
// 10-30 the offset of the children, shifted by 8 more when bit 9 is set; an element with bit 31 is a value, here an
// index into the strings.
class CharsmapChecker {
 public:
  CharsmapChecker(std::string_view charsmap, const std::string& name) : name_(name) {
    uint32_t array_bytes = 0;
    if (charsmap.size() <= sizeof array_bytes) Damaged("is too short");
    std::memcpy(&array_bytes, charsmap.data(), sizeof array_bytes);
    charsmap.remove_prefix(sizeof array_bytes);
    if (array_bytes >= charsmap.size() || array_bytes % 4 != 0 || array_bytes == 0)
      Damaged("has an array of a wrong size");
    units_.resize(array_bytes / 4);
    std::memcpy(units_.data(), charsmap.data(), array_bytes);
    strings_ = charsmap.substr(array_bytes);
    if (strings_.back() != '\0') Damaged("ends inside a string");
  }

  // Walks every element that a lookup can reach.
  void Check() {
    std::vector<bool> seen(units_.size());
    std::vector<uint32_t> open = {0};
    seen[0] = true;
    while (!open.empty()) {
      const uint32_t unit = units_[open.back()];
      const uint32_t children = open.back() ^ Offset(unit);
      open.pop_back();
      // Lookups read the element of every possible next byte before they compare labels.
      if ((children | 0xFFu) >= units_.size()) Damaged("points past its end");
      if ((unit >> 8 & 1u) != 0 && (units_[children] & 0x7FFFFFFFu) >= strings_.size())
        Damaged("names a string past its end");
      for (uint32_t byte = 0; byte < 256; ++byte) {
        const uint32_t child = children ^ byte;
        if ((units_[child] & 0x800000FFu) != byte || seen[child]) continue;
        seen[child] = true;
        open.push_back(child);
      }
    }
  }

 private:
  static uint32_t Offset(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }
  [[noreturn]] void Damaged(const char* what) const {
    ThrowInvalid(name_, ": the normalizer's character map ", what);
  }

  const std::string& name_;
  std::vector<uint32_t> units_;
  std::string_view strings_;
};

void ReadNormalizer(std::string_view message, const std::string& name, SentencePieceSpec* spec) {
  MessageReader reader(message, name);
  while (const auto field = reader.Next()) {
    if (field->number == kNormalizerCharsmap && !field->bytes.empty())
      CharsmapChecker(field->bytes, name).Check();
    if (spec == nullptr) continue;
    if (field->number == kNormalizerAddDummyPrefix) spec->add_dummy_prefix = field->varint != 0;
    if (field->number == kNormalizerRemoveExtraWhitespaces)
      spec->remove_extra_whitespaces = field->varint != 0;
  }
}

}  // namespace

SentencePieceSpec ReadSentencePieceSpec(std::string_view model, const std::string& name) {
  SentencePieceSpec spec;
  MessageReader reader(model, name);
  while (const auto field = reader.Next()) {
    if (field->number == kModelNormalizer) ReadNormalizer(field->bytes, name, &spec);
    if (field->number == kModelDenormalizer) ReadNormalizer(field->bytes, name, nullptr);
  }
  return spec;
}

}  // namespace binocle
