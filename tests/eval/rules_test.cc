// Published rules and the traps in them, by hand. Each test names where the rule is written down.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/chair.h"
#include "eval/choices.h"
#include "eval/mmmu_open.h"
#include "eval/short_answers.h"
#include "eval/vqa.h"
#include "eval/yes_no.h"
#include "tests/testing/errors.h"

namespace binocle::eval {
namespace {

using ::binocle::testing::ErrorOf;
using ::testing::HasSubstr;

std::vector<Text> Ten(const std::vector<std::pair<Text, int>>& answers) {
  std::vector<Text> ten;
  for (const auto& [text, count] : answers) ten.insert(ten.end(), static_cast<size_t>(count), text);
  return ten;
}

// vqaEval.py, GT-Vision-Lab/VQA; https://visualqa.org/evaluation.html
TEST(VqaV2, EachAnnotatorIsLeftOutOnce) {
  const double wanted[] = {0, 0.3, 0.6, 0.9, 1, 1};
  for (int n = 0; n <= 5; ++n) {
    const auto references = Ten({{U"red", n}, {U"blue", 10 - n}});
    EXPECT_NEAR(ScoreVqaV2(U"red", references).accuracy, wanted[n], 1e-12) << n;
  }
}

TEST(VqaV2, NothingIsNormalizedWhereAllAnswersAreTheSame) {
  EXPECT_EQ(ScoreVqaV2(U"Two.", Ten({{U"Two.", 10}})).accuracy, 1);
  EXPECT_EQ(ScoreVqaV2(U"2", Ten({{U"Two.", 10}})).accuracy, 0);
  EXPECT_EQ(ScoreVqaV2(U"2", Ten({{U"Two.", 9}, {U"three", 1}})).accuracy, 1);
  EXPECT_EQ(ScoreTextVqa(U"2", Ten({{U"Two.", 10}})).accuracy, 1)
      << "M4C's processor always applies";
}

TEST(VqaV2, NumbersArticlesAndContractions) {
  EXPECT_EQ(ProcessDigitsAndArticles(U"The  Ten a an cats"), U"10 cats");
  EXPECT_EQ(ProcessDigitsAndArticles(U"DONT none youre"), U"don't 0 you're");
  EXPECT_EQ(ProcessDigitsAndArticles(U"somebody'd"), U"somebodyd");
  EXPECT_EQ(ProcessDigitsAndArticles(U"eleven"), U"eleven");
}

TEST(VqaV2, PunctuationGoesOrBecomesABlank) {
  EXPECT_EQ(ProcessPunctuation(U"a-b", Commas::kOne), U"a b");
  EXPECT_EQ(ProcessPunctuation(U"a -b c-d", Commas::kOne), U"a b cd")
      << "one touches a blank, so all go";
  EXPECT_EQ(ProcessPunctuation(U"1,000-x", Commas::kOne), U"1000x")
      << "a comma between digits deletes all marks";
  EXPECT_EQ(ProcessPunctuation(U"1,,0-x", Commas::kOne), U"1  0 x");
  EXPECT_EQ(ProcessPunctuation(U"1,,0-x", Commas::kAny), U"10x");
  EXPECT_EQ(ProcessPunctuation(U"U.S.A. 3.5 5.", Commas::kOne), U"USA 3.5 5");
  const Text many(40, U'.');
  EXPECT_EQ(ProcessPunctuation(many, Commas::kOne), Text(8, U'.'))
      << "re.UNICODE is 32, as a count";
}

// m4c_evaluators.py, facebookresearch/mmf
TEST(TextVqa, ItsProcessorSplitsThePossessive) {
  EXPECT_EQ(ProcessM4c(U"Joe's, Café?"), U"joe 's café");
  EXPECT_EQ(ProcessM4c(U"1,000"), U"1000");
  EXPECT_EQ(ProcessM4c(U"it's"), U"it 's");
  EXPECT_EQ(ScoreTextVqa(U"Joe 's", Ten({{U"joe's", 4}, {U"x", 6}})).accuracy, 1);
}

// Biten et al. 2019; the script of the Robust Reading Competition
TEST(Anls, HalfIsKeptAndLessIsNothing) {
  EXPECT_EQ(ScoreAnls(U"ab", {U"abcd"}, AnlsLength::kCompared), 0.5);
  EXPECT_EQ(ScoreAnls(U"a", {U"abc"}, AnlsLength::kCompared), 0);
  EXPECT_EQ(ScoreAnls(U"ABC", {U"x", U"abc"}, AnlsLength::kCompared), 1);
  EXPECT_EQ(ScoreAnls(U"", {U""}, AnlsLength::kRaw), 1);
}

TEST(Anls, TheScriptDividesByTheLengthAsGiven) {
  const std::vector<Text> references = {U"abcd"};
  EXPECT_DOUBLE_EQ(ScoreAnls(U"abcx    ", references, AnlsLength::kCompared), 0.75);
  EXPECT_DOUBLE_EQ(ScoreAnls(U"abcx    ", references, AnlsLength::kRaw), 0.875);
  EXPECT_DOUBLE_EQ(ScoreAnls(U"abß", {U"abx"}, AnlsLength::kRaw), 0.75)
      << "of the upper case, where ß is SS";
}

TEST(Anls, DistanceIsOverCharacters) {
  EXPECT_EQ(EditDistance(U"kitten", U"sitting"), 3);
  EXPECT_EQ(EditDistance(U"日本", U"日"), 1);
  EXPECT_EQ(EditDistance(U"", U"abc"), 3);
}

// pix2struct's metrics.py; ChartQA (Masry et al. 2022), end of section 5.1
TEST(RelaxedAccuracy, FivePerCentIncluded) {
  EXPECT_TRUE(IsRelaxedMatch(U"105", U"100"));
  EXPECT_FALSE(IsRelaxedMatch(U"105.01", U"100"));
  EXPECT_TRUE(IsRelaxedMatch(U"-95", U"-100"));
  EXPECT_TRUE(IsRelaxedMatch(U"5%", U"0.05"));
  EXPECT_FALSE(IsRelaxedMatch(U"5%", U"5"));
  EXPECT_TRUE(IsRelaxedMatch(U"Yes", U"yes"));
}

TEST(RelaxedAccuracy, WhatIsNoNumberOrZeroIsCompared) {
  EXPECT_FALSE(IsRelaxedMatch(U"0.0", U"0"));
  EXPECT_TRUE(IsRelaxedMatch(U"0", U"0"));
  EXPECT_FALSE(IsRelaxedMatch(U"1,000", U"1000"));
  EXPECT_FALSE(IsRelaxedMatch(U"yes ", U"yes"));
}

TEST(ExactMatch, CaseAndBlanksAround) {
  EXPECT_TRUE(IsExactMatch(U" Red\n", U"red"));
  EXPECT_FALSE(IsExactMatch(U"red.", U"red"));
}

TEST(Gqa, TwoWaysToPrepareAnAnswer) {
  EXPECT_TRUE(IsGqaMatch(U"T-Shirt.", U"tshirt"));
  EXPECT_FALSE(IsGqaMatch(U"shirt ", U"shirt"));
  EXPECT_EQ(PrepareGqa(U"Yes..."), U"yes");
  EXPECT_EQ(PrepareGqa(U"Yes. "), U"yes. ");
}

// The scripts of POPE, OPERA, VCD and lmms-eval on the same answers
TEST(Pope, FourScriptsDisagree) {
  struct Case {
    TextView answer;
    YesNo llava, opera, vcd_if_no, lmms;
  };
  using enum YesNo;
  const Case cases[] = {{U"No, there is no dog.", kNo, kNo, kNo, kOther},
                        {U"NO", kYes, kNo, kNo, kNo},
                        {U"no!", kYes, kYes, kNo, kOther},
                        {U"It isn't.", kYes, kNo, kYes, kOther},
                        {U"", kYes, kYes, kYes, kOther},
                        {U"A cat. no dog", kYes, kNo, kNo, kOther},
                        {U"I know", kYes, kYes, kNo, kOther},
                        {U" No\n", kYes, kYes, kNo, kNo},
                        {U"Yes", kYes, kYes, kYes, kYes},
                        {U"not", kNo, kNo, kNo, kOther}};
  for (const Case& c : cases) {
    EXPECT_EQ(ParsePopeLlava(c.answer), c.llava) << ToUtf8(c.answer);
    EXPECT_EQ(ParsePopeOpera(c.answer), c.opera) << ToUtf8(c.answer);
    EXPECT_EQ(ParsePopeVcd(c.answer, kNo), c.vcd_if_no) << ToUtf8(c.answer);
    EXPECT_EQ(ParsePopeLmms(c.answer), c.lmms) << ToUtf8(c.answer);
  }
  EXPECT_EQ(ParsePopeVlmeval(U"Yes, there is."), kYes);
  EXPECT_EQ(ParsePopeVlmeval(U"yes and no"), kOther);
  EXPECT_EQ(ParsePopeVlmeval(U"NO!"), kNo);
  EXPECT_EQ(ParsePopeVcd(U"no and yes", kYes), kYes);
  EXPECT_EQ(ParsePopeVcd(U"no and yes", kNo), kNo) << "each is right for one that wants it";
}

// MME's calculation.py, and lmms-eval
TEST(Mme, TheFirstFourCharacters) {
  EXPECT_EQ(ParseMme(U"Yes, it is"), YesNo::kYes);
  EXPECT_EQ(ParseMme(U"  yes"), YesNo::kOther) << "blanks count";
  EXPECT_EQ(ParseMme(U" yes"), YesNo::kYes);
  EXPECT_EQ(ParseMme(U"Nothing"), YesNo::kNo);
  EXPECT_EQ(ParseMme(U"The answer is yes"), YesNo::kOther);
  EXPECT_EQ(ParseMmeLmms(U"  yes"), YesNo::kYes);
  EXPECT_EQ(ParseMmeLmms(U"Y."), YesNo::kYes);
  EXPECT_EQ(ParseMmeLmms(U"n.o"), YesNo::kNo);
  EXPECT_EQ(ParseMme(U"y"), YesNo::kOther);
}

// MMBench's evaluator in lmms-eval
TEST(Mmbench, LettersThenTexts) {
  const std::vector<Text> options = {U"red apple", U"green pear", U"blue plum", U"none"};
  EXPECT_EQ(InferMmbench(U"B", options), 'B');
  EXPECT_EQ(InferMmbench(U"The answer is (C).", options), 'C');
  EXPECT_EQ(InferMmbench(U"Answer: B", options), 'B');
  EXPECT_EQ(InferMmbench(U"Answer:B", options), std::nullopt);
  EXPECT_EQ(InferMmbench(U"A green pear is there", options), 'B')
      << "A is an article in four words or more";
  EXPECT_EQ(InferMmbench(U"A green pear", options), 'A') << "and a letter in three";
  EXPECT_EQ(InferMmbench(U"B or C", options), std::nullopt);
  EXPECT_EQ(InferMmbench(U"a RED APPLE or a green pear", options), std::nullopt);
  EXPECT_EQ(InferMmbench(U"E", options), 'E');
}

// VLMEvalKit's matching_util.py
TEST(Mmbench, TheOtherHarnessReadsLettersMoreLoosely) {
  const std::vector<Text> options = {U"red apple", U"green pear", U"blue plum", U"none"};
  EXPECT_EQ(InferMmbenchVlmeval(U"Answer:B", options), 'B');
  EXPECT_EQ(InferMmbenchVlmeval(U"The answer is **b**. C and A are wrong.", options), 'B');
  EXPECT_EQ(InferMmbenchVlmeval(U"It is B, I think, because of what I can see", options),
            std::nullopt);
  EXPECT_EQ(InferMmbenchVlmeval(U"B. C. is wrong", options), std::nullopt);
  EXPECT_EQ(InferMmbenchVlmeval(U"green pear", options), 'B');
  EXPECT_EQ(InferMmbenchVlmeval(U"green pear" + Text(80, U'!'), options), std::nullopt)
      << "too long";
  EXPECT_EQ(InferMmbenchVlmeval(U"Z green pear", options), std::nullopt);
  EXPECT_EQ(InferMmbenchVlmeval(U"E", options), std::nullopt);
}

// eval_utils.py, MMMU-Benchmark/MMMU, and lmms-eval
TEST(Mmmu, TwoParsersDisagree) {
  const std::vector<Text> options = {U"red apple", U"green pear", U"blue plum", U"none"};
  const auto official = [&](TextView answer) {
    return ParseMmmuChoice(answer, options, MmmuRules::kOfficial);
  };
  const auto lmms = [&](TextView answer) {
    return ParseMmmuChoice(answer, options, MmmuRules::kLmms);
  };
  EXPECT_EQ(official(U"A. red apple"), std::nullopt);
  EXPECT_EQ(lmms(U"A. red apple"), 'A');
  EXPECT_EQ(official(U"Answer:A"), std::nullopt);
  EXPECT_EQ(lmms(U"Answer:A"), 'A');
  EXPECT_EQ(official(U"B,C"), std::nullopt);
  EXPECT_EQ(lmms(U"B,C"), 'C');
  EXPECT_EQ(official(U"(A) or (B)"), 'B') << "the last one";
  EXPECT_EQ(official(U"B is right and A is not"), 'A');
  EXPECT_EQ(official(U"what I can see is a green pear"), 'B') << "texts from six words on";
  EXPECT_EQ(official(U"a green pear"), std::nullopt);
  EXPECT_EQ(official(U"B.'"), std::nullopt)
      << "full stops are taken off before quotes, and not again";
  EXPECT_EQ(official(U"'B'."), 'B');
}

TEST(MmmuOpen, WhatAnAnswerSays) {
  EXPECT_EQ(MmmuNumbers(U"1,234 and 2.5e3, 7 or .5"),
            (std::vector<Text>{U"1,234", U"2.5e3", U"234", U"2", U"7", U".5"}));
  EXPECT_EQ(MmmuNumbers(U"-3-4"), (std::vector<Text>{U"-3", U"-4"}));
  EXPECT_EQ(MmmuNumbers(Text(1000000, U'1') + U"x").size(), 0U)
      << "and in time that grows with the text";
  EXPECT_EQ(NormalizeMmmu(U" 1,000.126 "), (std::vector<MmmuValue>{1000.13}));
  EXPECT_EQ(NormalizeMmmu(U"X"), (std::vector<MmmuValue>{Text(U" x"), Text(U"x ")}));
  EXPECT_EQ(ParseMmmuOpen(U"So the final answer is 12.\n"), (std::vector<MmmuValue>{12.0}));
  EXPECT_TRUE(IsMmmuOpenMatch(ParseMmmuOpen(U"x = 3.14159"), {U"3.14"}));
  EXPECT_TRUE(IsMmmuOpenMatch(ParseMmmuOpen(U"The result is the Eiffel tower"), {U"eiffel"}));
  EXPECT_FALSE(IsMmmuOpenMatch(ParseMmmuOpen(U"The result is x"), {U"xy"}));
  EXPECT_FALSE(IsMmmuOpenMatch(ParseMmmuOpen(U"no number"), {U"5"}));
}

// lmms-eval; LLaVA's eval_science_qa.py
TEST(Choices, SeedAndScienceQa) {
  EXPECT_EQ(FirstCharacter(U" b. red"), U"b");
  EXPECT_EQ(FirstCharacter(U"\n"), U"");
  EXPECT_EQ(ParseScienceQa(U"B", 3), 'B');
  EXPECT_EQ(ParseScienceQa(U"B. red", 3), 'B');
  EXPECT_EQ(ParseScienceQa(U"B.", 3), std::nullopt);
  EXPECT_EQ(ParseScienceQa(U"I think. The answer is B.", 3), 'B');
  EXPECT_EQ(ParseScienceQa(U"The answer is B", 3), std::nullopt) << "a character must follow";
  EXPECT_EQ(ParseScienceQa(U"The answer is A. The answer is B.", 3), std::nullopt);
  EXPECT_EQ(ParseScienceQa(U"D", 3), std::nullopt) << "no option";
  EXPECT_TRUE(IsScienceQaLmmsMatch(U"B.", 'B'));
  EXPECT_TRUE(IsScienceQaLmmsMatch(U" b ", 'B'));
  EXPECT_FALSE(IsScienceQaLmmsMatch(U"b.", 'B'));
}

// utils/chair.py, LisaAnne/Hallucination
TEST(Chair, WordsPluralsAndPairs) {
  const CaptionObjects objects;
  using Names = std::vector<std::string>;
  EXPECT_EQ(objects.Named(U"Two women ride bikes past the buses."),
            (Names{"person", "bicycle", "bus"}));
  EXPECT_EQ(objects.Named(U"a baby elephant and a baby"), (Names{"elephant", "person"}));
  EXPECT_EQ(objects.Named(U"a train on the train track"), (Names{"train"}));
  EXPECT_EQ(objects.Named(U"the seat of the toilet"), (Names{"toilet"}));
  EXPECT_EQ(objects.Named(U"Wine glasses, knives"), (Names{"wine glass", "knife"}));
  EXPECT_EQ(objects.Named(U"a stop, sign"), (Names{})) << "a mark stands between";
  EXPECT_EQ(objects.Named(U"the dog's ball isn't a kite."), (Names{"dog", "sports ball", "kite"}));
  EXPECT_EQ(objects.CategoryOf("sofa"), "couch");
  EXPECT_EQ(objects.CategoryOf("widget"), "");
}

TEST(Chair, ObjectsOfATable) {
  const CaptionObjects objects(
      R"({"objects": {"red circle": ["red disc"], "red cross": [], "butterfly": [], "flying red horse": []}})");
  using Names = std::vector<std::string>;
  EXPECT_EQ(objects.Named(U"A red circle, two red crosses and butterflies"),
            (Names{"red circle", "red cross", "butterfly"}));
  EXPECT_EQ(objects.Named(U"a red disc and a flying red horse"),
            (Names{"red circle", "flying red horse"}));
  EXPECT_EQ(objects.Named(U"a circle, a red, circle, a dog"), (Names{}));
  EXPECT_EQ(objects.Named(U"a toilet seat"), (Names{})) << "COCO's words are not there";
}

TEST(Chair, TablesThatAreNoneAreRefused) {
  const auto error = [](const std::string& table) {
    return ErrorOf([&] { CaptionObjects objects(table); });
  };
  EXPECT_THAT(error("[]"), HasSubstr("the table of objects"));
  EXPECT_THAT(error(R"({"objects": {}})"), HasSubstr("expected at least one object"));
  EXPECT_THAT(error(R"({"objects": {"dog": "puppy"}})"), HasSubstr("expected a list of words"));
  EXPECT_THAT(error(R"({"objects": {"Dog": []}})"), HasSubstr("Dog is no word or phrase"));
  EXPECT_THAT(error(R"({"objects": {"a b c d e": []}})"),
              HasSubstr("a b c d e is no word or phrase"));
  EXPECT_THAT(error(R"({"objects": {"dog": ["pet"], "cat": ["pet"]}})"),
              HasSubstr("pet is a word for cat and for dog"));
}

TEST(Chair, HowACaptionIsWritten) {
  const CaptionStyle style = StyleOf(U"A dog. A dog. A dog. A dog.");
  EXPECT_EQ(style.words, 8);
  EXPECT_DOUBLE_EQ(style.distinct_1.value(), 2.0 / 8);
  EXPECT_DOUBLE_EQ(style.distinct_2.value(), 2.0 / 7);
  EXPECT_DOUBLE_EQ(style.distinct_4.value(), 2.0 / 5);
  EXPECT_EQ(StyleOf(U"a dog").distinct_4, std::nullopt);
  EXPECT_EQ(StyleOf(U" - ").words, 0);
}

}  // namespace
}  // namespace binocle::eval
