// Asks a model about a picture, twice, and says how long each answer took.
//
//   embed MODEL_DIRECTORY PICTURE [QUESTION]
#include <binocle/engine.h>

#include <cstdio>
#include <iostream>
#include <string>

int main(int argc, char** argv) try {
  if (argc < 3) {
    std::cerr << "usage: embed MODEL_DIRECTORY PICTURE [QUESTION]\n";
    return 2;
  }
  const std::string question = argc > 3 ? argv[3] : "Describe the picture.";

  binocle::Engine engine = binocle::Engine::Load(argv[1], {});
  std::cout << engine.info().name << ", " << engine.info().parameters << " parameters\n";

  binocle::Observer print;
  print.on_delta = [](const binocle::Delta& delta) { std::cout << delta.text << std::flush; };
  for (int i = 0; i < 2; ++i) {
    const binocle::Request request =
        binocle::Ask(question, {binocle::ImageInput::FromFile(argv[2])});
    const binocle::Response response = engine.Generate(request, print);
    const binocle::Timings& t = response.timings;
    std::printf(
        "\n[load %.1f, picture %.1f, prefill %.1f, first token %.1f, total %.1f ms; %zu tokens]\n",
        t.load, t.decode + t.anchor + t.augment + t.fusion, t.prefill, t.first_token, t.total,
        response.answers[0].token_ids.size());
  }
} catch (const binocle::Error& error) {
  std::cerr << error.what() << '\n';  // "NOT_FOUND: models/nowhere: no such directory"
  return 1;
}
