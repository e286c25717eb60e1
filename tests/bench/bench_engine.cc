// How much answers gain from going side by side: decoded tokens per second, one request at a time, several about pictures of their own,
// and several about one picture.
//
//   bench_engine MODEL PICTURE [REQUESTS=16] [TOKENS=200] [ROUNDS=3]
//
// Contenders take turns. What is counted are the tokens between the moment when the last request has its first token and the moment when
// the first request has all of its TOKENS: decoding alone, everybody at it.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <future>
#include <iostream>
#include <iterator>
#include <mutex>
#include <string>
#include <vector>

#include "binocle/engine.h"

namespace {

using Clock = std::chrono::steady_clock;
using binocle::Engine;

struct Setting {
  std::string picture;  // a file's bytes
  int64_t tokens;
};

// Bytes after a picture's end make it another file and the same picture.
binocle::Request About(const Setting& setting, int64_t picture, int64_t question) {
  std::string bytes = setting.picture + std::to_string(picture);
  binocle::Request request =
      binocle::Ask("<image>\nQuestion " + std::to_string(question) + "?",
                   {binocle::ImageInput::FromBytes(std::move(bytes), "picture")});
  request.prompt_format = binocle::PromptFormat::kRaw;  // a system text would be the same for all
  request.generation.max_new_tokens = setting.tokens;
  request.generation.temperature = 1;
  request.generation.seed = static_cast<uint64_t>(question);
  return request;
}

// Answers that end early by themselves make the batch smaller for the rest of the time.
double TokensPerSecond(Engine& engine, const std::vector<binocle::Request>& requests) {
  std::vector<std::vector<Clock::time_point>> times(requests.size());
  std::vector<std::promise<void>> ends(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    engine.Submit(requests[i],
                  {.on_started = {},
                   .on_delta =
                       [&times, i](const binocle::Delta& delta) {
                         times[i].insert(times[i].end(), delta.token_ids.size(), Clock::now());
                       },
                   .on_finished = [&ends, i](binocle::Response) { ends[i].set_value(); },
                   .on_error =
                       [&ends, i](const binocle::Error& error) {
                         ends[i].set_exception(std::make_exception_ptr(error));
                       }});
  }
  for (auto& end : ends) end.get_future().get();
  Clock::time_point begin = times[0].front(), end = Clock::now();
  for (const auto& t : times) {
    begin = std::max(begin, t.front());
    if (std::ssize(t) == requests[0].generation.max_new_tokens) end = std::min(end, t.back());
  }
  if (end <= begin) {
    throw binocle::Error(binocle::Code::kInvalidArgument,
                         "the first answer ended before the last had begun: expected more TOKENS");
  }
  int64_t tokens = 0;
  for (const auto& t : times)
    tokens += std::count_if(t.begin(), t.end(), [&](auto at) { return at > begin && at <= end; });
  return static_cast<double>(tokens) / std::chrono::duration<double>(end - begin).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 3) {
    std::cerr << "usage: bench_engine MODEL PICTURE [REQUESTS=16] [TOKENS=200] [ROUNDS=3]\n";
    return 2;
  }
  const auto number = [&](int at, int64_t otherwise) {
    return argc > at ? std::stoll(argv[at]) : otherwise;
  };
  const int64_t requests = number(3, 16), rounds = number(5, 3);
  std::ifstream file(argv[2], std::ios::binary);
  const Setting setting{std::string(std::istreambuf_iterator<char>(file), {}), number(4, 200)};
  binocle::EngineOptions options;
  options.max_sequences = std::max<int64_t>(requests, 2);
  options.context_tokens = 1024;
  options.kv_tokens = requests * 1024;
  Engine engine = Engine::Load(argv[1], options);

  std::vector<double> alone, apart, shared;
  int64_t question = 0;
  for (int64_t round = 0; round < rounds; ++round) {
    const auto several = [&](bool one_picture) {
      std::vector<binocle::Request> list;
      for (int64_t i = 0; i < requests; ++i)
        list.push_back(About(setting, one_picture ? 0 : i, question++));
      return list;
    };
    alone.push_back(TokensPerSecond(engine, {About(setting, 0, question++)}));
    apart.push_back(TokensPerSecond(engine, several(false)));
    shared.push_back(TokensPerSecond(engine, several(true)));
    std::cout << "round " << round << ": " << alone.back() << ", " << apart.back() << ", "
              << shared.back() << " tokens/s" << std::endl;
  }
  std::cout << "one at a time " << Median(alone) << " tokens/s; " << requests
            << " about their own pictures " << Median(apart) << " (x "
            << Median(apart) / Median(alone) << "); about one picture " << Median(shared) << " (x "
            << Median(shared) / Median(alone) << ")\n";
} catch (const binocle::Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
