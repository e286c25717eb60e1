// Elementary functions, one lane wide. See ../../highway.h.
#pragma once

#include "hwy/highway.h"

namespace hwy::HWY_NAMESPACE {

inline Vec1 Exp(Tag, Vec1 v) { return {std::exp(v.raw)}; }

}  // namespace hwy::HWY_NAMESPACE
