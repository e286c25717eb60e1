// A client of `binocle serve`, or of any server of proto/binocle/v1, over gRPC.
//
//   auto client = binocle::Client::Connect({.target = "127.0.0.1:50051"});
//   client.Generate(
//       binocle::Ask("What is in the top left?", {binocle::ImageInput::FromFile("scene.png")}),
//       {.on_delta = [](const binocle::Delta& d) { std::cout << d.text << std::flush; }});
//
// The library is libbinocle_client, beside libbinocle. Requests and answers are those of binocle/request.h. A picture is a file that is read
// here and sent (ImageInput::FromFile, FromBytes), an uploaded one (UploadedImage), or a file of the server that it allows: a path that
// begins with "upload:" or "file:" is one of the last two, and "./upload:x" is a file again.
//
// Functions throw binocle::Error, of which CallError is what a call failed with. They may be called from any thread, also at the same time.
// A call runs on the thread that makes it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "binocle/embedding.h"
#include "binocle/error.h"
#include "binocle/explain.h"
#include "binocle/export.h"
#include "binocle/model_info.h"
#include "binocle/request.h"

namespace binocle {

// UNAVAILABLE is tried again, and RESOURCE_EXHAUSTED where the server says when; a stream only as long as nothing of it has come. The pause
// doubles from initial_backoff to max_backoff, is never shorter than what the server asks for, and differs by chance between calls. One
// that would outlast the deadline is not waited for.
struct RetryOptions {
  int64_t attempts = 5;                            // 1 … 1000; 1: once
  std::chrono::milliseconds initial_backoff{200};  // 1 … max_backoff
  std::chrono::milliseconds max_backoff{5000};     // … 3600000
};

// Ranges are inclusive; a value outside them is INVALID_ARGUMENT, and Error::option() names it.
struct ClientOptions {
  // HOST:PORT, unix:PATH, or dns:///NAME:PORT, to all of whose addresses calls go in turn.
  std::string target = "127.0.0.1:50051";

  // TLS, which naming one of the files turns on too. PEM files: the authorities to believe (empty: gRPC's own list), and who this client is.
  bool tls = false;
  std::string tls_ca, tls_certificate, tls_key;
  std::string
      tls_server_name;  // what the server's certificate must say; empty: the host of `target`
  std::string token;    // a bearer token; without TLS it travels in clear. Empty: none

