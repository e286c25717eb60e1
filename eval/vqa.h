// VQA accuracy: how many of the other annotators gave the answer.
//
//   accuracy = mean over i of min(1, |{j ≠ i : reference_j = answer}| / 3)
//
// With ten references and n matches: 0, 0.3, 0.6, 0.9 for n = 0 … 3, and 1 from 4 on. Answers are compared after one of two
// normalisations, which differ in more than they share words:
//   vqa_v2   vqaEval.py of GT-Vision-Lab/VQA. Nothing is normalised where all references are the same text.
//   textvqa  the processor of M4C (MMF, LLaVA, lmms-eval), which is said to be EvalAI's. Always; and "'s" becomes a word.
#pragma once

#include <vector>

#include "eval/text.h"

namespace binocle::eval {

// Punctuation, as both do it: each mark is deleted everywhere where one of it touches a blank or the text has a comma between digits, and
// becomes a blank otherwise; then up to 32 full stops that no digit follows are deleted. `commas`: whether several commas between two
// digits count like one (M4C's processor) or not (vqaEval.py). `stay`: whether full stops after a digit stay too (VLMEvalKit).
enum class Commas { kOne, kAny };
enum class FullStops { kNotBeforeDigits, kNotAfterDigits };
Text ProcessPunctuation(TextView text, Commas commas, FullStops stay = FullStops::kNotBeforeDigits);
// Lower case, number words up to ten (and none) as digits, no articles, contractions with their apostrophe, single blanks.
Text ProcessDigitsAndArticles(TextView text);

// Line breaks and tabs as blanks, and none around.
Text OneLine(TextView text);
// The processor of M4C.
Text ProcessM4c(TextView text);

struct VqaScore {
  double accuracy = 0;
  Text answer;  // as it was compared
};

// `references`: at least one.
VqaScore ScoreVqaV2(TextView answer, const std::vector<Text>& references);
VqaScore ScoreTextVqa(TextView answer, const std::vector<Text>& references);

}  // namespace binocle::eval
