// Bodies as they were before their Content-Encoding (RFC 9110, 8.4.1): gzip, which is x-gzip too, or none.
//
// cpp-httplib unpacks what its build happens to know, takes other bodies for plain ones, and does not look whether a packed one is whole.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace binocle::http {

// Takes the next unpacked bytes; false: no more are wanted.
using TakeBytes = std::function<bool(std::string_view bytes)>;

class BodyDecoder {
 public:
  virtual ~BodyDecoder() = default;
  // The next bytes as they came. False: `take` wants no more, or this is no such body; ask no more then.
  virtual bool Accept(std::string_view bytes, const TakeBytes& take) = 0;
  // It is no such body, however it goes on.
  virtual bool broken() const = 0;
  // Why the body, which has come to its end, is none; empty: it is one.
  virtual std::string Fault() const = 0;
};

// Of a Content-Encoding, in any case; null where there is none of that name.
std::unique_ptr<BodyDecoder> MakeBodyDecoder(std::string_view encoding);

}  // namespace binocle::http
