// MMMU's open questions, as eval_utils.py of MMMU reads and compares them.
//
// The answer is split into lines; from each line comes the shortest text behind "is ", "so ", "answer " and so on (in the last line also
// behind "="), from the whole the answer itself where no line has one. These texts, and every number in them, are what the answer says.
// It is right where one of them is a text that contains a reference, or a number that equals one. Numbers are rounded to two decimals.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "eval/text.h"

namespace binocle::eval {

using MmmuValue = std::variant<double, Text>;

// A number, or a text in lower case; a single character becomes two texts, with a blank on either side, so that it is no part of a word.
std::vector<MmmuValue> NormalizeMmmu(TextView text);
// The numbers in a text as they are written: with commas, then in scientific notation, then the others; one may come more than once.
std::vector<Text> MmmuNumbers(TextView text);
// What an answer says, in the order in which it was found.
std::vector<MmmuValue> ParseMmmuOpen(TextView answer);
bool IsMmmuOpenMatch(const std::vector<MmmuValue>& said, const std::vector<Text>& references);

}  // namespace binocle::eval
