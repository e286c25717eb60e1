// The language of a constraint over tokens instead of bytes.
//
// What is constrained is the text as an answer reports it, so the first tokens count differently: StreamingDecoder drops their spaces by
// Tokenizer::leading_space(), and chat drops one more. A position knows how far that has come. A token that contributes nothing is
// allowed only where it changes that, so every answer gets on.
//
// May be used from several threads.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "llm/constraint/automaton.h"
#include "llm/constraint/vocabulary.h"

namespace binocle {

// What becomes of one space at the front of an answer's decoded text: raw answers keep it, chat drops it.
enum class LeadingText : uint8_t { kKeep, kDropSpace };

// The tokens that may come next: bit id % 64 of words[id / 64].
struct TokenMask {
  std::vector<uint64_t> words;
  bool text = false;  // some token that contributes text, or moves the beginning on
  bool end = false;   // the end tokens

  bool Has(int32_t id) const {
    return (words[static_cast<size_t>(id) / 64] >> (static_cast<size_t>(id) % 64) & 1) != 0;
  }
};

class TokenAutomaton {
 public:
  // Masks are kept up to this many bytes, then all are made anew as they are needed.
  static constexpr size_t kMaskBytes = size_t{16} << 20;

  // How much of an answer's beginning is decided.
  enum class Phase : uint8_t {
    kStart,         // nothing has come
    kStartAgain,    // kDropAll: a token that was nothing but a dropped space
    kSpaceDropped,  // kDropOne: the decoder has dropped its space, and there is no text yet
    kInText,        // nothing is dropped any more
  };
  struct Position {
    Automaton::State state = Automaton::kStart;
    Phase phase = Phase::kStart;
    bool operator==(const Position&) const = default;
  };

  // Throws INVALID_ARGUMENT when the vocabulary cannot spell any text of the language.
  TokenAutomaton(Automaton automaton, std::shared_ptr<const ConstraintVocabulary> vocabulary,
                 LeadingText leading);

  // Where a text token leads; nothing when no answer of the language goes on with it.
  std::optional<Position> Advance(Position from, int32_t token) const;

  // The tokens that lead somewhere, and the end tokens where the text is complete.
  std::shared_ptr<const TokenMask> Mask(Position at) const;

  bool Accepting(Position at) const { return automaton_.accepting(at.state); }
  // The text is complete and no token goes on from here.
  bool Complete(Position at) const;
  // INVALID_ARGUMENT: the text is incomplete and no token goes on from here.
  [[noreturn]] void ThrowDeadEnd(Position at) const;

  const Automaton& automaton() const { return automaton_; }
  // Of memory: the automaton's, and of the masks that are kept.
  size_t bytes() const;
  const ConstraintVocabulary& vocabulary() const { return *vocabulary_; }

 private:
  bool SpellsEverything() const;
  void FindDeadEnds();
  void FindDeadBeginnings();
  template <typename Visit>
  int64_t WalkTrie(Automaton::State from, const Visit& visit) const;
  TokenMask MakeMask(Position at) const;

  Automaton automaton_;
  std::shared_ptr<const ConstraintVocabulary>
      vocabulary_;  // with the engine and the other requests
  LeadingText leading_;
  // By state, in kInText: no tokens lead from here to a complete text. Empty: there is no such state, or it took too long to tell.
  std::vector<bool> dead_;
  std::array<bool, 4> dead_phase_ = {};  // at Automaton::kStart

  mutable std::mutex mutex_;
  mutable std::unordered_map<int64_t, std::shared_ptr<const TokenMask>> masks_;
};

}  // namespace binocle
