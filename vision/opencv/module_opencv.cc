#include <algorithm>
#include <exception>
#include <memory>
#include <new>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "vision/opencv/module.h"

namespace {

using binocle::OpencvModule;

void Say(std::string_view text, OpencvModule::Problem& problem) {
  const size_t size = std::min(text.size(), sizeof(problem) - 1);
  std::copy_n(text.data(), size, problem);
  problem[size] = 0;
}

// What `work` does, with all that it may throw as an outcome.
template <typename Work>
OpencvModule::Outcome Guarded(OpencvModule::Problem& problem, const Work& work) {
  Say("", problem);
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return OpencvModule::kNoMemory;
  } catch (const cv::Exception& e) {
    if (e.code == cv::Error::StsNoMem) return OpencvModule::kNoMemory;
    Say(e.err, problem);
  } catch (const std::exception& e) {
    Say(e.what(), problem);
  }
  return OpencvModule::kWrong;
}

int32_t BitsOf(const cv::Mat& mat) {
  switch (mat.depth()) {
    case CV_8U: return 8;
    case CV_16U: return 16;
    default: return 0;
  }
}

OpencvModule::Outcome Decode(const char* bytes, size_t size, OpencvModule::Picture& picture,
                             OpencvModule::Problem& problem) {
  return Guarded(problem, [&] {
    const cv::Mat wrapped(1, static_cast<int>(size), CV_8U, const_cast<char*>(bytes));
    auto mat = std::make_unique<cv::Mat>(cv::imdecode(wrapped, cv::IMREAD_UNCHANGED));
    if (mat->empty()) return OpencvModule::kWrong;
    picture = {.width = mat->cols,
               .height = mat->rows,
               .channels = mat->channels(),
               .bits = BitsOf(*mat),
               .rows = mat->data,
               .row_bytes = mat->step[0],
               .owner = nullptr};
    if (picture.bits == 0) Say(cv::typeToString(mat->type()), problem);
    picture.owner = mat.release();
    return OpencvModule::kDone;
  });
}

void ReleasePicture(void* owner) { delete static_cast<cv::Mat*>(owner); }

OpencvModule::Outcome EncodePng(const uint8_t* rgb, int32_t width, int32_t height,
                                OpencvModule::Bytes& png, OpencvModule::Problem& problem) {
  return Guarded(problem, [&] {
    cv::Mat bgr(height, width, CV_8UC3);
    for (int y = 0; y < height; ++y) {
      uint8_t* out = bgr.ptr<uint8_t>(y);
      for (int x = 0; x < width; ++x, rgb += 3, out += 3) {
        out[0] = rgb[2];
        out[1] = rgb[1];
        out[2] = rgb[0];
      }
    }
    auto bytes = std::make_unique<std::vector<uint8_t>>();
    if (!cv::imencode(".png", bgr, *bytes)) {
      Say("could not be written", problem);
      return OpencvModule::kWrong;
    }
    png.data = reinterpret_cast<const char*>(bytes->data());
    png.size = bytes->size();
    png.owner = bytes.release();
    return OpencvModule::kDone;
  });
}

void ReleaseBytes(void* owner) { delete static_cast<std::vector<uint8_t>*>(owner); }

// OpenCV logs what it also throws or returns; one line for one error is enough.
[[maybe_unused]] const bool is_quiet = [] {
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  return true;
}();

}  // namespace

extern "C" __attribute__((visibility("default"))) const OpencvModule binocle_opencv_1;
const OpencvModule binocle_opencv_1{.decode = Decode,
                                    .release_picture = ReleasePicture,
                                    .encode_png = EncodePng,
                                    .release_bytes = ReleaseBytes};
