// Scores of short answers: edit distance (ANLS), numbers within a tolerance, the same text.
#pragma once

#include <vector>

#include "eval/text.h"

namespace binocle::eval {

// Insertions, deletions and replacements of single characters that make `b` of `a`. INVALID_ARGUMENT where the product of the lengths is
// above 2^32.
int64_t EditDistance(TextView a, TextView b);

// What a distance is divided by. All scripts measure it between texts in lower case, with single blanks and none around.
//   kCompared  the longer of the two texts that were compared
//   kRaw       the longer of the two texts as they were given, in upper case: the script of the Robust Reading Competition, Qwen-VL, both
//              harnesses
enum class AnlsLength { kCompared, kRaw };

//   ANLS = s if s ≥ 0.5, otherwise 0        s = max over references of 1 − distance / length; 1 for two empty texts
// `references`: at least one.
double ScoreAnls(TextView answer, const std::vector<Text>& references, AnlsLength length);

// ChartQA's relaxed correctness (pix2struct, Qwen-VL, both harnesses): |answer − reference| ≤ 5 % of the reference where both are
// numbers and the reference is not 0; otherwise the same text but for case. "5%" is the number 0.05.
bool IsRelaxedMatch(TextView answer, TextView reference);

// The same text but for case and blanks around.
bool IsExactMatch(TextView answer, TextView reference);

// GQA. As lmms-eval has it: the same text but for case and the 32 marks of ASCII; blanks count.
bool IsGqaMatch(TextView answer, TextView reference);
// As LLaVA prepares answers for the official script, which then wants the same text: lower case, no full stops at the end.
Text PrepareGqa(TextView answer);

}  // namespace binocle::eval
