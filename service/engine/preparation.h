// The threads that prepare submitted requests, in two steps: reading the prompt (rendering, tokens, a look into the image cache), and
// decoding the pictures that the cache lacks.
//
// Reading comes before decoding, by priority and arrival. What takes long, which is decoding, and reading what says so, leaves one thread
// free, and long readings leave one for decoding too: who brings a few words and no pictures, or known ones, never waits for the pictures,
// books and constraints of others. What is decoded next is DecodeOrder's.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "service/engine/decode_order.h"

namespace binocle {

// What there is to do. From any thread.
class PreparationQueue {
 public:
  // Of long readings at a time, one where a large picture waits; with decodings, as many as may decode.
  static constexpr int64_t kMostLongReadings = 2;

  explicit PreparationQueue(const DecodeOrder::Limits& limits)
      : most_long_(limits.decoders), order_(limits) {}
  PreparationQueue(const PreparationQueue&) = delete;
  PreparationQueue& operator=(const PreparationQueue&) = delete;

  // Decoded pictures that wait for their turn, counted until this is destroyed. The queue must outlive it.
  class Ahead {
   public:
    Ahead(PreparationQueue& of, int64_t bytes) : of_(of), bytes_(bytes) {}
    ~Ahead() { of_.Encoded(bytes_); }
    Ahead(const Ahead&) = delete;
    Ahead& operator=(const Ahead&) = delete;

   private:
    PreparationQueue& of_;
    int64_t bytes_;
  };

  // Tasks must not throw. `decode` returns how many bytes of pictures it made, and is given what counts them afterwards.
  struct Reading {
    int64_t id = 0;
    int64_t priority = 0;
    bool takes_long = false;  // a twentieth of a second and more
    std::function<void()> task;
  };
  // `over`: asked under the queue's lock, whether nobody wants it any more: Drop(id) may have come before.
  struct Decoding {
    std::function<bool()> over;
    std::function<int64_t()> decode;
    std::function<void(std::unique_ptr<Ahead>)> then;
  };
  void Read(Reading reading);
  void Decode(const DecodeOrder::Entry& entry, Decoding decoding);
  // Forgets the request `id` where it waits.
  void Drop(int64_t id);

  // Does one thing; waits until there is one. False after Close.
  bool Work();
  // Forgets everything that waits.
  void Close();
  bool closed() const;

 private:
  void Encoded(int64_t bytes);
  // These with `mutex_` held: what to do next, empty where there is nothing now.
  std::function<void()> Next();
  std::function<void()> NextReading();
  std::function<void()> NextDecoding();

  const int64_t most_long_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::vector<Reading> readings_;             // by arrival
  int64_t long_readings_ = 0, decoding_ = 0;  // under way
  DecodeOrder order_;
  std::unordered_map<int64_t, Decoding> decodings_;  // of those in order_
  bool closed_ = false;
};

// The threads. Destroying them closes the queue and waits for what is under way.
class PreparationThreads {
 public:
  // RESOURCE_EXHAUSTED where the system gives fewer.
  PreparationThreads(PreparationQueue& queue, int threads);
  ~PreparationThreads();
  PreparationThreads(const PreparationThreads&) = delete;
  PreparationThreads& operator=(const PreparationThreads&) = delete;

 private:
  void Stop();

  PreparationQueue& queue_;
  std::vector<std::thread> threads_;
};

}  // namespace binocle
