// The endpoints that answer in one piece.
#include <algorithm>
#include <string>

#include "service/http/explain_response.h"
#include "service/http/openai_request.h"
#include "service/http/openai_response.h"
#include "service/http/request_context.h"

namespace binocle::http {
namespace {

constexpr std::string_view kModelPrefix = "/v1/models/";

}  // namespace

void ReplyJson(Exchange& exchange, int status, const Json& json) {
  exchange.Reply(status, Line(json), kJsonType);
}

void ReplyError(Exchange& exchange, const HttpError& error) {
  if (error.retry_after_seconds)
    exchange.SetHeader("Retry-After", std::to_string(*error.retry_after_seconds));
  ReplyJson(exchange, error.status, ErrorJson(error));
}

ServedModel FindModel(const ChatBackend& backend, const std::string& id) {
  std::string names;
  for (const ServedModel& model : backend.Models()) {
    if (model.id == id) return model;
    names += (names.empty() ? "" : ", ") + model.id;
  }
  throw Error(Code::kNotFound,
              "model is " + Describe(Json(id)) + ", which is not served here; there is " + names,
              "model");
}

void HandleModels(ServerState& state, Exchange& exchange) {
  if (exchange.path() == "/v1/models")
    return ReplyJson(exchange, 200, ModelsJson(state.backend->Models()));
  const std::string id = exchange.path().substr(kModelPrefix.size());
  ReplyJson(exchange, 200, ModelJson(FindModel(*state.backend, id)));
}

void HandleEmbeddings(ServerState& state, Exchange& exchange) {
  const EmbeddingRequest request = ParseEmbeddingRequest(exchange.ReadBody(), state.options.limits);
  FindModel(*state.backend, request.model);
  const Embeddings embeddings =
      state.backend->Embed(request.model, request.inputs, request.options);
  ReplyJson(exchange, 200, EmbeddingsJson(request, embeddings));
}

void HandleExplain(ServerState& state, Exchange& exchange) {
  ExplainRequest request = ParseExplainRequest(exchange.ReadBody(), state.options.limits);
  FindModel(*state.backend, request.chat.model);
  if (state.options.request_timeout)
    request.chat.request.deadline =
        std::chrono::steady_clock::now() + *state.options.request_timeout;
  bool gone = false;
  const auto keep_going = [&] {
    if (!gone && exchange.PeerIsGone()) {
      gone = true;
      ++state.cancelled;
    }
    return !gone && !state.aborting;
  };
  try {
    const Explanation explanation = state.backend->Explain(request.chat.model, request.chat.request,
                                                           request.options, keep_going);
    if (gone) throw ClientIsGone{};
    ReplyJson(exchange, 200, ExplanationJson(explanation));
  } catch (const Error& error) {
    if (gone) throw ClientIsGone{};
    throw InBodyTerms(error, request.chat);
  }
}

}  // namespace binocle::http
