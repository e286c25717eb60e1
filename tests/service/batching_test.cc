// Requests side by side: nobody's tokens depend on who else is there, on how prompts are cut, on what is kept, or on being sent back to
// wait in the middle; and nothing is left behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "binocle/engine.h"
#include "tests/service/answers.h"
#include "tests/service/ticket.h"
#include "tests/testing/errors.h"
#include "tests/testing/test_engine.h"

namespace binocle {
namespace {

using testing::GoldenModel;
using testing::SameAnswer;
using testing::Scene;
using testing::Ticket;

// Requests of many kinds, the same for the same seed.
Request RandomRequest(uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto one_of = [&](auto... values) {
    const std::vector<std::common_type_t<decltype(values)...>> all{values...};
    return all[random() % all.size()];
  };
  const std::string words = one_of(std::string("What is it?"),
                                   std::string("Where is the red cat, and what does it do there?"),
                                   std::string("How many?"));
  std::vector<ImageInput> images;
  const int pictures = one_of(0, 1, 1, 1, 2);
  std::string prompt;
  for (int i = 0; i < pictures; ++i) {
    images.push_back(Scene(one_of(std::string("61x83"), std::string("70x70"))));
    prompt += "<image>";
  }
  Request request =
      testing::Raw(prompt + words, std::move(images), 1 + static_cast<int64_t>(random() % 14));
  request.generation.logprobs = 5;
  request.generation.temperature = one_of(0.0, 0.0, 1.3);
  request.generation.seed = random();
  request.generation.n = one_of(1, 1, 1, 3);
  request.grounding = random() % 6 == 0;
  if (pictures == 0) return request;
  const AttentionOptions attentions[] = {{},
                                         {.kind = AttentionKind::kStock},
                                         {.kind = AttentionKind::kComposite},
                                         {.composite_layers = LayerRanges::Parse("0-1")}};
  request.attention = attentions[seed % std::size(attentions)];
  Interventions& i = request.interventions;
  switch (random() % 8) {
    case 0:
      i.var = VarOptions{
          .p = 0.6, .rho = 0.2, .tau = 2.2, .mass = 0.1, .layers = Layers{0, 2}, .dims = {1, 4}};
      break;
    case 1:
      i.modulate = ModulationOptions{.alpha = 2, .beta = 1, .local = 0.4, .layers = Layers{0, 2}};
      break;
    case 2: i.guidance = GuidanceOptions{.gamma = 3, .cut = 0.001}; break;
    case 3: i.vcd = VcdOptions{.alpha = 2, .beta = 0.001, .steps = 900}; break;
    default: break;
  }
  return request;
}

constexpr uint64_t kKinds = 24;

class Batching : public ::testing::TestWithParam<const char*> {
 protected:
  static std::vector<Response> Alone(const std::string& model) {
    std::vector<Response> alone;
    for (uint64_t kind = 0; kind < kKinds; ++kind) {
      // An engine each would be the purest; nothing kept, one at a time is as good and quicker.
      Engine engine = testing::LoadEngine(model, {.image_cache_bytes = 0});
      alone.push_back(engine.Generate(RandomRequest(kind)));
    }
    return alone;
  }

  EngineStats ExpectAlike(const EngineOptions& options, int neighbours, uint64_t seed) {
    const std::string model = GoldenModel(GetParam());
    static std::map<std::string, std::vector<Response>> alone;
    if (!alone.contains(model)) alone[model] = Alone(model);
    Engine engine = testing::LoadEngine(model, options);
    std::mt19937_64 random(seed);
    std::vector<std::pair<uint64_t, std::unique_ptr<Ticket>>> tickets;
    for (int i = 0; i <= neighbours; ++i) {
      const uint64_t kind = random() % kKinds;
      tickets.emplace_back(kind, std::make_unique<Ticket>(engine, RandomRequest(kind)));
      if (random() % 5 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(random() % 5));
      if (random() % 7 == 0) Ticket(engine, RandomRequest(random() % kKinds)).Cancel();
    }
    for (auto& [kind, ticket] : tickets) {
      const Response got = ticket->Wait();
      EXPECT_TRUE(SameAnswer(got, alone[model][kind])) << "kind " << kind << " seed " << seed;
      EXPECT_EQ(got.answers.size(), alone[model][kind].answers.size());
      for (size_t a = 0; a < got.answers.size(); ++a) {
        EXPECT_EQ(got.answers[a].text, alone[model][kind].answers[a].text);
        EXPECT_EQ(got.answers[a].grounding, alone[model][kind].answers[a].grounding);
      }
    }
    ExpectNothingLeft(engine);
    return engine.stats();
  }

