#include "service/http/refused_options.h"

#include <algorithm>
#include <string>

namespace binocle::http {
namespace {

// Values with which an option does nothing.
enum class Harmless {
  kZero,  // a number: a penalty
  kOne,   // a number: a factor
  kOff,   // a number of 0 or below: how many
  kTrue,
  kEmpty,        // a list or an object without members, an empty text, or false
  kNone,         // "none" or "auto": which of no tools to call
  kMedium,       // "medium"
  kReasonsNone,  // "none": no model here reasons
  kText,         // ["text"]
  kNever,
};

struct Option {
  const char* name;
  Harmless harmless;
  const char* why;
};

constexpr const char* kNoTools = "is not supported: the model calls no tools";
constexpr const char* kNoPenalty =
    "is not supported, expected 0; binocle.repetition_penalty is what there is";
constexpr const char* kOurs = "belongs into the object binocle";
constexpr const char* kConstraint = "is not supported; binocle.constraint is what there is";
constexpr const char* kUnsupported = "is not supported";

constexpr Option kOptions[] = {
    // OpenAI's own.
    {"tools", Harmless::kEmpty, kNoTools},
    {"tool_choice", Harmless::kNone, kNoTools},
    {"functions", Harmless::kEmpty, kNoTools},
    {"function_call", Harmless::kNone, kNoTools},
    {"logit_bias", Harmless::kEmpty, kUnsupported},
    {"presence_penalty", Harmless::kZero, kNoPenalty},
    {"frequency_penalty", Harmless::kZero, kNoPenalty},
    {"audio", Harmless::kEmpty, "is not supported: answers are text"},
    {"modalities", Harmless::kText, "is not supported, expected [\"text\"]: answers are text"},
    {"reasoning_effort", Harmless::kReasonsNone,
     "is not supported: the model does not reason first"},
    {"verbosity", Harmless::kMedium, kUnsupported},
    {"web_search_options", Harmless::kNever, "is not supported: nothing is fetched"},
    // Ours, one level too high.
    {"top_k", Harmless::kOff, kOurs},
    {"min_p", Harmless::kZero, kOurs},
    {"repetition_penalty", Harmless::kOne, kOurs},
    {"interventions", Harmless::kNever, kOurs},
    {"constraint", Harmless::kNever, kOurs},
    {"prompt_format", Harmless::kNever, kOurs},
    {"grounding", Harmless::kNever, kOurs},
    {"attention", Harmless::kNever, kOurs},
    {"priority", Harmless::kZero, kOurs},
    {"var", Harmless::kNever, kOurs},
    {"modulate", Harmless::kNever, kOurs},
    {"pai", Harmless::kNever, kOurs},
    {"guidance", Harmless::kNever, kOurs},
    {"vcd", Harmless::kNever, kOurs},
    {"pooling", Harmless::kNever, kOurs},
    {"normalize", Harmless::kNever, kOurs},
    {"max_new_tokens", Harmless::kNever, "is not supported, expected max_tokens"},
    {"system", Harmless::kEmpty, "is not supported, expected a message of that role"},
    {"stop_sequences", Harmless::kEmpty, "is not supported, expected stop"},
    // Of vLLM, llama.cpp, SGLang and others.
    {"guided_choice", Harmless::kEmpty, kConstraint},
    {"guided_regex", Harmless::kEmpty, kConstraint},
    {"guided_json", Harmless::kEmpty, kConstraint},
    {"guided_grammar", Harmless::kEmpty, kConstraint},
    {"structured_outputs", Harmless::kEmpty, kConstraint},
    {"regex", Harmless::kEmpty, kConstraint},
    {"grammar", Harmless::kEmpty, kConstraint},
    {"json_schema", Harmless::kEmpty, kConstraint},
    {"format", Harmless::kEmpty, kConstraint},
    {"guided_whitespace_pattern", Harmless::kEmpty, kConstraint},
    {"structural_tag", Harmless::kEmpty, kConstraint},
    {"grammar_lazy", Harmless::kEmpty, kConstraint},
    {"best_of", Harmless::kOne, kUnsupported},
    {"use_beam_search", Harmless::kEmpty, kUnsupported},
    {"length_penalty", Harmless::kOne, kUnsupported},
    {"early_stopping", Harmless::kEmpty, kUnsupported},
    {"do_sample", Harmless::kNever, "is not supported, expected temperature: 0 is greedy"},
    {"num_beams", Harmless::kOne, kUnsupported},
    {"min_tokens", Harmless::kZero, kUnsupported},
    {"min_new_tokens", Harmless::kZero, kUnsupported},
    {"min_length", Harmless::kZero, kUnsupported},
    {"max_length", Harmless::kNever, "is not supported, expected max_tokens"},
    {"n_predict", Harmless::kNever, "is not supported, expected max_tokens"},
    {"num_predict", Harmless::kNever, "is not supported, expected max_tokens"},
    {"max_output_tokens", Harmless::kNever, "is not supported, expected max_tokens"},
    {"thinking_budget", Harmless::kNever, kUnsupported},
    {"t_max_predict_ms", Harmless::kOff, kUnsupported},
    {"n_indent", Harmless::kZero, kUnsupported},
    {"ignore_eos", Harmless::kEmpty, kUnsupported},
    {"stop_token_ids", Harmless::kEmpty, kUnsupported},
    {"include_stop_str_in_output", Harmless::kEmpty, kUnsupported},
    {"no_stop_trim", Harmless::kEmpty, kUnsupported},
    {"bad_words", Harmless::kEmpty, kUnsupported},
    {"allowed_token_ids", Harmless::kEmpty, kUnsupported},
    {"logits_processors", Harmless::kEmpty, kUnsupported},
    {"custom_logit_processor", Harmless::kEmpty, kUnsupported},
    {"samplers", Harmless::kEmpty, kUnsupported},
    {"skip_special_tokens", Harmless::kTrue, kUnsupported},
    {"spaces_between_special_tokens", Harmless::kTrue, kUnsupported},
    {"typical_p", Harmless::kOne, kUnsupported},
    {"tfs_z", Harmless::kOne, kUnsupported},
    {"dynatemp_range", Harmless::kZero, kUnsupported},
    {"top_n_sigma", Harmless::kOff, kUnsupported},
    {"min_keep", Harmless::kZero, kUnsupported},
    {"mirostat", Harmless::kZero, kUnsupported},
    {"repeat_penalty", Harmless::kOne,
     "is not supported; binocle.repetition_penalty is what there is"},
    {"watermark", Harmless::kEmpty, kUnsupported},
    {"prompt", Harmless::kNever, "is not supported, expected messages"},
    {"images", Harmless::kEmpty, "is not supported, expected parts of a message"},
    {"image_data", Harmless::kEmpty, "is not supported, expected parts of a message"},
    {"suffix", Harmless::kEmpty, kUnsupported},
    {"template", Harmless::kEmpty, kUnsupported},
    {"options", Harmless::kEmpty, "is not supported: its members belong beside messages"},
    {"echo", Harmless::kEmpty, kUnsupported},
    {"return_full_text", Harmless::kEmpty, kUnsupported},
    {"truncate", Harmless::kEmpty, kUnsupported},
    {"truncate_prompt_tokens", Harmless::kNever, kUnsupported},
    {"prompt_logprobs", Harmless::kEmpty, kUnsupported},
    {"return_tokens_as_token_ids", Harmless::kEmpty, kUnsupported},
    {"add_generation_prompt", Harmless::kTrue, kUnsupported},
    {"add_special_tokens", Harmless::kEmpty, kUnsupported},
    {"chat_template", Harmless::kNever,
     "is not supported; binocle.prompt_format raw is what there is"},
    {"chat_template_kwargs", Harmless::kEmpty, kUnsupported},
    {"continue_final_message", Harmless::kEmpty, kUnsupported},
    {"mm_processor_kwargs", Harmless::kEmpty, kUnsupported},
    {"documents", Harmless::kEmpty, kUnsupported},
    {"thinking", Harmless::kEmpty, kUnsupported},
    {"think", Harmless::kEmpty, kUnsupported},
    {"reasoning", Harmless::kEmpty, kUnsupported},
    {"enable_thinking", Harmless::kEmpty, kUnsupported},
    {"lora", Harmless::kEmpty, kUnsupported},
    {"lora_path", Harmless::kEmpty, kUnsupported},
    {"adapter_id", Harmless::kEmpty, kUnsupported},
    {"no_repeat_ngram_size", Harmless::kZero, kUnsupported},
    {"ebnf", Harmless::kEmpty, kConstraint},
    {"stop_regex", Harmless::kEmpty, kUnsupported},
    {"xtc_probability", Harmless::kZero, kUnsupported},
    {"dry_multiplier", Harmless::kZero, kUnsupported},
    {"top_a", Harmless::kZero, kUnsupported},
    {"vllm_xargs", Harmless::kEmpty, kUnsupported},
    {"repetition_detection", Harmless::kEmpty, kUnsupported},
    {"repeat_last_n", Harmless::kZero, kUnsupported},
    {"num_ctx", Harmless::kNever, "is not supported: the server's context is fixed"},
    {"lora_request", Harmless::kEmpty, kUnsupported},
    {"stop_strings", Harmless::kEmpty, "is not supported, expected stop"},
    {"instructions", Harmless::kEmpty, "is not supported, expected a message of the role system"},
    {"negative_prompt", Harmless::kEmpty, kUnsupported},
};

bool IsHarmless(const Json& value, Harmless harmless) {
  switch (harmless) {
    case Harmless::kZero: return value.is_number() && value.get<double>() == 0;
    case Harmless::kOne: return value.is_number() && value.get<double>() == 1;
    case Harmless::kOff: return value.is_number() && value.get<double>() <= 0;
    case Harmless::kTrue: return value == Json(true);
    case Harmless::kEmpty:
      return (value.is_structured() && value.empty()) || value == Json("") || value == Json(false);
    case Harmless::kNone: return value == Json("none") || value == Json("auto");
    case Harmless::kMedium: return value == Json("medium");
    case Harmless::kReasonsNone: return value == Json("none");
    case Harmless::kText: return value == Json::array({"text"});
    case Harmless::kNever: return false;
  }
  return false;
}

}  // namespace

void RefuseOptions(const Fields& body) {
  for (const auto& [key, value] : body.json().items()) {
    const auto it = std::find_if(std::begin(kOptions), std::end(kOptions),
                                 [&key = key](const Option& o) { return o.name == key; });
    if (it == std::end(kOptions) || value.is_null() || IsHarmless(value, it->harmless)) continue;
    RefuseAt(body.Place(key), it->why);
  }
}

}  // namespace binocle::http
