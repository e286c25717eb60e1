// From messages of binocle.v1 to the C++ structs. Nothing here fails: what a server leaves out stays as it is by default.
#pragma once

#include <string>

#include "binocle/client.h"
#include "binocle/v1/model_service.pb.h"
#include "binocle/v1/vision_language_service.pb.h"

namespace binocle {

Response ResponseFrom(const v1::AskResponse& from);

Interventions InterventionsFrom(const v1::Interventions& from);

Embedding EmbeddingFrom(const v1::Embedding& from, Pooling pooling);

ModelSummary ModelSummaryFrom(const v1::ModelSummary& from);
ModelInfo ModelInfoFrom(const v1::Model& from);
ServerStatus ServerStatusFrom(const v1::GetServerInfoResponse& from);

// explanation_from_proto.cc. IsWhole: maps, pictures and heads are as large as they say.
bool IsWhole(const v1::ExplainResponse& from);
Explanation ExplanationFrom(const v1::ExplainResponse& from);

// A stream's messages, put together.
class StreamedResponse {
 public:
  void Add(const v1::GenerateStarted& started);
  // What is new, with texts of `from`.
  Delta Add(const v1::GenerateDelta& from);
  void Add(const v1::GenerateFinished& finished);

  bool finished() const { return finished_; }
  // Answers that have not ended are kCancelled.
  Response Take();

 private:
  Answer& AnswerAt(int64_t index);

  Response response_;
  bool finished_ = false;
};

}  // namespace binocle
