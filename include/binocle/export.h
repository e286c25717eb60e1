// Symbol visibility of the Binocle library.
#pragma once

#if defined(BINOCLE_BUILDING_LIBRARY)
#define BINOCLE_EXPORT __attribute__((visibility("default")))
#else
#define BINOCLE_EXPORT
#endif
