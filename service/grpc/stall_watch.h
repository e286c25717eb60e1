// Looks now and then at what waits for clients, so that one who neither reads nor writes costs nothing for long.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace binocle {

class StallWatch {
 public:
  using Clock = std::chrono::steady_clock;

  class Watched {
   public:
    Watched() = default;
    Watched(const Watched&) = delete;
    Watched& operator=(const Watched&) = delete;
    virtual ~Watched() = default;
    // Ends what waits for its client since `before` or longer.
    virtual void EndIfStalled(Clock::time_point before) = 0;
  };

  // Clients may stall for `limit`, or a tenth less: nobody looks all the time.
  explicit StallWatch(std::chrono::milliseconds limit);
  ~StallWatch();
  StallWatch(const StallWatch&) = delete;
  StallWatch& operator=(const StallWatch&) = delete;

  void Add(std::weak_ptr<Watched> watched);

 private:
  void Run();

  const std::chrono::milliseconds limit_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable stopped_;
  std::vector<std::weak_ptr<Watched>> watched_;  // owned by the calls
  bool stop_ = false;
  std::thread thread_;  // after what it uses
};

}  // namespace binocle
