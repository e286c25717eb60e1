// How much may wait: requests that are not started, and the bytes of their texts and pictures.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "binocle/request.h"

namespace binocle {

class Admission {
 public:
  Admission(int64_t max_requests, int64_t max_bytes)
      : max_requests_(max_requests), max_bytes_(max_bytes) {}

  // A place in the queue, given back when this is destroyed.
  class Place {
   public:
    Place(Admission& of, int64_t bytes) : of_(of), bytes_(bytes) {}
    ~Place() { of_.Leave(bytes_); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    Admission& of_;
    int64_t bytes_;
  };

  // RESOURCE_EXHAUSTED when the queue is full. Must outlive the place.
  std::unique_ptr<Place> Enter(const Request& request);
  int64_t requests() const;

 private:
  void Leave(int64_t bytes);

  int64_t max_requests_, max_bytes_;
  mutable std::mutex mutex_;
  int64_t requests_ = 0;
  int64_t bytes_ = 0;
};

}  // namespace binocle
