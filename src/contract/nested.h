// Nested virtualization: no backend here carries a guest's guest, and no canonical state has a
// place for one. What would need it is refused, so that it cannot be lost unnoticed.
#pragma once

#include <cstdint>
#include <string>

#include "husk/error.h"

namespace husk::contract {

// kUnsupported: `subject` has to do with a guest's guest, as `why` says.
[[nodiscard]] inline std::unexpected<Error> refuse_nested(std::string subject, std::string why) {
  return fail(ErrorKind::kUnsupported, std::move(subject),
              "nested virtualization is not carried: " + std::move(why));
}

}  // namespace husk::contract
