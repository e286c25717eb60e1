#include "service/grpc/convert_infer.h"

#include <google/protobuf/message.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "service/common/text.h"

namespace binocle {
namespace {

using google::protobuf::FieldDescriptor;
using inference::InferParameter;
using inference::ModelInferRequest;

constexpr int kMaxElements = 4096;
constexpr int kMaxTensors = 64;  // there are two of each

// A number of a parameter, of whichever kind it came as.
std::optional<double> NumberOf(const InferParameter& parameter) {
  switch (parameter.parameter_choice_case()) {
    case InferParameter::kInt64Param: return static_cast<double>(parameter.int64_param());
    case InferParameter::kUint64Param: return static_cast<double>(parameter.uint64_param());
    case InferParameter::kDoubleParam: return parameter.double_param();
    default: return std::nullopt;
  }
}

// A whole number, exactly.
std::optional<uint64_t> SeedOf(const InferParameter& parameter) {
  if (parameter.has_uint64_param()) return parameter.uint64_param();
  if (parameter.has_int64_param() && parameter.int64_param() >= 0)
    return static_cast<uint64_t>(parameter.int64_param());
  return std::nullopt;
}

std::optional<int32_t> Int32OfParameter(const InferParameter& parameter) {
  const std::optional<double> number = NumberOf(parameter);
  if (parameter.has_double_param() || !number || *number < INT32_MIN || *number > INT32_MAX)
    return std::nullopt;
  return static_cast<int32_t>(*number);
}

// Sets the field of Sampling of that name, whose type says what the parameter must be.
bool HasTypeOf(const FieldDescriptor& field, const InferParameter& parameter) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_UINT64:
      return parameter.has_int64_param() || parameter.has_uint64_param();
    case FieldDescriptor::CPPTYPE_DOUBLE: return NumberOf(parameter).has_value();
    default: return parameter.has_string_param();
  }
}

// What a parameter of the right type does not fit.
const char* RangeOf(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_UINT64
             ? "is negative, expected 0 to 2^64 - 1"
             : "is out of range, expected a number of 32 bits";
}

bool SetSampling(const FieldDescriptor& field, const InferParameter& parameter,
                 v1::Sampling& sampling) {
  const google::protobuf::Reflection& reflection = *sampling.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: {
      const auto value = Int32OfParameter(parameter);
      if (value) reflection.SetInt32(&sampling, &field, *value);
      return value.has_value();
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      const auto value = SeedOf(parameter);
      if (value) reflection.SetUInt64(&sampling, &field, *value);
      return value.has_value();
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      const auto value = NumberOf(parameter);
      if (value) reflection.SetDouble(&sampling, &field, *value);
      return value.has_value();
    }
    default:  // stop, the one that repeats
      if (parameter.has_string_param()) sampling.add_stop(parameter.string_param());
      return parameter.has_string_param();
  }
}

void TakeParameters(const ModelInferRequest& from, v1::AskRequest& to, Violations& violations) {
  for (const auto& [name, parameter] : from.parameters()) {
    const std::string path = Text("parameters[", ValidUtf8(name, 64), "]");
    const FieldDescriptor* field = v1::Sampling::descriptor()->FindFieldByName(name);
    if (name == "system") {
      if (parameter.has_string_param()) {
        to.set_system(parameter.string_param());
      } else {
        violations.Add(path, "is no string");
      }
    } else if (field == nullptr) {
      violations.Add(path, "is an option that this server does not know");
    } else if (!SetSampling(*field, parameter, *to.mutable_sampling())) {
      violations.Add(path, HasTypeOf(*field, parameter)
                               ? RangeOf(*field)
                               : "has a value of another type than the option");
    }
  }
}

// Elements of a raw tensor: a length of four bytes, little-endian, before each. Nothing when the lengths do not add up; at most one more than
// there may be.
std::optional<std::vector<std::string>> RawElements(std::string_view raw) {
  std::vector<std::string> elements;
  while (!raw.empty()) {
    if (std::ssize(elements) > kMaxElements) return elements;
    if (raw.size() < 4) return std::nullopt;
    size_t length = 0;
    for (size_t i = 4; i-- > 0;) length = length << 8 | static_cast<uint8_t>(raw[i]);
    raw.remove_prefix(4);
    if (raw.size() < length) return std::nullopt;
    elements.emplace_back(raw.substr(0, length));
    raw.remove_prefix(length);
  }
  return elements;
}

// -1: more than there may be.
int64_t ElementsOfShape(const ModelInferRequest::InferInputTensor& input) {
  int64_t elements = 1;
  for (const int64_t extent : input.shape()) {
    if (extent < 0 || extent > kMaxElements || (elements *= extent) > kMaxElements) return -1;
  }
  return elements;
}

