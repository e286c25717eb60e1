// An error that passes by itself.
#pragma once

#include <string>

#include "binocle/error.h"
#include "binocle/export.h"

namespace binocle {

// RESOURCE_EXHAUSTED because of what others have at the moment, such as a full queue: the same request may fit a second later. Any other
// error of that code says that the request will not fit however often it is made.
class BINOCLE_EXPORT BusyError final : public Error {
 public:
  explicit BusyError(std::string message);
  ~BusyError() override;
};

}  // namespace binocle
