// A model as servers see it: measured, and with a longest time for a request.
#pragma once

#include <chrono>
#include <memory>

#include "service/common/model_backend.h"
#include "service/server/metrics.h"

namespace binocle {

// `timeout` of 0: requests may take as long as they like. `metrics` is shared with the requests, which may outlive the server.
std::shared_ptr<ModelBackend> Metered(std::shared_ptr<ModelBackend> model, const std::string& name,
                                      std::shared_ptr<Metrics> metrics,
                                      std::chrono::milliseconds timeout);

}  // namespace binocle