// Elements of a kind that no input here is of.
bool HasOtherContents(const inference::InferTensorContents& contents) {
  return contents.bool_contents_size() + contents.int_contents_size() +
             contents.int64_contents_size() + contents.uint_contents_size() +
             contents.uint64_contents_size() + contents.fp32_contents_size() +
             contents.fp64_contents_size() >
         0;
}

// Nothing when they cannot be read, which has been told.
std::optional<std::vector<std::string>> ElementsOf(const ModelInferRequest& from, int i,
                                                   Violations& violations) {
  const auto& input = from.inputs(i);
  std::vector<std::string> elements;
  const int contents = input.contents().bytes_contents_size();
  if (input.contents().ByteSizeLong() > 0 && from.raw_input_contents_size() > 0) {
    violations.Add(Text("inputs[", i, "].contents"),
                   "and raw_input_contents are both set, expected one of them");
    return std::nullopt;
  }
  if (HasOtherContents(input.contents())) {
    violations.Add(Text("inputs[", i, "].contents"), "has numbers, expected bytes_contents alone");
    return std::nullopt;
  }
  if (contents > kMaxElements) {
    violations.Add(Text("inputs[", i, "].contents"),
                   Text("has ", contents, " elements, expected at most ", kMaxElements));
    return std::nullopt;
  }
  if (from.raw_input_contents_size() == 0) {
    elements.assign(input.contents().bytes_contents().begin(),
                    input.contents().bytes_contents().end());
  } else if (i < from.raw_input_contents_size()) {
    auto raw = RawElements(from.raw_input_contents(i));
    if (!raw) {
      violations.Add(Text("raw_input_contents[", i, "]"), "has lengths that do not fit its bytes");
      return std::nullopt;
    }
    if (std::ssize(*raw) > kMaxElements) {
      violations.Add(Text("raw_input_contents[", i, "]"),
                     Text("has more than ", kMaxElements, " elements, the limit"));
      return std::nullopt;
    }
    elements = *std::move(raw);
  }
  if (const int64_t expected = ElementsOfShape(input); expected == std::ssize(elements))
    return elements;
  violations.Add(Text("inputs[", i, "].shape"),
                 Text("does not fit the ", elements.size(), " elements that came"));
  return std::nullopt;
}

void TakeInput(const ModelInferRequest& from, int i, v1::AskRequest& to, Violations& violations) {
  const auto& input = from.inputs(i);
  const std::string path = Text("inputs[", i, "]");
  if (input.datatype() != "BYTES") violations.Add(path + ".datatype", "is not BYTES");
  if (!input.parameters().empty()) violations.Add(path + ".parameters", "are not known");
  if (input.name() != "prompt" && input.name() != "image") {
    violations.Add(path + ".name", "is no input of this model, expected prompt or image");
    return;
  }
  auto elements = ElementsOf(from, i, violations);
  if (!elements) return;
  if (input.name() == "image") {
    for (std::string& element : *elements) to.add_images()->set_data(std::move(element));
  } else if (to.has_prompt()) {
    violations.Add(path, "is a second prompt, expected one");
  } else if (elements->size() != 1) {
    violations.Add(path, Text("has ", elements->size(), " elements, expected one prompt"));
  } else if (ValidUtf8(elements->front()) != elements->front()) {
    violations.Add(path, "is no UTF-8");
  } else {
    to.set_prompt(std::move(elements->front()));
  }
}

// The outputs of an answer, by name.
std::vector<std::string> OutputOf(const std::string& name, const v1::AskResponse& answer) {
  std::vector<std::string> elements;
  for (const v1::Answer& one : answer.answers()) {
    elements.push_back(name == "answer"                                  ? one.text()
                       : one.finish_reason() == v1::FINISH_REASON_STOP   ? "stop"
                       : one.finish_reason() == v1::FINISH_REASON_LENGTH ? "length"
                                                                         : "cancelled");
  }
  return elements;
}

bool IsOutput(std::string_view name) { return name == "answer" || name == "finish_reason"; }

std::string RawOf(const std::vector<std::string>& elements) {
  std::string raw;
  for (const std::string& element : elements) {
    for (int shift = 0; shift < 32; shift += 8)
      raw += static_cast<char>(element.size() >> shift & 255);
    raw += element;
  }
  return raw;
}

}  // namespace

