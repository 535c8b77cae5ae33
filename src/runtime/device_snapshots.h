// A machine's devices as snapshots name and describe them (contract, section 4): each with its
// configuration as JSON, the serial consoles without.
#pragma once

#include <span>
#include <vector>

#include "husk/error.h"
#include "husk/types.h"

namespace husk::runtime {

// Names: "block-I-FILE", "net-I", "console-0", "fs-TAG", "vsock-0", "device-I", with I the place in
// `devices`; behind them "serial-0" and "serial-1".
[[nodiscard]] Result<std::vector<DeviceSnapshot>> describe_devices(
    std::span<const VirtioDeviceConfig> devices);

// Whether `snapshots` are of these devices: as many of each type, with the same paths and tags. The
// error tells every mismatch.
[[nodiscard]] Result<void> check_devices(std::span<const VirtioDeviceConfig> devices,
                                         std::span<const DeviceSnapshot> snapshots);

}  // namespace husk::runtime
