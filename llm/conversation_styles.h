// What public chat templates write: one function for each form, which some of them share.
//
// `own` is the system text that a template writes where the conversation has none; empty: it writes none then. Contents are trimmed
// where the template does, and only there. Reference: transformers' apply_chat_template without tools and with
// add_generation_prompt, over the templates that chat_template_hashes.cc lists.
#pragma once

#include <string>
#include <string_view>

#include "llm/conversation.h"

namespace binocle {

// `mark` for each picture that the turn's text does not place itself.
std::string PictureMarks(const Turn& turn, std::string_view mark);
// LLaVA gives each picture a line of its own before the text.
std::string WithMarkLines(const Turn& turn);

std::string RenderChatml(const Conversation& conversation, std::string_view own);
// ChatML whose earlier answers lose their thoughts; the second opens one for the answer to come.
std::string RenderQwen3(const Conversation& conversation, std::string_view own);
std::string RenderQwen3Thinking(const Conversation& conversation, std::string_view own);
std::string RenderLlama2(const Conversation& conversation, std::string_view own);
std::string RenderLlama3(const Conversation& conversation, std::string_view own);
// `own` comes before any system text, a conversation's too: it tells of dates.
std::string RenderLlama31(const Conversation& conversation, std::string_view own);
std::string RenderZephyr(const Conversation& conversation, std::string_view own);

// [INST] and [/INST], whose blanks moved with the models' versions, and so did the place of the system text.
std::string RenderMistralV01(const Conversation& conversation, std::string_view own);
std::string RenderMistralV02(const Conversation& conversation, std::string_view own);
std::string RenderMistralV03(const Conversation& conversation, std::string_view own);
std::string RenderMistralV1(const Conversation& conversation, std::string_view own);
std::string RenderMistralV3(const Conversation& conversation, std::string_view own);
std::string RenderMistralV3Tekken(const Conversation& conversation, std::string_view own);

// Of processors, which place pictures.
std::string RenderLlavaHf(const Conversation& conversation, std::string_view own);
std::string RenderLlavaNextMistral(const Conversation& conversation, std::string_view own);
std::string RenderLlavaNextMistralBackslash(const Conversation& conversation, std::string_view own);
std::string RenderLlavaNextLlama3(const Conversation& conversation, std::string_view own);
std::string RenderLlavaOnevision(const Conversation& conversation, std::string_view own);

}  // namespace binocle
