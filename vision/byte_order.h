// Integers out of file bytes. The caller has checked that they are there.
#pragma once

#include <cstdint>
#include <string_view>

namespace binocle {

inline uint32_t ByteAt(std::string_view bytes, size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

inline uint32_t BigEndian16(std::string_view bytes, size_t at) {
  return ByteAt(bytes, at) << 8 | ByteAt(bytes, at + 1);
}

inline uint32_t BigEndian32(std::string_view bytes, size_t at) {
  return BigEndian16(bytes, at) << 16 | BigEndian16(bytes, at + 2);
}

inline uint32_t LittleEndian16(std::string_view bytes, size_t at) {
  return ByteAt(bytes, at + 1) << 8 | ByteAt(bytes, at);
}

inline uint32_t LittleEndian24(std::string_view bytes, size_t at) {
  return ByteAt(bytes, at + 2) << 16 | LittleEndian16(bytes, at);
}

inline uint32_t LittleEndian32(std::string_view bytes, size_t at) {
  return LittleEndian16(bytes, at + 2) << 16 | LittleEndian16(bytes, at);
}

}  // namespace binocle
