#include "fusion/random/tokenizer_files.h"

#include "llm/bpe/byte_alphabet.h"

namespace binocle {
namespace {

std::vector<std::string> Spellings(const SpecialTokens& special, int64_t vocabulary) {
  std::vector<std::string> spellings;
  int byte = 0;
  for (int64_t id = 0; id < vocabulary; ++id) {
    if (const auto found = special.tokens.find(id); found != special.tokens.end()) {
      spellings.push_back(found->second);
    } else if (byte < 0x100) {
      spellings.push_back(SpellingOfBytes(std::string(1, static_cast<char>(byte++))));
    } else {
      spellings.push_back(SpellingOfBytes(" w" + std::to_string(id)));
    }
  }
  return spellings;
}

void WriteJsonFile(const std::filesystem::path& path, const OrderedJson& json) {
  OutputFile file(path);
  file.Write(json.dump() + "\n");
  file.Commit();
}

OrderedJson TokenizerJson(const SpecialTokens& special, int64_t vocabulary) {
  OrderedJson added = OrderedJson::array();
  for (const auto& [id, content] : special.tokens) {
    added.push_back({{"id", id},
                     {"content", content},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const OrderedJson bytes = {{"type", "ByteLevel"},
                             {"add_prefix_space", false},
                             {"trim_offsets", true},
                             {"use_regex", true}};
  OrderedJson front = bytes;
  if (special.bos >= 0) {
    const std::string& bos = special.tokens.at(special.bos);
    const OrderedJson begin = {{"SpecialToken", {{"id", bos}, {"type_id", 0}}}};
    front = {{"type", "TemplateProcessing"},
             {"single", {begin, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
             {"pair",
              {begin,
               {{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
               {{"Sequence", {{"id", "B"}, {"type_id", 1}}}}}},
             {"special_tokens", {{bos, {{"id", bos}, {"ids", {special.bos}}, {"tokens", {bos}}}}}}};
  }
  // Looking each key up among those before it, as [] does, takes minutes for 150,000.
  OrderedJson words = OrderedJson::object();
  int64_t id = 0;
  for (const std::string& spelling : Spellings(special, vocabulary))
    words.get_ref<OrderedJson::object_t&>().emplace_back(spelling, id++);
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", std::move(added)},
          {"normalizer", nullptr},
          {"pre_tokenizer", bytes},
          {"post_processor", std::move(front)},
          {"decoder", bytes},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false},
            {"vocab", std::move(words)},
            {"merges", OrderedJson::array()}}}};
}

}  // namespace

void WriteTokenizerFiles(const std::filesystem::path& directory, const SpecialTokens& special,
                         int64_t vocabulary) {
  WriteJsonFile(directory / "tokenizer.json", TokenizerJson(special, vocabulary));
  OrderedJson config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                        {"clean_up_tokenization_spaces", false}};
  OrderedJson generation = {{"eos_token_id", special.eos}};
  const auto role = [&](const char* name, int64_t id) {
    if (id < 0) return;
    config[std::string(name) + "_token"] = special.tokens.at(id);
    generation[std::string(name) + "_token_id"] = id;
  };
  role("bos", special.bos);
  role("eos", special.eos);
  role("pad", special.pad);
  WriteJsonFile(directory / "tokenizer_config.json", config);
  WriteJsonFile(directory / "generation_config.json", generation);
}

void AddTokenizer(const SpecialTokens& special, int64_t vocabulary, GgufEntries& entries) {
  constexpr int32_t kOrdinary = 1, kSpecial = 3;
  std::vector<int32_t> types(static_cast<size_t>(vocabulary), kOrdinary);
  for (const auto& [id, content] : special.tokens) types[static_cast<size_t>(id)] = kSpecial;
  entries.String("tokenizer.ggml.model", "gpt2");
  entries.String("tokenizer.ggml.pre", "gpt-2");
  entries.Strings("tokenizer.ggml.tokens", Spellings(special, vocabulary));
  entries.I32s("tokenizer.ggml.token_type", types);
  entries.Strings("tokenizer.ggml.merges", {});
  const auto role = [&](const char* key, int64_t id) {
    if (id >= 0) entries.U32(key, static_cast<uint32_t>(id));
  };
  role("tokenizer.ggml.bos_token_id", special.bos);
  role("tokenizer.ggml.eos_token_id", special.eos);
  role("tokenizer.ggml.padding_token_id", special.pad);
  entries.Bool("tokenizer.ggml.add_bos_token", special.bos >= 0);
}

}  // namespace binocle
