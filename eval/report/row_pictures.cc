#include "eval/report/row_pictures.h"

#include <filesystem>
#include <set>
#include <utility>

#include "core/error.h"
#include "eval/samples.h"

namespace binocle::eval {
namespace {

constexpr size_t kMostBytes = size_t{8} << 20;  // of a picture
constexpr size_t kMostTaskBytes = size_t{64} << 20;

// Takes what is wanted out of one row.
class Collector {
 public:
  explicit Collector(const std::vector<const RunSample*>& samples) {
    for (const RunSample* sample : samples)
      wanted_.insert(sample->images.begin(), sample->images.end());
  }
  bool IsDone() const { return wanted_.empty(); }

  void Take(Sample sample) {
    for (SampleImage& image : sample.images) {
      if (image.bytes.empty()) continue;
      const std::string key = ImageKey({.images = {image}});
      const bool fits =
          image.bytes.size() <= kMostBytes && image.bytes.size() <= kMostTaskBytes - bytes_;
      if (wanted_.erase(key) == 0 || !fits) continue;
      bytes_ += image.bytes.size();
      found_[key] = std::move(image.bytes);
    }
  }
  std::map<std::string, std::string> Found() && { return std::move(found_); }

 private:
  std::set<std::string> wanted_;
  std::map<std::string, std::string> found_;
  size_t bytes_ = 0;
};

Task DefinitionOf(const RunTask& task) {
  try {
    return ParseTask(task.about.at("definition").dump(), task.name + ".definition");
  } catch (const Error& error) {
    Throw(Code::kDataLoss, "the results are damaged: binocle.tasks.", error.message());
  }
}

}  // namespace

std::map<std::string, std::string> ReadRowPictures(const RunTask& task,
                                                   const std::vector<const RunSample*>& samples,
                                                   const std::string& data) {
  const Task definition = DefinitionOf(task);
  if (data.empty() || samples.empty() || definition.images.form != ImageForm::kBase64) return {};
  Collector collector(samples);
  SampleReader reader(definition, TaskFolder(definition, data));
  while (!collector.IsDone()) {
    auto sample = reader.Next();
    if (!sample) break;
    collector.Take(*std::move(sample));
  }
  return std::move(collector).Found();
}

}  // namespace binocle::eval
