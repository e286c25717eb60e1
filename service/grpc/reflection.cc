#include "service/grpc/reflection.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/support/status.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "service/common/text.h"
#include "service/grpc/bytes_call.h"

namespace binocle {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::internal::WireFormatLite;

constexpr const char* kMethods[] = {
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"};

// Fields of ServerReflectionRequest and of ServerReflectionResponse.
enum Asked : int {
  kHost = 1,
  kFileByName = 3,
  kFileOfSymbol,
  kFileOfExtension,
  kExtensionsOf,
  kListServices
};
constexpr size_t kMaxShown = 200;  // of a name, in a message
enum Answered : int { kValidHost = 1, kOriginal, kFiles = 4, kExtensions, kServices, kError };

struct ReflectionRequest {
  std::string host;
  int asked = 0;
  std::string name;  // of a file, symbol or type; of an extension its type's
  int extension = 0;
};

// A message of texts and numbers.
class FieldReader {
 public:
  explicit FieldReader(std::string_view wire)
      : stream_(wire.data(), static_cast<int>(wire.size())), wire_(&stream_) {}

  // Calls `visit` with the number of each field, its text, or its value. False where it is no such message.
  template <typename Visit>
  bool ForEach(const Visit& visit) {
    while (const uint32_t tag = wire_.ReadTag()) {
      std::string text;
      uint64_t value = 0;
      int bytes = 0;
      const auto type = WireFormatLite::GetTagWireType(tag);
      if (type == WireFormatLite::WIRETYPE_VARINT) {
        if (!wire_.ReadVarint64(&value)) return false;
      } else if (type == WireFormatLite::WIRETYPE_FIXED32 ||
                 type == WireFormatLite::WIRETYPE_FIXED64) {  // of no field that is known
        if (!wire_.Skip(type == WireFormatLite::WIRETYPE_FIXED32 ? 4 : 8)) return false;
        continue;
      } else if (type != WireFormatLite::WIRETYPE_LENGTH_DELIMITED ||
                 !wire_.ReadVarintSizeAsInt(&bytes) || !wire_.ReadString(&text, bytes)) {
        return false;
      }
      visit(WireFormatLite::GetTagFieldNumber(tag), text, value);
    }
    return wire_.ConsumedEntireMessage();
  }

 private:
  google::protobuf::io::ArrayInputStream stream_;
  google::protobuf::io::CodedInputStream wire_;
};

class FieldWriter {
 public:
  FieldWriter& Text(int field, std::string_view text) {
    google::protobuf::io::StringOutputStream stream(&bytes_);
    google::protobuf::io::CodedOutputStream wire(&stream);
    wire.WriteTag(WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
    wire.WriteVarint32(static_cast<uint32_t>(text.size()));
    wire.WriteRaw(text.data(), static_cast<int>(text.size()));
    return *this;
  }
  FieldWriter& Number(int field, int value) {
    google::protobuf::io::StringOutputStream stream(&bytes_);
    google::protobuf::io::CodedOutputStream wire(&stream);
    wire.WriteTag(WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_VARINT));
    wire.WriteVarint32SignExtended(value);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

std::optional<ReflectionRequest> Parse(std::string_view wire) {
  ReflectionRequest request;
  bool whole = FieldReader(wire).ForEach([&](int field, const std::string& text, uint64_t) {
    if (field == kHost) request.host = text;
    if (field < kFileByName || field > kListServices) return;
    request.asked = field;
    request.name = text;
  });
  if (whole && request.asked == kFileOfExtension) {
    const std::string inside = std::exchange(request.name, "");
    whole = FieldReader(inside).ForEach([&](int field, const std::string& text, uint64_t value) {
      if (field == 1) request.name = text;
      if (field == 2) request.extension = static_cast<int>(value);
    });
  }
  return whole ? std::optional(request) : std::nullopt;
}

// The file and all that it needs.
void AddFiles(const FileDescriptor& file, std::set<const FileDescriptor*>& seen, FieldWriter& out) {
  if (!seen.insert(&file).second) return;
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  out.Text(1, proto.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) AddFiles(*file.dependency(i), seen, out);
}

const FileDescriptor* FileOf(const DescriptorPool& pool, const ReflectionRequest& request) {
  if (request.asked == kFileByName) return pool.FindFileByName(request.name);
  if (request.asked == kFileOfSymbol) return pool.FindFileContainingSymbol(request.name);
  const Descriptor* type = pool.FindMessageTypeByName(request.name);
  const FieldDescriptor* extension =
      type == nullptr ? nullptr : pool.FindExtensionByNumber(type, request.extension);
  return extension == nullptr ? nullptr : extension->file();
}

struct Part {
  int field;
  std::string bytes;
};

Part ErrorPart(grpc::StatusCode code, const std::string& message) {
  return {kError, FieldWriter().Number(1, code).Text(2, message).bytes()};
}

Part ExtensionsPart(const DescriptorPool& pool, const ReflectionRequest& request) {
  const Descriptor* type = pool.FindMessageTypeByName(request.name);
  if (type == nullptr)
    return ErrorPart(grpc::StatusCode::NOT_FOUND,
                     Text("there is no type ", ValidUtf8(request.name, kMaxShown)));
  std::vector<const FieldDescriptor*> extensions;
  pool.FindAllExtensions(type, &extensions);
  FieldWriter out;
  out.Text(1, request.name);
  for (const FieldDescriptor* extension : extensions) out.Number(2, extension->number());
  return {kExtensions, out.bytes()};
}

Part PartOf(const ReflectionRequest& request, const std::vector<std::string>& services) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  if (request.asked == kListServices) {
    FieldWriter out;
    for (const std::string& name : services) out.Text(1, FieldWriter().Text(1, name).bytes());
    return {kServices, out.bytes()};
  }
  if (request.asked == kExtensionsOf) return ExtensionsPart(pool, request);
  if (request.asked == 0)
    return ErrorPart(grpc::StatusCode::INVALID_ARGUMENT, "the request asks for nothing");
  const FileDescriptor* file = FileOf(pool, request);
  if (file == nullptr) {
    const std::string name = ValidUtf8(request.name, kMaxShown);
    const bool extension = request.asked == kFileOfExtension;
    return ErrorPart(grpc::StatusCode::NOT_FOUND,
                     extension
                         ? Text("there is no extension ", request.extension, " of a type ", name)
                         : Text("there is nothing called ", name));
  }
  std::set<const FileDescriptor*> seen;
  FieldWriter out;
  AddFiles(*file, seen, out);
  return {kFiles, out.bytes()};
}

}  // namespace

std::optional<std::string> AnswerReflection(std::string_view request,
                                            const std::vector<std::string>& services) {
  const std::optional<ReflectionRequest> parsed = Parse(request);
  if (!parsed) return std::nullopt;
  const Part part = PartOf(*parsed, services);
  FieldWriter out;
  if (!parsed->host.empty()) out.Text(kValidHost, parsed->host);
  return out.Text(kOriginal, request).Text(part.field, part.bytes).bytes();
}

// One request after the other.
class ReflectionService::Stream final : public BytesCall {
 public:
  Stream(const std::vector<std::string>& services, grpc::GenericCallbackServerContext& context)
      : BytesCall(context, Requests::kMany), services_(services) {}

 protected:
  void OnRequest(std::string_view bytes) override {
    const std::optional<std::string> answer = AnswerReflection(bytes, services_);
    if (!answer)
      return End({grpc::StatusCode::INVALID_ARGUMENT, "the request is no request of reflection"});
    Write(*answer);
  }
  void OnSent() override { Read(); }

 private:
  const std::vector<std::string>& services_;  // the server's, which outlives its calls
};

ReflectionService::ReflectionService(std::vector<std::string> services, HealthService& health,
                                     StallWatch& stalls)
    : services_(std::move(services)), health_(health), stalls_(stalls) {
  std::sort(services_.begin(), services_.end());
}

grpc::ServerGenericBidiReactor* ReflectionService::CreateReactor(
    grpc::GenericCallbackServerContext* context) {
  const bool known =
      std::find(std::begin(kMethods), std::end(kMethods), context->method()) != std::end(kMethods);
  if (known) return BytesCall::Begin(std::make_shared<Stream>(services_, *context), stalls_);
  if (HealthService::Has(context->method())) return health_.CreateReactor(*context);
  return CallbackGenericService::CreateReactor(context);
}

}  // namespace binocle
