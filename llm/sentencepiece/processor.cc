#include "llm/sentencepiece/processor.h"

#include <dlfcn.h>

#include <new>

#include "core/error.h"
#include "core/module_paths.h"

namespace binocle {
namespace {

constexpr const char* kModule = "libbinocle_sentencepiece.so";

const SentencePieceModule* Load() {
  std::string tried;
  for (const auto& path : ModulePaths(kModule)) {
    void* library = dlmopen(LM_ID_NEWLM, path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) {
      const void* symbol = dlsym(library, kSentencePieceModuleSymbol);
      if (symbol != nullptr) return static_cast<const SentencePieceModule*>(symbol);
    }
    const char* problem = dlerror();
    tried += std::string(tried.empty() ? "" : "; ") + (problem ? problem : "");
  }
  Throw(Code::kInternal, kModule, ": cannot be loaded: ", tried);
}

// Loaded with the first tokenizer, for good: there are few namespaces, and each has one.
const SentencePieceModule& Module() {
  static const SentencePieceModule* module = Load();
  return *module;
}

// Where the module's texts arrive. Running out of memory is told after the call, not through the module's frames.
struct Texts {
  std::vector<std::string> all;
  std::string problem;
  bool full = false;

  template <typename Add>
  void Guarded(const Add& add) noexcept {
    try {
      add();
    } catch (const std::bad_alloc&) {
      full = true;
    }
  }
  void Check() const {
    if (full) throw std::bad_alloc();
  }
  static void TakePiece(void* context, const char* text, size_t size) noexcept {
    Texts& texts = *static_cast<Texts*>(context);
    texts.Guarded([&] { texts.all.emplace_back(text, size); });
  }
  static void TakeProblem(void* context, const char* text, size_t size) noexcept {
    Texts& texts = *static_cast<Texts*>(context);
    texts.Guarded([&] { texts.problem.assign(text, size); });
  }
};

}  // namespace

SentencePieceProcessor::SentencePieceProcessor(std::string_view bytes, const std::string& name)
    : module_(&Module()) {
  Texts texts;
  void* model = module_->load(bytes.data(), bytes.size(), &Texts::TakeProblem, &texts);
  texts.Check();
  if (model == nullptr) ThrowInvalid(name, ": not a sentencepiece model: ", texts.problem);
  model_ = std::shared_ptr<void>(model, module_->unload);
}

int32_t SentencePieceProcessor::size() const { return module_->size(model_.get()); }

std::string SentencePieceProcessor::Piece(int32_t id) const {
  Texts texts;
  module_->piece(model_.get(), id, &Texts::TakePiece, &texts);
  texts.Check();
  return texts.all.at(0);
}

SentencePieceProcessor::Kind SentencePieceProcessor::KindOf(int32_t id) const {
  return module_->kind(model_.get(), id);
}

int32_t SentencePieceProcessor::IdOf(std::string_view piece) const {
  return module_->id(model_.get(), piece.data(), piece.size());
}

std::vector<std::string> SentencePieceProcessor::Encode(std::string_view text) const {
  Texts texts;
  const bool ok = module_->encode(model_.get(), text.data(), text.size(), &Texts::TakePiece,
                                  &Texts::TakeProblem, &texts);
  texts.Check();
  if (!ok) Throw(Code::kInternal, "sentencepiece: ", texts.problem);
  return std::move(texts.all);
}

}  // namespace binocle
