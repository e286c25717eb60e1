// The head of a request as it came, checked before cpp-httplib sees it.
//
// The library decodes percent signs in values, skips header lines without a value or with a bare line feed, and reads a length with
// strtoull, so that "-3" is 2^64 - 3. After it nobody can tell what a proxy before us has understood, and two opinions on where a request
// ends are two requests (RFC 9112, 11.2).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace binocle::http {

struct RequestHead {
  // Why it is refused; empty: it is not.
  std::string fault;
  // The scheme and authority of an absolute-form target ("http://host/v1/models"), of which the path alone concerns us. None: size 0.
  size_t authority_at = 0, authority_size = 0;
  bool has_path = true;  // else "/" takes the authority's place
  bool chunked = false;  // the body comes in chunks
  // Lines with their ends that the library is not to see, in order. Ranges: no answer has any, and it reads them by a regular expression that recurses.
  struct Extent {
    size_t at = 0, size = 0;
  };
  std::vector<Extent> to_leave_out;
};

// `head` reaches from the request line to the empty line, which is left out. Follows RFC 9112: one Host in HTTP/1.1 (3.2), absolute-form
// targets (3.2.2), one length of digits or one transfer coding, `chunked` (6). What it does not look at is the library's.
RequestHead ReadHead(std::string_view head);

}  // namespace binocle::http
