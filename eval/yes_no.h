// What published scripts read in an answer to a yes-or-no question. They disagree about the same answers, so each has its name.
#pragma once

#include <string_view>

#include "eval/text.h"

namespace binocle::eval {

enum class YesNo { kNo, kYes, kOther };

// "no", "yes", "other".
std::string_view YesNoName(YesNo answer);

// POPE's evaluate.py, which LLaVA took over. Only what stands before the first full stop, without commas, split at single blanks: no where
// No, no or not is one of the words, otherwise yes. So "NO", "no!", "It isn't." and "" are yes.
YesNo ParsePopeLlava(TextView answer);
// OPERA's pope_eval.py, which PAI took over. Without full stops and commas: no where No, no, NO, not or a word in n't is there, otherwise
// yes.
YesNo ParsePopeOpera(TextView answer);
// VCD's eval_pope.py. In lower case: the answer wanted counts as given where it occurs anywhere, also inside "know"; otherwise the other
// one.
YesNo ParsePopeVcd(TextView answer, YesNo wanted);
// lmms-eval. Exactly yes or no but for case and blanks around; anything else is neither.
YesNo ParsePopeLmms(TextView answer);

// VLMEvalKit. yes or no as a word, in lower case, once punctuation went as in VQA accuracy; neither where both or none are there.
YesNo ParsePopeVlmeval(TextView answer);

// MME's calculation.py: yes, otherwise no, among the first four characters in lower case. Blanks at the start count.
YesNo ParseMme(TextView answer);
// lmms-eval: the same after blanks around and all full stops went, and y or n alone.
YesNo ParseMmeLmms(TextView answer);

}  // namespace binocle::eval
