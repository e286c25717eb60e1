// What the module offers: the sentencepiece library behind C functions.
//
// The library carries an old protobuf of its own whose symbols are visible, and one process can have one protobuf under these names: with
// the system's beside it (gRPC's, or the embedding program's) whichever comes first serves both, and the other ends the program. So the
// module is loaded into a namespace of its own, with its own C++ runtime and heap. Memory is given back where it was taken: texts go over
// as pointer and length, valid for the call, and nothing is thrown across.
#pragma once

#include <cstddef>
#include <cstdint>

namespace binocle {

struct SentencePieceModule {
  // Receives a text; must not throw.
  using Take = void (*)(void* context, const char* text, size_t size);

  enum Kind : int32_t { kText, kControl, kUnknown, kByte };

  // A model, or null and what is wrong with it.
  void* (*load)(const char* bytes, size_t size, Take problem, void* context);
  void (*unload)(void* model);
  int32_t (*size)(const void* model);
  void (*piece)(const void* model, int32_t id, Take take, void* context);
  Kind (*kind)(const void* model, int32_t id);
  int32_t (*id)(const void* model, const char* piece, size_t size);
  // The pieces of a text, one after the other. False, and what went wrong.
  bool (*encode)(const void* model, const char* text, size_t size, Take piece, Take problem,
                 void* context);
};

// The module's one symbol, a SentencePieceModule; its name changes with the struct.
inline constexpr const char* kSentencePieceModuleSymbol = "binocle_sentencepiece_1";

}  // namespace binocle
