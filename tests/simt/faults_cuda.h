// Kernels with one fault each, and the same without it.
#pragma once

#include <string>
#include <vector>

#include "simt/memory.h"

namespace simt {

struct PlantedFault {
  const char* name;
  Fault fault;
  void (*launch)(bool broken);
  // Whether plain builds see it too: what is no access.
  bool in_plain_builds = false;
};
std::vector<PlantedFault> PlantedFaults();

}  // namespace simt
