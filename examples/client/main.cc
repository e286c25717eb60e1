// Asks a server about a picture and prints the answer as it comes.
//   client HOST:PORT PICTURE QUESTION
#include <binocle/client.h>

#include <cstdio>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s HOST:PORT PICTURE QUESTION\n", argv[0]);
    return 2;
  }
  try {
    auto client = binocle::Client::Connect({.target = argv[1]});
    client.Generate(binocle::Ask(argv[3], {binocle::ImageInput::FromFile(argv[2])}),
                    {.on_delta = [](const binocle::Delta& d) { std::cout << d.text << std::flush; },
                     .keep_going = {}});
    std::cout << '\n';
  } catch (const binocle::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
