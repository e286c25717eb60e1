#include "service/engine/pending_request.h"

#include <utility>

#include "service/engine/live_request.h"

namespace binocle {

void PendingRequest::ReportCancelled(const std::string& model) {
  forget();
  place.reset();
  Response response{.id = id, .model = model};
  response.answers.resize(static_cast<size_t>(answers));
  for (Answer& answer : response.answers) answer.finish_reason = FinishReason::kCancelled;
  response.timings.total = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  if (events.on_finished) events.on_finished(std::move(response));
}

void PendingRequest::ReportLate() {
  forget();
  place.reset();
  if (events.on_error) events.on_error(DeadlinePassed());
}

}  // namespace binocle
