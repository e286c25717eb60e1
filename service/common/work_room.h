// How much work that blocks may run at a time: a number of places, and one more for work about words alone, which so never waits for the
// pictures of others. Whoever has one guards it.
#pragma once

#include <algorithm>
#include <cstdint>

namespace binocle {

enum class WorkAbout : uint8_t { kWords, kPictures };

class WorkRoom {
 public:
  explicit WorkRoom(int64_t places) : places_(places) {}

  // Places that such work could have.
  int64_t FreeFor(WorkAbout about) const {
    const int64_t free = places_ + 1 - taken_;
    return about == WorkAbout::kWords ? free : std::min(free, places_ - taken_by_pictures_);
  }
  void Take(WorkAbout about) { Add(about, 1); }
  void Give(WorkAbout about) { Add(about, -1); }

 private:
  void Add(WorkAbout about, int64_t places) {
    taken_ += places;
    if (about == WorkAbout::kPictures) taken_by_pictures_ += places;
  }

  int64_t places_;
  int64_t taken_ = 0, taken_by_pictures_ = 0;
};

}  // namespace binocle
