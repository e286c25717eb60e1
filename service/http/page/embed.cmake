# cmake -DINPUT=index.html -DOUTPUT=page.cc -P embed.cmake: a source with the file as the text of binocle::http::PageHtml().
# As bytes, since a string literal has a largest length.
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT} "#include \"service/http/page.h\"

namespace binocle::http {
namespace {
constexpr unsigned char kPage[] = {
${bytes}
};
}  // namespace

std::string_view PageHtml() { return {reinterpret_cast<const char*>(kPage), sizeof kPage}; }

}  // namespace binocle::http
")
