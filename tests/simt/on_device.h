// A tensor's numbers where kernels see them.
#pragma once

#include <vector>

#include "core/tensor.h"
#include "simt/array.h"

namespace binocle {

inline simt::Array<float> OnDevice(const char* name, const Tensor& t) {
  return {name, std::vector<float>(t.f32(), t.f32() + t.view().elements())};
}
// To be written as well.
inline simt::Array<float> InAndOut(const char* name, const Tensor& t) {
  return simt::Array<float>::Writable(name,
                                      std::vector<float>(t.f32(), t.f32() + t.view().elements()));
}

}  // namespace binocle
