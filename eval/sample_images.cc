#include "eval/sample_images.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "core/error.h"
#include "eval/readers/values.h"

namespace binocle::eval {
namespace {

namespace fs = std::filesystem;

SampleImage AtPath(const std::string& text, const fs::path& folder, const fs::path& data) {
  const fs::path relative = folder / text;
  if (fs::path(text).is_absolute() || text.find('\0') != std::string::npos ||
      std::find(relative.begin(), relative.end(), "..") != relative.end())
    ThrowInvalid("picture ", text, " leads out of the data folder");
  fs::path path = data / relative;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) Throw(Code::kNotFound, "picture ", relative.string(), " is not there");
  if (!fs::is_regular_file(status))
    ThrowInvalid("picture ", relative.string(), " is not a regular file");
  if (fs::file_size(path, error) == 0 || error)
    ThrowInvalid("picture ", relative.string(), " is empty");
  return {.path = std::move(path)};
}

SampleImage FromBase64(std::string_view text, const std::string& column) {
  // "data:image/png;base64,…"
  const size_t comma = text.starts_with("data:") ? text.find(";base64,") : std::string_view::npos;
  if (comma != std::string_view::npos) text.remove_prefix(comma + 8);
  try {
    std::string bytes = DecodeBase64(text);
    if (bytes.empty()) ThrowInvalid("is empty");
    return {.bytes = std::move(bytes)};
  } catch (const Error& error) {
    ThrowInvalid("column ", column, " ", error.message());
  }
}

// A picture as data sets write it in one value: a text, or {"bytes": base64, "path": …}.
const std::string* TextOfImage(const Json& value, ImageForm form) {
  const char* member = form == ImageForm::kBase64 ? "bytes" : "path";
  const Json* text = value.is_object() ? FindColumn(value, member) : &value;
  return text != nullptr && text->is_string() ? text->get_ptr<const std::string*>() : nullptr;
}

std::vector<std::string> ImageTexts(const Json& value, const std::string& column, ImageForm form) {
  if (value.is_string() && value.get_ref<const std::string&>().empty()) return {};
  if (value.is_string()) return TextsOf(value, column);
  std::vector<std::string> texts;
  const auto add = [&](const Json& one) {
    const std::string* text = TextOfImage(one, form);
    if (text == nullptr || text->empty())
      ThrowInvalid(
          "column ", column, " holds no picture, expected ",
          form == ImageForm::kBase64 ? "base64 or {\"bytes\": base64}" : "a path or {\"path\": …}");
    texts.push_back(*text);
  };
  if (value.is_array()) {
    for (const Json& one : value) add(one);
  } else {
    add(value);
  }
  return texts;
}

// FNV-1a, 64 bits: the same on every machine.
uint64_t HashOf(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace

std::vector<SampleImage> ReadSampleImages(const Json& row, const Images& images,
                                          const fs::path& folder) {
  std::vector<SampleImage> found;
  if (images.path) {
    const std::string path = images.path->Render([&](const std::string& column) {
      const Json* value = FindColumn(row, column);
      if (value == nullptr) ThrowInvalid("has no column ", column, " for the picture's path");
      return TextOf(*value, column);
    });
    if (!path.empty()) found.push_back(AtPath(path, images.folder, folder));
  }
  for (const std::string& column : images.columns) {
    const Json* value = FindColumn(row, column);
    if (value == nullptr && images.columns.size() == 1 && !images.optional)
      ThrowInvalid("has no column ", column);
    if (value == nullptr || value->is_null()) continue;
    for (const std::string& text : ImageTexts(*value, column, images.form)) {
      found.push_back(images.form == ImageForm::kPath ? AtPath(text, images.folder, folder)
                                                      : FromBase64(text, column));
    }
  }
  if (found.empty() && !images.optional) ThrowInvalid("has no picture");
  return found;
}

std::string ImageKey(const Sample& sample) {
  std::string key;
  for (const SampleImage& image : sample.images) {
    if (!key.empty()) key += '\n';
    if (image.bytes.empty()) {
      key += image.path.string();
    } else {
      char hash[40];
      std::snprintf(hash, sizeof hash, "%016llx-%zu",
                    static_cast<unsigned long long>(HashOf(image.bytes)), image.bytes.size());
      key += hash;
    }
  }
  return key;
}

}  // namespace binocle::eval
