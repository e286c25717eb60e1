// The lengths and line ends around the chunks of a body (RFC 9112, 7.1), looked at as the bytes pass.
//
// cpp-httplib reads a size with strtoul, so that "-5" is a chunk of 2^64 - 5 bytes and "5xyz" one of five, and takes a chunk that does not
// end where its size says for the last one. It takes a trailer field for a body that is cut, so there may be none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace binocle::http {

class ChunkFraming {
 public:
  // The next bytes, however they were cut. False: they are no chunks, and fault() says why; ask no more then.
  bool Accept(std::string_view bytes);
  const std::string& fault() const { return fault_; }

 private:
  enum class Part : uint8_t { kSize, kData, kDataEnd, kTrailer };

  bool EndLine();
  bool Fail(std::string fault);

  Part part_ = Part::kSize;
  uint64_t left_ = 0;  // of the chunk
  std::string line_;   // begun
  std::string fault_;
};

}  // namespace binocle::http
