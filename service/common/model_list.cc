#include <set>
#include <utility>

#include "binocle/error.h"
#include "service/common/model_backend.h"
#include "service/common/text.h"

namespace binocle {

ModelList::ModelList(std::vector<NamedModel> models) : models_(std::move(models)) {
  if (models_.empty()) throw Error(Code::kInvalidArgument, "models: none, expected at least one");
  std::set<std::string> names;
  for (const NamedModel& model : models_) {
    if (model.name.empty() || model.backend == nullptr)
      throw Error(Code::kInvalidArgument, "models: one has no name or is not loaded");
    if (!names.insert(model.name).second)
      throw Error(Code::kInvalidArgument, Text("models: two are called ", model.name));
  }
}

const NamedModel& ModelList::Find(std::string_view name) const {
  std::string names;
  for (const NamedModel& model : models_) {
    if (model.name == name) return model;
    names += Text(names.empty() ? "" : ", ", model.name);
  }
  throw Error(Code::kNotFound, Text("model is ", ValidUtf8(name, 64), ", expected one of: ", names),
              "model");
}

}  // namespace binocle
