// The public API's two pairs of register calls: a build's vCPUs have the registers of its own
// architecture and refuse the others.
#pragma once

#include <concepts>
#include <string>

#include "husk/error.h"

#include "registers.h"

namespace husk::runtime {

inline std::unexpected<Error> foreign_registers() {
  return fail(ErrorKind::kUnsupported, "registers",
              "are another architecture's: this vCPU has those of " +
                  std::string(host::name(host::native_arch())));
}

template <class Wanted, std::invocable Get>
Result<Wanted> get_if_native(Get get) {
  if constexpr (std::same_as<Wanted, NativeRegisters>)
    return get();
  else
    return foreign_registers();
}

template <class Given, std::invocable<const NativeRegisters&> Set>
Result<void> set_if_native(const Given& given, Set set) {
  if constexpr (std::same_as<Given, NativeRegisters>)
    return set(given);
  else
    return foreign_registers();
}

}  // namespace husk::runtime
