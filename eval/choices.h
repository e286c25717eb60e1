// Which option an answer to a multiple-choice question chooses, as published scripts read it. Nothing: it cannot be told, where some
// scripts ask a judge or draw an option at random.
#pragma once

#include <optional>
#include <vector>

#include "eval/text.h"

namespace binocle::eval {

using Letter = char;  // 'A' …

// MMBench without a judge (its evaluator in lmms-eval). A letter A … E that is a word of its own, the only one; then one with marks
// around, such as "B." or "(B)"; then the only option among A … D whose text occurs in the answer, case aside. "A" in an answer of more
// than three words is taken for an article and does not count as a word of its own.
std::optional<Letter> InferMmbench(TextView answer, const std::vector<Text>& options);
// The same in VLMEvalKit. An option's letter that is a word of its own once marks are blanks, the only one, and not further from the end
// than four words; then one behind "answer is"; then, in an answer of at most twice the options' length together, the only option whose
// text occurs. The word Z, or a phrase by which some services refuse, is no answer.
std::optional<Letter> InferMmbenchVlmeval(TextView answer, const std::vector<Text>& options);

// MMMU, in two versions.
//   kOfficial  eval_utils.py of MMMU: "(B)", then " B ", then the text of an option where the answer has more than five words
//   kLmms      lmms-eval: "(B)", then "B ", then "B.", then the text; so the last letter of "SPA " counts as an A
// Of several the one that comes last. Seven marks are taken off the ends first, each once, in a fixed order.
enum class MmmuRules { kOfficial, kLmms };
std::optional<Letter> ParseMmmuChoice(TextView answer, const std::vector<Text>& options,
                                      MmmuRules rules);

// SEED-Bench as lmms-eval has it: the first character of the answer, blanks aside, whatever it is; empty for none.
Text FirstCharacter(TextView answer);

// ScienceQA as LLaVA has it: one letter A … E alone, or in front of ". ", or after the only "The answer is " (and before one more
// character). Nothing where the letter is no option.
std::optional<Letter> ParseScienceQa(TextView answer, size_t options);
// As lmms-eval has it: the letter alone but for case, or a capital in front of a full stop.
bool IsScienceQaLmmsMatch(TextView answer, Letter wanted);

}  // namespace binocle::eval