  static void ExpectNothingLeft(Engine& engine) {
    engine.Generate(testing::Raw("x", {}, 1));  // behind everything that was cancelled
    const EngineStats stats = engine.stats();
    EXPECT_EQ(stats.queued, 0);
    EXPECT_EQ(stats.requests, 0);
    EXPECT_EQ(stats.running, 0);
    EXPECT_EQ(stats.free_pages + stats.prefix_pages, stats.pages);
  }
};

TEST_P(Batching, NeighboursChangeNothing) {
  for (const int neighbours : {0, 1, 7, 31})
    ExpectAlike({.kv_tokens = 4096}, neighbours, 100 + static_cast<uint64_t>(neighbours));
}

TEST_P(Batching, HowPromptsAreCutChangesNothing) {
  for (const int64_t chunk : {1, 5, 64})
    ExpectAlike({.prefill_chunk_tokens = chunk, .kv_tokens = 4096}, 7,
                200 + static_cast<uint64_t>(chunk));
}

TEST_P(Batching, WithoutImageCacheAndWithOneThreadTheSame) {
  ExpectAlike({.threads = 1, .kv_tokens = 4096, .image_cache_bytes = 0}, 7, 300);
}

TEST_P(Batching, BeingSentBackInTheMiddleChangesNothing) {
  // Few pages for many: answers go back to wait.
  const EngineOptions options{
      .context_tokens = 192, .prefill_chunk_tokens = 16, .max_sequences = 8, .kv_tokens = 448};
  int64_t preemptions = 0;
  // Whether requests meet is a matter of time: on a busy machine they may come in one by one.
  for (uint64_t seed = 400; seed < 403 || (preemptions == 0 && seed < 430); ++seed)
    preemptions += ExpectAlike(options, 15, seed).preemptions;
  EXPECT_GT(preemptions, 0);
}

INSTANTIATE_TEST_SUITE_P(Models, Batching,
                         ::testing::Values("binocle_vo", "binocle_mixed_vo", "llava"),
                         [](const auto& test) { return std::string(test.param); });

class Submitting : public ::testing::Test {
 protected:
  Engine engine_ = testing::LoadEngine(GoldenModel("binocle_vo"), {.max_queued_requests = 4});

