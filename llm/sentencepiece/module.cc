#include "llm/sentencepiece/module.h"

#include <sentencepiece_processor.h>

#include <exception>
#include <string>
#include <vector>

// Exported by the library, declared by none of its installed headers.
namespace sentencepiece::logging {
void SetMinLogLevel(int level);
}

namespace {

using binocle::SentencePieceModule;
using sentencepiece::SentencePieceProcessor;

const SentencePieceProcessor& Of(const void* model) {
  return *static_cast<const SentencePieceProcessor*>(model);
}

void Give(const std::string& text, SentencePieceModule::Take take, void* context) {
  take(context, text.data(), text.size());
}

// Most problems are a status; what the library's double array cannot hold, such as a piece that begins with NUL, is an exception.
void* Load(const char* bytes, size_t size, SentencePieceModule::Take problem, void* context) {
  constexpr int kLogFatal = 3;
  // The library writes to stderr, which belongs to the program. Idempotent.
  sentencepiece::logging::SetMinLogLevel(kLogFatal);
  auto* processor = new (std::nothrow) SentencePieceProcessor();
  std::string wrong = "not enough memory";
  try {
    if (processor != nullptr) {
      const auto status = processor->LoadFromSerializedProto({bytes, size});
      if (status.ok()) return processor;
      wrong = status.ToString();
    }
  } catch (const std::exception& e) {
    wrong = e.what();
  }
  delete processor;
  Give(wrong, problem, context);
  return nullptr;
}

void Unload(void* model) { delete static_cast<SentencePieceProcessor*>(model); }

int32_t Size(const void* model) { return Of(model).GetPieceSize(); }

void Piece(const void* model, int32_t id, SentencePieceModule::Take take, void* context) {
  Give(Of(model).IdToPiece(id), take, context);
}

SentencePieceModule::Kind KindOf(const void* model, int32_t id) {
  if (Of(model).IsControl(id)) return SentencePieceModule::kControl;
  if (Of(model).IsUnknown(id)) return SentencePieceModule::kUnknown;
  if (Of(model).IsByte(id)) return SentencePieceModule::kByte;
  return SentencePieceModule::kText;
}

int32_t Id(const void* model, const char* piece, size_t size) {
  return Of(model).PieceToId({piece, size});
}

bool Encode(const void* model, const char* text, size_t size, SentencePieceModule::Take piece,
            SentencePieceModule::Take problem, void* context) {
  try {
    std::vector<std::string> pieces;
    const auto status = Of(model).Encode({text, size}, &pieces);
    if (!status.ok()) {
      Give(status.ToString(), problem, context);
      return false;
    }
    for (const std::string& one : pieces) Give(one, piece, context);
    return true;
  } catch (const std::exception& e) {
    Give(e.what(), problem, context);
    return false;
  }
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const SentencePieceModule binocle_sentencepiece_1;
const SentencePieceModule binocle_sentencepiece_1{.load = Load,
                                                  .unload = Unload,
                                                  .size = Size,
                                                  .piece = Piece,
                                                  .kind = KindOf,
                                                  .id = Id,
                                                  .encode = Encode};
