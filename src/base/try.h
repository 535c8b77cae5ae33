// HUSK_TRY: the value of a Result, or return its error from the enclosing function. A macro because
// the standard has no such operator; the only control-flow macro of the project.
#pragma once

#include <utility>

#include "husk/error.h"

namespace husk::base {
template <class T>
T release(Result<T>& result) {
  return std::move(*result);
}
inline void release(Result<void>&) {}
}  // namespace husk::base

#define HUSK_TRY(...)                                                                 \
  ({                                                                                  \
    auto husk_try_result = (__VA_ARGS__);                                             \
    if (!husk_try_result) return std::unexpected(std::move(husk_try_result.error())); \
    ::husk::base::release(husk_try_result);                                           \
  })
