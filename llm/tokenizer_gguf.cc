#include "llm/tokenizer_gguf.h"

#include <bit>
#include <utility>

#include "core/error.h"
#include "llm/tokenizer_bpe.h"
#include "llm/tokenizer_sentencepiece.h"
#include "llm/utf8.h"

namespace binocle {
namespace {

// As files and sentencepiece's models number them.
enum TokenType : int64_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

struct Vocabulary {
  std::vector<std::string_view> tokens;
  std::vector<int64_t> types;
};

Vocabulary ReadVocabulary(const GgufMetadata& m, const std::string& where) {
  Vocabulary v{.tokens = m.Strings("tokenizer.ggml.tokens")};
  if (v.tokens.empty() || v.tokens.size() > BpeSpec::kMaxTokens)
    m.Fail("tokenizer.ggml.tokens", "1 to " + std::to_string(BpeSpec::kMaxTokens) + " texts");
  for (size_t id = 0; id < v.tokens.size(); ++id)
    if (!IsUtf8(v.tokens[id])) ThrowInvalid(where, ": token ", id, " is not UTF-8");
  v.types = m.Has("tokenizer.ggml.token_type") ? m.Ints("tokenizer.ggml.token_type", kNormal, kByte)
                                               : std::vector<int64_t>(v.tokens.size(), kNormal);
  if (v.types.size() != v.tokens.size())
    m.Fail("tokenizer.ggml.token_type", "one for each of " + std::to_string(v.tokens.size()));
  return v;
}

// −1 where the file names none.
int32_t IdOf(const GgufMetadata& m, const char* role, const Vocabulary& v) {
  const std::string key = std::string("tokenizer.ggml.") + role + "_token_id";
  return static_cast<int32_t>(m.IntOr(key, -1, -1, std::ssize(v.tokens) - 1));
}

// protobuf's wire format, for the few fields of sentencepiece's model that matter.
class WireWriter {
 public:
  void Varint(uint32_t field, uint64_t value) {
    Number(field << 3);
    Number(value);
  }
  void Float(uint32_t field, float value) {
    Number(field << 3 | 5);
    const auto bits = std::bit_cast<uint32_t>(value);
    for (int i = 0; i < 4; ++i) bytes_ += static_cast<char>(bits >> (8 * i));
  }
  void Bytes(uint32_t field, std::string_view value) {
    Number(field << 3 | 2);
    Number(value.size());
    bytes_ += value;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void Number(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

// What tokenizer.model would be: ModelProto {pieces = 1, trainer_spec = 2, normalizer_spec = 3}.
std::string SentencePieceModel(const GgufMetadata& m, const Vocabulary& v) {
  constexpr uint64_t kBpe = 2;
  const std::vector<float> scores = m.Floats("tokenizer.ggml.scores");
  if (scores.size() != v.tokens.size())
    m.Fail("tokenizer.ggml.scores", "one for each of " + std::to_string(v.tokens.size()));
  WireWriter model;
  bool bytes = false;
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    bytes = bytes || v.types[id] == kByte;
    WireWriter piece;
    piece.Bytes(1, v.tokens[id]);
    piece.Float(2, scores[id]);
    piece.Varint(3, static_cast<uint64_t>(v.types[id]));
    model.Bytes(1, piece.bytes());
  }
  WireWriter trainer;
  trainer.Varint(3, kBpe);
  trainer.Varint(4, v.tokens.size());
  trainer.Varint(35, bytes ? 1 : 0);
  // Roles are ours to give; unk is the piece of that type.
  for (const uint32_t field : {41U, 42U, 43U}) trainer.Varint(field, static_cast<uint64_t>(-1));
  model.Bytes(2, trainer.bytes());
  WireWriter normalizer;
  normalizer.Bytes(1, "identity");
  normalizer.Varint(3, m.BoolOr("tokenizer.ggml.add_space_prefix", true) ? 1 : 0);
  normalizer.Varint(4, m.BoolOr("tokenizer.ggml.remove_extra_whitespaces", false) ? 1 : 0);
  normalizer.Varint(5, 1);
  model.Bytes(3, normalizer.bytes());
  return model.bytes();
}

std::unique_ptr<Tokenizer> MakeLlama(const GgufMetadata& m, const Vocabulary& v,
                                     const std::string& where) {
  TokenizerConfig config{.legacy = true,
                         .add_bos = m.BoolOr("tokenizer.ggml.add_bos_token", true),
                         .add_eos = m.BoolOr("tokenizer.ggml.add_eos_token", false),
                         .add_prefix_space = m.BoolOr("tokenizer.ggml.add_space_prefix", true)};
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    if (v.types[id] == kControl)
      config.added[static_cast<int32_t>(id)] = {.content = std::string(v.tokens[id]),
                                                .special = true};
  }
  // `usual`: of a file that does not say, as llama.cpp has it.
  const auto role = [&](const char* name, int32_t usual, std::optional<std::string>& content) {
    const bool said = m.Has(std::string("tokenizer.ggml.") + name + "_token_id");
    const int32_t id =
        said || usual >= static_cast<int32_t>(v.tokens.size()) ? IdOf(m, name, v) : usual;
    if (id < 0) return;
    content = std::string(v.tokens[static_cast<size_t>(id)]);
    config.added[id] = {.content = *content, .special = true};
    config.roles.push_back(config.added[id]);
  };
  role("bos", 1, config.bos);
  role("eos", 2, config.eos);
  role("unknown", 0, config.unk);
  role("padding", -1, config.pad);
  return MakeSentencePieceTokenizer(SentencePieceModel(m, v), std::move(config), where);
}

// Qwen2's and Llama 3's patterns, which take digits one by one or up to three together.
std::string PatternWith(const char* digits) {
  return std::string(R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)") + digits +
         R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
}

// What tokenizer.json says of these families and a GGUF file only names.
void SetPattern(const std::string& name, const std::string& where, BpeSpec& spec) {
  const auto split = [&](std::string_view pattern) {
    spec.splits.emplace_back(PatternSplit{WordPattern(pattern, where)});
  };
  if (name == "gpt-2" || name == "default") {
    split(kGpt2Pattern);
  } else if (name == "smollm" || name == "refact") {  // refact: Granite's
    spec.splits.emplace_back(DigitSplit{true});
    split(kGpt2Pattern);
  } else if (name == "qwen2") {
    spec.nfc = true;
    split(PatternWith(R"(\p{N})"));
  } else if (name == "llama-bpe" || name == "llama3" || name == "llama-v3") {
    spec.whole_words = true;
    split(PatternWith(R"(\p{N}{1,3})"));
  } else {
    Throw(Code::kUnimplemented, where, ": tokenizer.ggml.pre is ", Printable(name, 60),
          ", expected one of default, gpt-2, smollm, refact, qwen2, llama-bpe");
  }
}

std::vector<std::pair<int32_t, int32_t>> MergesOf(const GgufMetadata& m, const Vocabulary& v,
                                                  const std::string& where) {
  std::unordered_map<std::string_view, int32_t> ids;
  for (size_t id = 0; id < v.tokens.size(); ++id) ids[v.tokens[id]] = static_cast<int32_t>(id);
  std::vector<std::pair<int32_t, int32_t>> merges;
  for (const std::string_view merge : m.Strings("tokenizer.ggml.merges")) {
    const size_t space = merge.find(' ', 1);
    const auto left = ids.find(merge.substr(0, space));
    const auto right =
        space == std::string_view::npos ? ids.end() : ids.find(merge.substr(space + 1));
    if (left == ids.end() || right == ids.end())
      ThrowInvalid(where, ": tokenizer.ggml.merges: '", Printable(merge, 60),
                   "' is not of two tokens");
    merges.emplace_back(left->second, right->second);
  }
  return merges;
}

std::unique_ptr<Tokenizer> MakeGpt2(const GgufMetadata& m, const Vocabulary& v,
                                    const std::string& where) {
  BpeSpec spec{.merges = MergesOf(m, v, where),
               .bos = IdOf(m, "bos", v),
               .eos = IdOf(m, "eos", v),
               .unk = IdOf(m, "unknown", v),
               .pad = IdOf(m, "padding", v)};
  spec.spellings.assign(v.tokens.begin(), v.tokens.end());
  const std::string pattern = m.StringOr("tokenizer.ggml.pre", "default");
  SetPattern(pattern, where, spec);
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    if (v.types[id] == kControl || v.types[id] == kUserDefined)
      spec.added[static_cast<int32_t>(id)] = {.content = std::string(v.tokens[id]),
                                              .special = v.types[id] == kControl};
  }
  const bool begins = m.BoolOr("tokenizer.ggml.add_bos_token", spec.whole_words);
  if (begins && spec.bos >= 0) spec.front = {spec.bos};
  if (m.BoolOr("tokenizer.ggml.add_eos_token", false) && spec.eos >= 0) spec.back = {spec.eos};
  return MakeBpeTokenizer(std::move(spec), where);
}

}  // namespace

std::unique_ptr<Tokenizer> MakeGgufTokenizer(const GgufMetadata& m, const std::string& where) {
  const std::string model = m.String("tokenizer.ggml.model");
  const Vocabulary vocabulary = ReadVocabulary(m, where);
  if (model == "llama") return MakeLlama(m, vocabulary, where);
  if (model == "gpt2") return MakeGpt2(m, vocabulary, where);
  Throw(Code::kUnimplemented, where, ": tokenizer.ggml.model is ", Printable(model, 60),
        ", expected llama or gpt2");
}

}  // namespace binocle
