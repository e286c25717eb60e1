// The threads that prepare submitted requests, in two steps: reading the prompt (rendering, tokens, a look into the image cache), and
// decoding the pictures that the cache lacks.
//
// Reading comes before decoding, by priority and arrival, and there is a thread more than may decode: who brings no pictures, or known
// ones, never waits for the pictures of others. What is decoded next is DecodeOrder's.
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
  explicit PreparationQueue(const DecodeOrder::Limits& limits) : order_(limits) {}
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
    std::function<void()> task;
  };
  struct Decoding {
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
  std::function<void()> Next();

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Reading> readings_;  // by arrival
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
