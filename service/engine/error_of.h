// What a step of a request's way throws, as the error that ends the request and nothing else.
#pragma once

#include <exception>
#include <new>
#include <optional>

#include "core/error.h"

namespace binocle {

template <typename Step>
std::optional<Error> ErrorOf(const Step& step) {
  try {
    step();
    return {};
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return Error(Code::kResourceExhausted, "request: out of memory");
  } catch (const std::exception& error) {  // of a library: a thread must not end for it
    return Error(Code::kInternal, internal::Concat("request: ", error.what()));
  }
}

}  // namespace binocle
