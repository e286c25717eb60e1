// One request and its answer, as handlers see them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "service/http/body_room.h"

namespace binocle::http {

// A reply of server-sent events while it is written.
class EventStream {
 public:
  virtual ~EventStream() = default;
  // One event with one write; false: the client is gone, and nothing more will arrive.
  virtual bool Send(std::string_view event) = 0;
  virtual bool PeerIsGone() const = 0;
  // What is sent from here on ends the reply: whoever has it may ask again.
  virtual void Ending() = 0;
  // How the reply ended in truth, for log and metrics; its status has been sent. 499: the client was too slow.
  virtual void Failed(int status) = 0;
};

class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const std::string& method() const = 0;  // "GET"
  virtual const std::string& path() const = 0;    // decoded, without the query
  // Names in any case; empty: there is none.
  virtual std::string Header(const std::string& name) const = 0;

  // The whole body, unpacked, at most once. Throws BodyIsTooLarge, BodyIsCut, BodyIsSlow, BodyIsMalformed, UnknownEncoding, and RESOURCE_EXHAUSTED while others' take all the room.
  virtual Body ReadBody() = 0;
  // The client has closed the connection. On any thread.
  virtual bool PeerIsGone() const = 0;

  // Who asked, for the log, and what he holds until the reply is written.
  virtual void SetCaller(std::string name, std::shared_ptr<void> lease) = 0;

  // `what` goes when the reply has been written.
  virtual void Keep(std::shared_ptr<void> what) = 0;

  // One of the two, once. Headers first.
  virtual void SetHeader(const std::string& name, const std::string& value) = 0;
  virtual void Reply(int status, std::string body, const std::string& content_type) = 0;
  // `events` runs on the same thread after the handler has returned and this object is gone. False: it was cut off, and the transfer ends
  // without its end mark.
  virtual void Stream(std::function<bool(EventStream&)> events) = 0;
};

struct BodyIsTooLarge {
  int64_t limit = 0;
};
struct BodyIsCut {};
struct BodyIsSlow {};
struct UnknownEncoding {
  std::string encoding;
};
struct BodyIsMalformed {
  std::string why;
};

}  // namespace binocle::http
