// SHA-256 (FIPS 180-4), so that libbinocle_eval needs no cryptographic library.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace binocle::eval {

class Sha256 {
 public:
  void Add(std::string_view bytes);
  // 64 lower-case hexadecimal digits. Once, after everything was added.
  std::string Hex();

 private:
  void AddBlock(const unsigned char* block);

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, 64> rest_{};  // what does not fill a block yet
  size_t rest_size_ = 0;
  uint64_t bytes_ = 0;
};

std::string Sha256Of(std::string_view bytes);

// What a data file was when it was read.
struct DataHash {
  int64_t bytes = 0;
  std::string sha256;
};
// Of a file's content; of a folder's texts, and the names and sizes of its other files. Throws NOT_FOUND and the like.
DataHash HashData(const std::filesystem::path& path);

}  // namespace binocle::eval
