// File descriptors: what connections may take of them.
#pragma once

namespace binocle {

// How many the process may have.
int MostDescriptors();
// Descriptors are numbered from below, so one with this number or a higher one tells that nearly all are taken. The last eighth, at most 256, is
// kept for what is no connection.
int FirstReservedDescriptor();

}  // namespace binocle
