#include "cli/eval_figures.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "binocle/error.h"

namespace binocle::cli {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kMostPictureBytes = uintmax_t{8} << 20;

// Where a picture of a sample is; empty where it is no file within the data: pictures in rows go by hashes, and a damaged samples file could name
// anything.
fs::path PicturePath(const std::string& data, const std::string& task, const std::string& image) {
  std::error_code failure;
  const fs::path own = fs::path(data) / task;
  const fs::path folder =
      fs::canonical(fs::is_directory(own, failure) ? own : fs::path(data), failure);
  const fs::path path = fs::canonical(folder / image, failure);
  if (failure || !fs::is_regular_file(path, failure)) return {};
  const fs::path within = path.lexically_relative(folder);
  return within.empty() || *within.begin() == ".." ? fs::path() : path;
}

EvalFigure PictureFigure(const fs::path& path, const std::string& image) {
  if (path.empty()) return {.bytes = {}, .caption = image + ": no file of that name in --data"};
  std::error_code failure;
  if (fs::file_size(path, failure) > kMostPictureBytes || failure)
    return {.bytes = {}, .caption = image + ": more than 8 MiB, not shown"};
  std::ifstream file(path, std::ios::binary);
  return {.bytes = {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()},
          .caption = image};
}

}  // namespace

EvalFigures::EvalFigures(std::string data) : data_(std::move(data)) {
  std::error_code ignored;
  if (!data_.empty() && !fs::is_directory(data_, ignored))
    throw Error(Code::kNotFound, data_ + ": is no folder, expected that of the data (--data)");
}

std::vector<EvalFigure> EvalFigures::Of(const EvalShownSample& sample) const {
  std::vector<EvalFigure> figures;
  if (data_.empty()) return figures;
  for (const std::string& image : sample.images)
    figures.push_back(PictureFigure(PicturePath(data_, sample.task, image), image));
  return figures;
}

}  // namespace binocle::cli
