// Contractions whose apostrophe VQA accuracy puts back before it compares: "dont" → "don't".
// Source: the table of vqaEval.py (GT-Vision-Lab/VQA), which M4C's processor and both harnesses share.
#pragma once

#include <string_view>

namespace binocle::eval {

// What the table has for a lower-case word, or the word itself.
std::string_view WithApostrophe(std::string_view word);

}  // namespace binocle::eval
