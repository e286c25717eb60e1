#include "llm/chat_template.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "llm/chat_template_hashes.h"

namespace binocle {
namespace {

std::string DigestOf(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  const int done =
      EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha256(), nullptr);
  BINOCLE_CHECK(done == 1, "SHA-256");
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (unsigned int i = 0; i < length; ++i) {
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 15];
  }
  return hex;
}

}  // namespace

ChatTemplateMatch MatchChatTemplate(std::string_view text) {
  ChatTemplateMatch match{.sha256 = DigestOf(text), .style = std::nullopt};
  const std::string_view kept = text.substr(0, text.size() - (text.ends_with('\n') ? 1 : 0));
  const ChatTemplateHash* known = FindChatTemplateHash(DigestOf(kept));
  if (known != nullptr) match.style = known->style;
  if (known == nullptr) {
    match.why = "is none of those that have a renderer here";
  } else if (!known->style) {
    match.why = "writes today's date, so that no answer could be had twice";
  }
  return match;
}

const ChatTemplateHash* FindChatTemplateHash(std::string_view sha256) {
  const auto hashes = ChatTemplateHashes();
  const auto before = [](const ChatTemplateHash& a, std::string_view b) { return a.sha256 < b; };
  const auto it = std::lower_bound(hashes.begin(), hashes.end(), sha256, before);
  return it != hashes.end() && it->sha256 == sha256 ? &*it : nullptr;
}

}  // namespace binocle
