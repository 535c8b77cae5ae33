// Devices from nothing but their configuration.
#pragma once

#include "husk/types.h"

#include "runtime/managed_machine.h"

namespace husk::runtime {

// A disk's `config` is its serial number, at most 20 bytes.
//
// kUnsupported for a type that this build has not, kInvalidArgument for a field that is missing.
[[nodiscard]] Result<DeviceFactory> standard_device(const VirtioDeviceConfig& config);

}  // namespace husk::runtime
