// Two questions about one picture: for the second one the vision towers have nothing to do.   embed MODEL_DIRECTORY PICTURE
#include <binocle/engine.h>

#include <iostream>

int main(int argc, char** argv) try {
  if (argc != 3) return std::cerr << "usage: embed MODEL_DIRECTORY PICTURE\n", 2;
  binocle::Engine engine = binocle::Engine::Load(argv[1], {});
  const auto print = [](const binocle::Delta& d) { std::cout << d.text << std::flush; };
  for (const char* question : {"Describe the picture.", "What colour is the heart?"}) {
    const auto request = binocle::Ask(question, {binocle::ImageInput::FromFile(argv[2])});
    const binocle::Response r = engine.Generate(request, {.on_delta = print, .keep_going = {}});
    std::cout << "\n[" << r.timings.anchor + r.timings.augment + r.timings.fusion
              << " ms of vision, " << r.image_hits << " picture from the cache]\n";
  }
} catch (const binocle::Error& error) {
  std::cerr << error.what() << '\n';  // "NOT_FOUND: models/nowhere: no such directory"
  return 1;
}