  std::string model;  // what calls mean that name none; empty: the server's default
  std::chrono::milliseconds timeout{
      120'000};  // 0 … 86400000, of a call with all its attempts; 0: none
  RetryOptions retry;
  int64_t max_message_bytes = int64_t{64} << 20;  // 1024 … 2147483647, either way
  // 10000 … : a silent connection is tested after this time during a call. Servers cut off who does so more often.
  std::chrono::milliseconds keepalive{20'000};
};

// What may differ from call to call.
struct CallOptions {
  std::string model;                                 // empty: ClientOptions::model
  std::optional<std::chrono::milliseconds> timeout;  // absent: ClientOptions::timeout
  // The server's log has it, and so has CallError. 1 … 128 of a-z A-Z 0-9 - _ . : and empty: one is made.
  std::string request_id;
  // Asked every few milliseconds, on the calling thread; false cancels the call, which ends with CANCELLED. May be empty.
  std::function<bool()> keep_going;
};

// What a call failed with. UNAVAILABLE: no connection, or a server about to stop; UNAUTHENTICATED and PERMISSION_DENIED: the token;
// DEADLINE_EXCEEDED: the timeout; RESOURCE_EXHAUSTED: a full queue or a limit where retry_delay() is there, else something too large.
// Where the request is at fault message() tells all faults, and option() is the option of the first, as in the engine's errors.
class BINOCLE_EXPORT CallError : public Error {
 public:
  struct Violation {
    std::string field;        // of proto/binocle/v1: "sampling.temperature", "images[1]"
    std::string description;  // "is -1, expected 0 to 100"
  };
  struct Details {
    std::vector<Violation> violations;
    std::optional<std::chrono::milliseconds> retry_delay;
    std::string reason;
    std::string request_id;
  };

  CallError(Code code, std::string message, std::string option, Details details);
  ~CallError() override;

  const std::vector<Violation>& violations() const { return details_.violations; }
  // After which another attempt may succeed, where the server said so.
  std::optional<std::chrono::milliseconds> retry_delay() const { return details_.retry_delay; }
  const std::string& reason() const { return details_.reason; }  // such as "TOKEN_RATE_LIMIT"
  const std::string& request_id() const { return details_.request_id; }

 private:
  Details details_;
};

// A picture that the server keeps, by the id that Client::Upload gave.
BINOCLE_EXPORT ImageInput UploadedImage(const std::string& id);

// What the server keeps of an upload.
struct UploadedPicture {
  std::string id;     // SHA-256 of the bytes, 64 lower-case hexadecimal digits
  int64_t bytes = 0;  // of the file
};

// A model in a line.
struct ModelSummary {
  std::string name;            // what requests call it
  std::string family;          // "binocle", "llava"
  int64_t parameters = 0;      // numbers that it has learned
  int64_t context_tokens = 0;  // prompt and answer together
  int64_t image_tokens = 0;    // positions of a picture; 0: a text model
};

// The server at this moment.
struct ServerStatus {
  // What it refuses to go beyond.
  struct Limits {
    int64_t max_message_bytes = 0;
    int64_t max_images = 0;               // of a request
    int64_t max_image_bytes = 0;          // of a picture's file
    int64_t max_request_image_bytes = 0;  // of all pictures of a request
    int64_t max_image_pixels = 0;         // of a decoded picture
    int64_t max_messages = 0;             // of a dialogue
    int64_t max_prompt_bytes = 0;         // of all texts of a request
  };
  // Uploaded pictures.
  struct Images {
    int64_t entries = 0;
    int64_t bytes = 0;
    int64_t budget_bytes = 0;  // the least recently used go first
    int64_t hits = 0;
    int64_t misses = 0;
    int64_t evictions = 0;
  };

  std::string version;     // Binocle's
  int64_t start_time = 0;  // seconds since 1970, UTC
  int64_t in_flight = 0;   // calls under way, this one included
  bool draining = false;   // about to stop, takes no requests
  Limits limits;
  Images images;
};

enum class HealthStatus : uint8_t { kUnknown, kServing, kNotServing };

// "UNKNOWN", "SERVING", "NOT_SERVING".
BINOCLE_EXPORT std::string_view HealthStatusName(HealthStatus status);

// A copy shares the connection.
class BINOCLE_EXPORT Client {
 public:
  // Connects with the first call. INVALID_ARGUMENT for options out of range, NOT_FOUND for files that are not there.
  static Client Connect(const ClientOptions& options);

  // The answer in one piece. The earlier of Request::deadline and the timeout holds. Throws as Engine::Generate does, and CallError.
  Response Ask(const Request& request, const CallOptions& options = {});

  // The same, told as it comes. Differs from Engine::Generate in this: deltas come on the calling thread and without logprobs and grounding, which the
  // answers have; Response::prompt_token_ids is empty, as streams do not tell. Where observer.keep_going says no the request is cancelled and what
  // has come is returned as kCancelled; where CallOptions::keep_going does, CANCELLED is thrown. What on_delta throws, this throws, and the
  // request is cancelled.
  Response Generate(const Request& request, const Observer& observer = {},
                    const CallOptions& options = {});

  // As of Engine; Embedding::tokens is 0 where rows were pooled, as the interface does not tell.
  Embedding EmbedImage(const ImageInput& image, const EmbeddingOptions& embedding = {},
                       const CallOptions& options = {});
  Embedding EmbedText(const std::string& text, const EmbeddingOptions& embedding = {},
                      const CallOptions& options = {});

  // As Engine::Explain, in one piece: FaithfulnessOptions::on_run is not called.
  Explanation Explain(const Request& request, const ExplainOptions& explain = {},
                      const CallOptions& options = {});

  // Sends a picture once, for any number of requests. The server keeps the most recently used ones: a request with one that has gone is
  // NOT_FOUND. Image paths "upload:" and "file:" are INVALID_ARGUMENT here.
  UploadedPicture Upload(const ImageInput& image, const CallOptions& options = {});

  // The default model first.
  std::vector<ModelSummary> Models(const CallOptions& options = {});
  // The call's model in full; path is empty.
  enum class Tensors : bool { kNo, kYes };
  ModelInfo Model(const CallOptions& options = {}, Tensors tensors = Tensors::kNo);
  ServerStatus ServerInfo(const CallOptions& options = {});
  // Of a service, "binocle.v1.VisionLanguageService", or of the server: empty. NOT_FOUND for one that the server does not have. Asks for no token.
  HealthStatus Health(const std::string& service = {}, const CallOptions& options = {});

 private:
  struct Impl;
  explicit Client(std::shared_ptr<const Impl> impl);

  std::shared_ptr<const Impl> impl_;  // owned together with the client's copies
};

}  // namespace binocle
