#include <gtest/gtest.h>

#include <future>

#include "binocle/error.h"
#include "service/http/request_context.h"

namespace binocle::http {
namespace {

using About = WorkPlaces::About;

bool Always() { return true; }
bool Never() { return false; }

TEST(WorkPlaces, WordsHaveAPlaceThatTakesNoPictures) {
  WorkPlaces places(1, 1);
  EXPECT_TRUE(places.Take(About::kPictures, Always));
  EXPECT_FALSE(places.Take(About::kPictures, Never)) << "waited and gave up";
  EXPECT_TRUE(places.Take(About::kWords, Always));
  EXPECT_FALSE(places.Take(About::kWords, Never));
  places.Give(About::kPictures);
  EXPECT_TRUE(places.Take(About::kWords, Always)) << "words take any";
  EXPECT_FALSE(places.Take(About::kPictures, Never));
}

TEST(WorkPlaces, WhoWaitsGetsThePlaceAndTooManyAreRefused) {
  WorkPlaces places(1, 1);
  EXPECT_TRUE(places.Take(About::kPictures, Always));
  std::promise<void> waits;
  auto waiting = std::async(std::launch::async, [&] {
    bool told = false;
    return places.Take(About::kPictures, [&] {
      if (!told) waits.set_value();
      return told = true;
    });
  });
  waits.get_future().wait();
  EXPECT_THROW(places.Take(About::kPictures, Always), Error);
  EXPECT_TRUE(places.Take(About::kWords, Always)) << "their queue is another one";
  places.Give(About::kPictures);
  EXPECT_TRUE(waiting.get());
}

}  // namespace
}  // namespace binocle::http
