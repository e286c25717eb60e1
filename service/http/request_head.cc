#include "service/http/request_head.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include "service/common/text.h"

namespace binocle::http {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr size_t kMaxQuotedBytes = 60;

bool IsDigits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool IsToken(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](unsigned char c) {
    return std::isalnum(c) != 0 || kMarks.find(static_cast<char>(c)) != std::string_view::npos;
  });
}

bool IsWord(std::string_view text) {
  return !text.empty() && std::none_of(text.begin(), text.end(),
                                       [](unsigned char c) { return c <= ' ' || c == 127; });
}

// Tabs are blanks; what else is below one ends a line for somebody, or a string.
bool IsValue(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return (c < ' ' && c != '\t') || c == 127; });
}

bool IsCaselessly(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

std::string Quoted(std::string_view text) {
  return Text('"', ValidUtf8(text, kMaxQuotedBytes), '"');
}

// The bytes of "http://host:80" in an absolute-form target; 0: it has another form.
size_t AuthoritySize(std::string_view target) {
  const size_t mark = target.find("://");
  const std::string_view scheme = target.substr(0, mark);
  if (mark == std::string_view::npos ||
      !(IsCaselessly(scheme, "http") || IsCaselessly(scheme, "https")))
    return 0;
  return std::min(target.find_first_of("/?#", mark + 3), target.size());
}

void ReadTarget(std::string_view target, RequestHead& head) {
  head.authority_size = AuthoritySize(target);
  if (head.authority_size == 0) return;
  const std::string_view authority = target.substr(0, head.authority_size);
  // A user in it is how links deceive: RFC 9110, 4.2.4.
  if (authority.ends_with("://") || authority.find('@') != std::string_view::npos)
    head.fault = Text("the target is ", Quoted(target), ", expected http://HOST/PATH");
  head.has_path = target.substr(head.authority_size).starts_with('/');
}

// What header lines say of the request's extent and of whom it is for.
struct Framing {
  int hosts = 0;
  std::optional<std::string_view> length, coding;
};

std::string FaultOfLine(std::string_view line, Framing& framing) {
  const size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  // The value stays unsaid: it may be a key. So does a line that may be one's.
  if (colon == std::string_view::npos) return "a header line has no colon, expected NAME: VALUE";
  if (!IsToken(name) || !IsValue(line.substr(colon)))
    return Text("a header line begins with ", Quoted(name), ", expected NAME: VALUE");
  const std::string_view value = Trimmed(line.substr(colon + 1));
  if (IsCaselessly(name, "Host")) {
    ++framing.hosts;
    if (value.find_first_of(" \t,/?#@\\") != std::string_view::npos)
      return Text("Host is ", Quoted(value), ", expected HOST or HOST:PORT");
  }
  for (const auto& [own, seen] : {std::pair("Content-Length", &framing.length),
                                  std::pair("Transfer-Encoding", &framing.coding)}) {
    if (!IsCaselessly(name, own)) continue;
    if (*seen)
      return Text(own, " is ", Quoted(**seen), " and again ", Quoted(value), ", expected one");
    *seen = value;
  }
  return {};
}

std::string FaultOf(const Framing& framing, std::string_view version) {
  if (framing.hosts > 1) return "Host is there twice, expected one";
  if (framing.hosts == 0 && version == "HTTP/1.1") return "Host is missing, expected one";
  if (framing.length && framing.coding)
    return "Content-Length and Transfer-Encoding are both there, expected one of them";
  if (framing.length && !IsDigits(*framing.length))
    return Text("Content-Length is ", Quoted(*framing.length), ", expected digits");
  if (framing.coding && !IsCaselessly(*framing.coding, "chunked"))
    return Text("Transfer-Encoding is ", Quoted(*framing.coding), ", expected chunked");
  return {};
}

}  // namespace

RequestHead ReadHead(std::string_view head) {
  RequestHead read;
  const std::string_view first = head.substr(0, head.find(kLineEnd));
  const size_t one = first.find(' '), two = first.rfind(' ');
  if (one == two || !IsWord(first.substr(one + 1, two - one - 1))) {
    read.fault = Text("the request line is ", Quoted(first), ", expected METHOD TARGET VERSION");
    return read;
  }
  read.authority_at = one + 1;
  ReadTarget(first.substr(one + 1, two - one - 1), read);
  Framing framing;
  for (size_t at = first.size(); at < head.size() && read.fault.empty();) {
    at += kLineEnd.size();
    const std::string_view line = head.substr(at, head.find(kLineEnd, at) - at);
    read.fault = FaultOfLine(line, framing);
    if (IsCaselessly(line.substr(0, line.find(':')), "Range"))
      read.to_leave_out.push_back({at - kLineEnd.size(), kLineEnd.size() + line.size()});
    at += line.size();
  }
  if (read.fault.empty()) read.fault = FaultOf(framing, first.substr(two + 1));
  read.chunked = framing.coding.has_value();
  return read;
}

}  // namespace binocle::http
