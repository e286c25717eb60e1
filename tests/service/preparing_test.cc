// Submitted requests on their way to the loop: who waits for whose pictures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <mutex>

#include "binocle/engine.h"
#include "tests/service/answers.h"
#include "tests/service/ticket.h"
#include "tests/testing/test_engine.h"
#include "vision/encode_png.h"

namespace binocle {
namespace {

using testing::GoldenModel;
using testing::Scene;
using testing::Ticket;

// 20 megapixels in some kilobytes: a tenth of a second to decode.
ImageInput LargePicture() {
  static const std::string png = EncodePng(Image(5000, 4000));
  return ImageInput::FromBytes(png, "large");
}

// Requests in the order in which they end. Waits for all when it goes.
class EndsInOrder {
 public:
  ~EndsInOrder() {
    for (auto& end : ends_) end.wait();
  }
  Submission Submit(Engine& engine, Request request, const std::string& name) {
    request.generation.max_new_tokens = 2;
    auto end = std::make_shared<std::promise<void>>();
    ends_.push_back(end->get_future());
    const auto note = [this, end, name](const std::string& how) {
      {
        const std::lock_guard lock(mutex_);
        names_.push_back(name + how);
      }
      end->set_value();
    };
    return engine.Submit(
        std::move(request),
        {.on_started = {},
         .on_delta = {},
         .on_finished =
             [note](const Response& r) {
               const bool cancelled = r.answers[0].finish_reason == FinishReason::kCancelled;
               note(cancelled ? " cancelled" : "");
             },
         .on_error = [note](const Error& e) { note(" " + std::string(CodeName(e.code()))); }});
  }
  std::vector<std::string> Names() {
    for (auto& end : ends_) end.wait();
    return names_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> names_;
  std::vector<std::future<void>> ends_;
};

TEST(Preparing, NobodyWaitsForLargePicturesOfOthers) {
  Engine engine = testing::LoadEngine(GoldenModel("binocle_vo"), {});
  engine.Generate(testing::Raw("<image>What?", {Scene("70x70")}, 1));
  EndsInOrder ends;
  for (int i = 0; i < 8; ++i)
    ends.Submit(engine, testing::Raw("<image>What?", {LargePicture()}), "large");
  Request late = testing::Raw("<image>What?", {LargePicture()});
  late.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
  ends.Submit(engine, late, "late");
  ends.Submit(engine, testing::Raw("<image>What?", {LargePicture()}), "other").Cancel();
  ends.Submit(engine, testing::Raw("What?", {}), "text");
  ends.Submit(engine, testing::Raw("<image>What?", {Scene("70x70")}), "known");
  ends.Submit(engine, testing::Raw("<image>What?", {Scene("61x83")}), "small");
  const std::vector<std::string> names = ends.Names();
  EXPECT_THAT(names, ::testing::IsSupersetOf(
                         {"late DEADLINE_EXCEEDED", "other cancelled", "text", "known", "small"}));
  EXPECT_EQ(names.back(), "large");
  EXPECT_EQ(*(names.end() - 2), "large") << "all others ended before the large ones did";
}

// Each takes a tenth of a second and more to read.
TEST(Preparing, NobodyWaitsForLongTextsAndConstraintsOfOthers) {
  Engine engine = testing::LoadEngine(GoldenModel("binocle_vo"), {});
  Request constrained = testing::Raw("What?", {});
  constrained.constraint = Choices{{"red", "blue"}};
  engine.Generate(constrained);
  EndsInOrder ends;
  for (int i = 0; i < 6; ++i) {
    ends.Submit(engine, testing::Raw(std::string(size_t{256} << 10, 'a' + i), {}), "book");
    Request slow = testing::Raw("What?", {});
    slow.constraint = Regex{"(a|b)*a(a|b){1" + std::to_string(i) + "}"};
    ends.Submit(engine, slow, "regex");
  }
  ends.Submit(engine, testing::Raw("What?", {}), "text");
  ends.Submit(engine, constrained, "known");
  ends.Submit(engine, testing::Raw("<image>What?", {Scene("61x83")}), "small");
  const std::vector<std::string> names = ends.Names();
  const auto place = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) - names.begin();
  };
  // Two long readings may end before the others do.
  EXPECT_LE(place("text"), 4) << ::testing::PrintToString(names);
  EXPECT_LE(place("known"), 4) << ::testing::PrintToString(names);
  EXPECT_LE(place("small"), 6) << ::testing::PrintToString(names);
}

// New constraints take two workers, a large picture must not have the third.
TEST(Preparing, SmallPicturesDoNotWaitForLargeOnesBesideLongReadings) {
  Engine engine = testing::LoadEngine(GoldenModel("binocle_vo"), {});
  EndsInOrder ends;
  for (int i = 0; i < 6; ++i) {
    ends.Submit(engine,
                testing::Raw(std::string(size_t{256} << 10, static_cast<char>('a' + i)), {}),
                "book");
    ends.Submit(engine, testing::Raw("<image>What?", {LargePicture()}), "large");
  }
  ends.Submit(engine, testing::Raw("<image>What?", {Scene("61x83")}), "small");
  const std::vector<std::string> names = ends.Names();
  const auto small = std::find(names.begin(), names.end(), "small");
  EXPECT_LE(std::count(names.begin(), small, "large"), 1) << ::testing::PrintToString(names);
  EXPECT_LE(small - names.begin(), 3) << ::testing::PrintToString(names);
}

TEST(Preparing, WhatIsCancelledBeforeItsTurnIsNotRead) {
  Engine engine = testing::LoadEngine(GoldenModel("binocle_vo"), {});
  // Queued behind the workers, so that most are cancelled before one takes them.
  std::vector<std::unique_ptr<Ticket>> tickets;
  for (int i = 0; i < 100; ++i) {
    Request request = Ask("What?", {ImageInput::FromFile("nowhere.png")});
    request.generation.n = 2;
    tickets.push_back(std::make_unique<Ticket>(engine, request));
    tickets.back()->Cancel();
  }
  int64_t cancelled = 0;
  for (auto& ticket : tickets) {
    try {
      const Response response = ticket->Wait();
      EXPECT_EQ(response.answers.size(), 2U);
      EXPECT_EQ(response.answers[1].finish_reason, FinishReason::kCancelled);
      ++cancelled;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kNotFound) << "its turn came before it was cancelled";
    }
  }
  EXPECT_GT(cancelled, 0);
}

}  // namespace
}  // namespace binocle
