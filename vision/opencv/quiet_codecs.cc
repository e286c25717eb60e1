// libjpeg prints its warnings about damaged pictures to stderr, and OpenCV offers no way to stop it. stderr is the program's, which says
// what is wrong in one line; so the module's own jpeg_std_error, found before the library's by what is loaded with the module, hands out an error
// manager that prints nothing. Where OpenCV carries a libjpeg of its own inside, or the program has one, this is never called.
#include <dlfcn.h>

namespace {

// The beginning of libjpeg's jpeg_error_mgr, the same since version 6.
struct ErrorManager {
  void (*error_exit)(void*);
  void (*emit_message)(void*, int);
  void (*output_message)(void*);
};

}  // namespace

extern "C" __attribute__((visibility("default"))) void* jpeg_std_error(void* manager) {
  using Function = void* (*)(void*);
  static const auto original = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "jpeg_std_error"));
  original(manager);
  static_cast<ErrorManager*>(manager)->output_message = [](void*) {};
  return manager;
}