v1::AskRequest AskRequestOf(const ModelInferRequest& from, Violations& violations) {
  CheckUnknownFields(from, violations);
  v1::AskRequest to;
  to.set_model(from.model_name());
  to.set_id(from.id());
  if (!from.model_version().empty() && from.model_version() != "1")
    violations.Add("model_version", "is not 1, the one that there is", Code::kNotFound);
  if (from.raw_input_contents_size() > 0 && from.raw_input_contents_size() != from.inputs_size()) {
    violations.Add("raw_input_contents",
                   Text("has ", from.raw_input_contents_size(),
                        " entries, expected one for each of ", from.inputs_size(), " inputs"));
  }
  for (const auto& [name, size] :
       {std::pair("inputs", from.inputs_size()), std::pair("outputs", from.outputs_size())}) {
    if (size <= kMaxTensors) continue;
    violations.Add(name, Text("has ", size, " of them, expected at most ", kMaxTensors));
    return to;
  }
  TakeParameters(from, to, violations);
  for (int i = 0; i < from.inputs_size(); ++i) TakeInput(from, i, to, violations);
  const auto is_prompt = [](const auto& input) { return input.name() == "prompt"; };
  if (std::none_of(from.inputs().begin(), from.inputs().end(), is_prompt))
    violations.Add("inputs", "have no prompt, expected one");
  for (int i = 0; i < from.outputs_size(); ++i) {
    if (!from.outputs(i).parameters().empty())
      violations.Add(Text("outputs[", i, "].parameters"), "are not known");
    if (!IsOutput(from.outputs(i).name())) {
      violations.Add(Text("outputs[", i, "].name"),
                     "is no output of this model, expected answer or finish_reason");
    }
  }
  return to;
}

InferFields InferFieldsOf(const ModelInferRequest& from) {
  InferFields fields;
  const bool raw = from.raw_input_contents_size() > 0;
  for (int i = 0; i < std::min(from.inputs_size(), kMaxTensors); ++i) {
    const std::string path = Text("inputs[", i, "]");
    if (from.inputs(i).name() == "prompt") fields.prompt = path;
    if (from.inputs(i).name() != "image") continue;
    // A picture in raw contents has no path of its own: of how many there are, the shape tells.
    const int64_t elements =
        raw ? ElementsOfShape(from.inputs(i)) : from.inputs(i).contents().bytes_contents_size();
    for (int64_t k = 0; k < elements; ++k) {
      fields.images.push_back(raw ? Text("raw_input_contents[", i, "]")
                                  : Text(path, ".contents.bytes_contents[", k, "]"));
    }
  }
  return fields;
}

namespace {

std::string InferFieldOf(const std::string& field, const InferFields& fields) {
  if (field.starts_with("sampling."))
    return Text("parameters[", field.substr(9, field.find('[') - 9), "]");
  if (field == "system") return "parameters[system]";
  if (field == "prompt") return fields.prompt;
  constexpr std::string_view kImages = "images[";
  size_t index = fields.images.size();
  if (field.starts_with(kImages))
    std::from_chars(field.data() + kImages.size(), field.data() + field.size(), index);
  if (index < fields.images.size()) return fields.images[index];
  return field.starts_with("images") ? "inputs" : field;
}

}  // namespace

Violations InferViolationsOf(const std::vector<FieldViolation>& violations,
                             const InferFields& fields) {
  Violations renamed;
  for (const FieldViolation& violation : violations)
    renamed.Add(InferFieldOf(violation.field, fields), violation.description, violation.code);
  return renamed;
}

inference::ModelInferResponse InferResponseOf(const v1::AskResponse& answer,
                                              const ModelInferRequest& request) {
  inference::ModelInferResponse to;
  to.set_model_name(answer.model());
  to.set_model_version("1");
  to.set_id(answer.id());
  std::vector<std::string> names = {"answer", "finish_reason"};
  if (request.outputs_size() > 0) names.clear();
  for (const auto& output : request.outputs()) names.push_back(output.name());
  for (const std::string& name : names) {
    const std::vector<std::string> elements = OutputOf(name, answer);
    auto& output = *to.add_outputs();
    output.set_name(name);
    output.set_datatype("BYTES");
    output.add_shape(std::ssize(elements));
    if (request.raw_input_contents_size() > 0) {
      to.add_raw_output_contents(RawOf(elements));
    } else {
      output.mutable_contents()->mutable_bytes_contents()->Add(elements.begin(), elements.end());
    }
  }
  return to;
}

inference::ModelMetadataResponse InferMetadataOf(const std::string& model) {
  inference::ModelMetadataResponse to;
  to.set_name(model);
  to.add_versions("1");
  to.set_platform("binocle");
  const auto add = [](auto& tensor, const char* name, int64_t extent) {
    tensor.set_name(name);
    tensor.set_datatype("BYTES");
    tensor.add_shape(extent);
  };
  add(*to.add_inputs(), "prompt", 1);
  add(*to.add_inputs(), "image", -1);
  add(*to.add_outputs(), "answer", -1);
  add(*to.add_outputs(), "finish_reason", -1);
  return to;
}

}  // namespace binocle