  static Request Long(int64_t tokens = 200) {
    Request request = testing::Raw("<image>Tell me.", {Scene("61x83")}, tokens);
    request.generation.logprobs = 0;
    return request;
  }
};

TEST_F(Submitting, PagesRunShortMakesAnswersGoBack) {
  // That the tests above do what they say: with these sizes somebody is sent back.
  Engine engine =
      testing::LoadEngine(GoldenModel("binocle_vo"), {.context_tokens = 192, .kv_tokens = 256});
  std::vector<std::unique_ptr<Ticket>> tickets;
  for (int i = 0; i < 6; ++i) tickets.push_back(std::make_unique<Ticket>(engine, Long(150)));
  for (auto& ticket : tickets) EXPECT_GT(ticket->Wait().answers[0].token_ids.size(), 0U);
  EXPECT_GT(engine.stats().preemptions, 0);
}

// What a watched sequence computes it cannot share: to come back it needs pages that a plain twin of it would not.
TEST_F(Submitting, WatchedAnswersThatWentBackComeInWhenTheyFit) {
  const auto request = [&](int kind) {
    Request r = Long(150);
    if (kind == 1) r.interventions.pai = PaiOptions{.alpha = 0.2};
    if (kind == 2) r.interventions.modulate = ModulationOptions{.alpha = 0.7, .beta = 0.4};
    if (kind == 3) r.grounding = true;
    return r;
  };
  std::vector<Response> alone;
  for (int kind = 0; kind < 4; ++kind) alone.push_back(engine_.Generate(request(kind)));
  for (const int64_t kv_tokens : {256, 320, 384, 448}) {
    Engine engine = testing::LoadEngine(GoldenModel("binocle_vo"),
                                        {.context_tokens = 192, .kv_tokens = kv_tokens});
    std::vector<std::unique_ptr<Ticket>> tickets;
    for (const int kind : {0, 1, 0, 2, 3, 0})
      tickets.push_back(std::make_unique<Ticket>(engine, request(kind)));
    for (size_t i = 0; i < 6; ++i) {
      const int kinds[] = {0, 1, 0, 2, 3, 0};
      SCOPED_TRACE(i);
      const Response r = tickets[i]->Wait();
      EXPECT_TRUE(SameAnswer(r, alone[static_cast<size_t>(kinds[i])]));
    }
  }
}

// Answers that begin from one prompt share its pages: what dropping the prompt frees shows only afterwards.
TEST_F(Submitting, SeveralAnswersFitWhereOneDoes) {
  for (const bool paired : {false, true}) {
    Request request = Long(1000);  // up to the context
    if (paired) request.interventions.vcd = VcdOptions{};
    const Response one =
        testing::LoadEngine(GoldenModel("binocle_vo"), {.context_tokens = 192}).Generate(request);
    ASSERT_EQ(one.answers[0].finish_reason, FinishReason::kLength);
    request.generation.n = 3;
    for (const int64_t kv_tokens : {192, 256, 384}) {
      if (paired && kv_tokens < 384) continue;
      SCOPED_TRACE(kv_tokens);
      Engine engine = testing::LoadEngine(GoldenModel("binocle_vo"),
                                          {.context_tokens = 192, .kv_tokens = kv_tokens});
      const Response r = engine.Generate(request);
      ASSERT_EQ(r.answers.size(), 3U);
      for (const Answer& answer : r.answers) EXPECT_EQ(answer.token_ids, one.answers[0].token_ids);
      request.generation.max_new_tokens = 1;  // the first one ends without growing
      EXPECT_EQ(engine.Generate(request).answers[2].token_ids[0], one.answers[0].token_ids[0]);
      request.generation.max_new_tokens = 1000;
    }
  }
}

TEST_F(Submitting, DeltasAddUpAndStartComesFirst) {
  Ticket ticket(engine_, Long(30));
  const Response response = ticket.Wait();
  EXPECT_EQ(ticket.state().text, response.answers[0].text);
  ASSERT_TRUE(ticket.state().started.has_value());
  EXPECT_EQ(ticket.state().started->prompt_tokens, response.prompt_tokens);
  EXPECT_EQ(ticket.state().started->image_tokens, response.image_tokens);
}

TEST_F(Submitting, TimesRunFromTheCallPicturesIncluded) {
  Request request = Ask("What?", {Scene("61x83"), Scene("70x70")});
  request.generation.max_new_tokens = 4;
  for (const bool submitted : {false, true}) {
    Engine engine = testing::LoadEngine(GoldenModel("binocle_vo"), {});
    const Timings t =
        submitted ? Ticket(engine, request).Wait().timings : engine.Generate(request).timings;
    EXPECT_GT(t.decode, 0);
    EXPECT_GE(t.first_token, t.decode + t.anchor + t.augment + t.fusion + t.prefill);
    EXPECT_GE(t.total, t.first_token);
    EXPECT_GT(t.load, 0);
  }
}

TEST_F(Submitting, SubmitAndGenerateGiveTheSame) {
  EXPECT_TRUE(SameAnswer(Ticket(engine_, testing::Raw("<image>What?", {Scene("61x83")})).Wait(),
                         engine_.Generate(testing::Raw("<image>What?", {Scene("61x83")}))));
}

TEST_F(Submitting, WhatIsWrongComesAsAnErrorAndAFullQueueAtOnce) {
  Ticket missing(engine_, Ask("What?", {ImageInput::FromFile("nowhere.png")}));
  EXPECT_THAT(testing::ErrorOf([&] { missing.Wait(); }),
              ::testing::HasSubstr("NOT_FOUND: nowhere.png"));
  Request bad = Long();
  bad.generation.top_p = 2;
  EXPECT_THAT(testing::ErrorOf([&] { engine_.Submit(bad, {}); }), ::testing::HasSubstr("top_p"));
  bad = Long();
  bad.priority = 101;
  EXPECT_THAT(testing::ErrorOf([&] { engine_.Submit(bad, {}); }), ::testing::HasSubstr("priority"));

  std::vector<std::unique_ptr<Ticket>> tickets;
  const std::string refused = testing::ErrorOf([&] {
    for (int i = 0; i < 100; ++i) tickets.push_back(std::make_unique<Ticket>(engine_, Long(150)));
  });
  EXPECT_THAT(refused,
              ::testing::HasSubstr("RESOURCE_EXHAUSTED: queue: 4 requests wait, the limit is 4"));
  for (auto& ticket : tickets) EXPECT_GT(ticket->Wait().answers[0].token_ids.size(), 0U);
}

TEST_F(Submitting, CancellingAtAnyMomentEndsWithWhatIsThere) {
  const Response whole = engine_.Generate(Long(60));
  for (int delay = 0; delay < 20; ++delay) {
    Ticket ticket(engine_, Long(60));
    while (ticket.state().deltas.load() < delay) std::this_thread::yield();
    ticket.Cancel();
    const Response got = ticket.Wait();
    const auto& tokens = got.answers[0].token_ids;
    EXPECT_TRUE(std::equal(tokens.begin(), tokens.end(), whole.answers[0].token_ids.begin()));
  }
  EXPECT_EQ(engine_.stats().running, 0);
}

TEST_F(Submitting, ADeadlineEndsARequestWhereverItIs) {
  for (const int milliseconds : {0, 1, 5}) {
    Request request = Long(100000);
    request.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
    Ticket ticket(engine_, request);
    EXPECT_THAT(testing::ErrorOf([&] { ticket.Wait(); }),
                ::testing::HasSubstr("DEADLINE_EXCEEDED"));
  }
  Request request = Long();
  request.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  EXPECT_THAT(testing::ErrorOf([&] { engine_.Generate(request); }),
              ::testing::HasSubstr("DEADLINE_EXCEEDED"));
}

TEST_F(Submitting, DestroyingTheEngineCancelsWhatIsOnIt) {
  std::vector<std::unique_ptr<Ticket>> tickets;
  {
    Engine engine = testing::LoadEngine(GoldenModel("binocle_vo"), {});
    for (int i = 0; i < 20; ++i) tickets.push_back(std::make_unique<Ticket>(engine, Long(100000)));
  }
  for (auto& ticket : tickets)
    EXPECT_EQ(ticket->Wait().answers[0].finish_reason, FinishReason::kCancelled);
}

TEST_F(Submitting, HigherPriorityIsServedFirst) {
  Engine engine = testing::LoadEngine(GoldenModel("binocle_vo"), {.max_sequences = 2});
  std::promise<void> open;  // the engine stands still until the others are there
  std::shared_future<void> gate = open.get_future().share();
  std::vector<int64_t> order;  // on the engine's thread
  std::vector<std::future<void>> ends;
  const auto submit = [&](int64_t priority) {
    Request request = testing::Raw("text", {}, 5);
    request.priority = priority;
    auto end = std::make_shared<std::promise<void>>();
    ends.push_back(end->get_future());
    engine.Submit(request, {.on_started =
                                [&, priority](const Started&) {
                                  order.push_back(priority);
                                  gate.wait();
                                },
                            .on_finished = [end](Response) { end->set_value(); }});
  };
  submit(0);
  for (const int64_t priority : {-1, 1, 0, 2}) submit(priority);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  open.set_value();
  for (auto& end : ends) end.wait();
  // The first may have come in with one that followed closely.
  ASSERT_EQ(order.size(), 5U);
  EXPECT_TRUE(std::is_sorted(order.begin() + 2, order.end(), std::greater<>()));
}

TEST_F(Submitting, WhatAnObserverThrowsComesOutOfGenerate) {
  EXPECT_THROW(engine_.Generate(
                   Long(), {.on_delta = [](const Delta&) { throw std::runtime_error("mine"); }}),
               std::runtime_error);
  EXPECT_EQ(engine_.Generate(Long(5)).answers[0].token_ids.size(), 5U) << "the engine goes on";
}

TEST_F(Submitting, AnswersOfOneRequestRunTogetherFromOnePrompt) {
  Request request = Long(20);
  request.generation.n = 5;
  request.generation.temperature = 1;
  const EngineStats before = engine_.stats();
  const Response five = engine_.Generate(request);
  const EngineStats after = engine_.stats();
  EXPECT_LE(after.prompt_rows - before.prompt_rows, five.prompt_tokens);
  EXPECT_LE(after.steps - before.steps, 30) << "five answers of 20 tokens, side by side";
  for (int64_t i = 0; i < 5; ++i) {
    Request one = Long(20);
    one.generation.temperature = 1;
    one.generation.seed = static_cast<uint64_t>(i);
    EXPECT_EQ(engine_.Generate(one).answers[0].token_ids,
              five.answers[static_cast<size_t>(i)].token_ids);
  }
}

TEST_F(Submitting, ConstrainedAnswersAreWhatTheyMustBe) {
  Request request = Long(60);
  request.generation.temperature = 2;
  request.constraint = Choices{{"red", "reddish", "blue cat"}};
  request.generation.n = 16;
  std::set<std::string> seen;
  for (const Answer& answer : engine_.Generate(request).answers) {
    EXPECT_EQ(answer.finish_reason, FinishReason::kStop);
    seen.insert(answer.text);
  }
  for (const std::string& text : seen)
    EXPECT_TRUE(text == "red" || text == "reddish" || text == "blue cat") << text;
  EXPECT_GT(seen.size(), 1U);
  request.constraint = Regex{"[0-9]{3}-[a-f]{2}"};
  for (const Answer& answer : engine_.Generate(request).answers)
    EXPECT_EQ(answer.text.size(), 6U) << answer.text;
  request.constraint = Regex{"(a"};
  EXPECT_THAT(testing::ErrorOf([&] { engine_.Generate(request); }),
              ::testing::HasSubstr("INVALID_ARGUMENT: regex"));
}

}  // namespace
}  // namespace binocle
