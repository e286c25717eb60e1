#include "service/http/data_url.h"

#include <algorithm>
#include <array>

#include "service/http/json_body.h"

namespace binocle::http {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr int8_t kNoDigit = -1;

constexpr std::array<int8_t, 256> MakeDigits() {
  std::array<int8_t, 256> digits{};
  for (int8_t& digit : digits) digit = kNoDigit;
  for (size_t i = 0; i < kAlphabet.size(); ++i)
    digits[static_cast<uint8_t>(kAlphabet[i])] = static_cast<int8_t>(i);
  return digits;
}
constexpr std::array<int8_t, 256> kDigits = MakeDigits();

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

[[noreturn]] void Fail(const std::string& place, const std::string& rest) {
  throw Error(Code::kInvalidArgument, place + " " + rest, place);
}

// The base64 text behind "data:image/png;base64,".
std::string_view PayloadOf(std::string_view url, const std::string& place) {
  constexpr size_t kMaxHead = 100;  // of a data URL, up to the comma
  constexpr std::string_view kExpected =
      "expected data:image/png;base64,… (or jpeg, webp); URLs are not fetched";
  const size_t comma = url.substr(0, kMaxHead).find(',');
  const std::string head = Lower(url.substr(0, std::min(comma, kMaxHead)));
  if (!head.starts_with("data:"))
    Fail(place, "is " + Describe(Json(std::string(url.substr(0, kMaxHead)))) + ", " +
                    std::string(kExpected));
  if (comma == std::string_view::npos || !head.ends_with(";base64"))
    Fail(place, "is a data URL without ;base64, " + std::string(kExpected));
  const std::string type = head.substr(5, head.size() - 5 - 7);
  constexpr std::array<std::string_view, 4> kTypes = {"image/png", "image/jpeg", "image/jpg",
                                                      "image/webp"};
  if (std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end())
    Fail(place, "is a data URL of type " + Describe(Json(type)) +
                    ", expected image/png, image/jpeg or image/webp");
  return url.substr(comma + 1);
}

}  // namespace

std::optional<std::string> DecodeBase64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  uint32_t bits = 0;
  int count = 0;  // of bits that are not written yet
  for (const char c : text) {
    const int8_t digit = kDigits[static_cast<uint8_t>(c)];
    if (digit == kNoDigit) return std::nullopt;
    bits = (bits << 6 | static_cast<uint32_t>(digit)) & 0xFFFFU;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<char>(bits >> count & 0xFFU));
  }
  if ((bits & ((1U << count) - 1)) != 0) return std::nullopt;
  return bytes;
}

std::string EncodeBase64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = std::min<size_t>(3, bytes.size() - i);
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (k < left ? static_cast<uint8_t>(bytes[i + k]) : 0U);
    for (size_t k = 0; k < 4; ++k)
      text.push_back(k <= left ? kAlphabet[bits >> (18 - 6 * k) & 63U] : '=');
  }
  return text;
}

ImageInput ImageFromUrl(std::string_view url, int64_t max_bytes, const std::string& place) {
  const std::string_view payload = PayloadOf(url, place);
  if (payload.empty()) Fail(place, "is a data URL without data");
  if (payload.size() / 4 * 3 > static_cast<size_t>(max_bytes) + 2)
    throw Error(
        Code::kResourceExhausted,
        place + " is a picture of more than " + std::to_string(max_bytes) + " bytes, the limit",
        place);
  auto bytes = DecodeBase64(payload);
  if (!bytes) Fail(place, "is a data URL whose data is no base64 (padded, without white space)");
  return ImageInput::FromBytes(*std::move(bytes), place);
}

}  // namespace binocle::http
