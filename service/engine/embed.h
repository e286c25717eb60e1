// Vectors of pictures and texts from a loaded model: Engine::EmbedImage and EmbedText.
#pragma once

#include <string>

#include "binocle/embedding.h"
#include "service/engine/engine_access.h"

namespace binocle {

Embedding EmbedPicture(const EngineAccess& engine, const ImageInput& image,
                       const EmbeddingOptions& options, const Observer& observer);
Embedding EmbedWords(const EngineAccess& engine, const std::string& text,
                     const EmbeddingOptions& options, const Observer& observer);

}  // namespace binocle
