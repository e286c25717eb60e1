// Binocle's resize for tools/reference/resize_sweep.py. Reads jobs from stdin, answers each on stdout, ends with the input:
//
//   in    a line "width height target_width target_height filter", then width·height·3 bytes of pixels
//   out   target_width·target_height·3 bytes
#include <cstdint>
#include <iostream>

#include "vision/resize.h"

int main() {
  std::ios::sync_with_stdio(false);
  int64_t width = 0, height = 0, target_width = 0, target_height = 0;
  int filter = 0;
  while (std::cin >> width >> height >> target_width >> target_height >> filter) {
    std::cin.get();  // the end of the line
    binocle::Image image(width, height);
    std::cin.read(reinterpret_cast<char*>(image.rgb.data()),
                  static_cast<std::streamsize>(image.rgb.size()));
    const binocle::Image out =
        binocle::Resize(image, target_width, target_height, static_cast<binocle::Filter>(filter));
    std::cout.write(reinterpret_cast<const char*>(out.rgb.data()),
                    static_cast<std::streamsize>(out.rgb.size()));
    std::cout.flush();
  }
  return 0;
}
