// The types of husk/types.h, and what they hold, as JSON text.
//
// Objects with the fields' names; an absent optional is null; bytes are arrays of numbers; an
// enumerator is its name, "X86_64" or "Block"; an exit is its name, or an object of one member that
// is the name. This is what the seeds' own serializer writes.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

#include "husk/error.h"
#include "husk/host.h"
#include "husk/machine.h"
#include "husk/types.h"

namespace husk {

template <class T>
concept Serializable = std::same_as<T, CpuArch> || std::same_as<T, host::PlatformCapabilities> ||
                       std::same_as<T, Registers> || std::same_as<T, Arm64Registers> ||
                       std::same_as<T, machine::VcpuExit> || std::same_as<T, VirtioDeviceType> ||
                       std::same_as<T, VirtioDeviceConfig> || std::same_as<T, BalloonStats> ||
                       std::same_as<T, VcpuSnapshot> || std::same_as<T, DeviceSnapshot> ||
                       std::same_as<T, MemoryRegionSnapshot> || std::same_as<T, DirtyPageInfo> ||
                       std::same_as<T, VmSnapshot>;

// kCorrupt for a string that is not UTF-8, which JSON cannot carry.
template <Serializable T>
[[nodiscard]] Result<std::string> to_json(const T& value);

// The text is not trusted: kCorrupt, naming the field, for what is malformed, missing, of another
// type or out of range; kLimit beyond 16 MiB. Unknown fields are ignored, an absent optional may be
// left out.
template <Serializable T>
[[nodiscard]] Result<T> from_json(std::string_view text);

}  // namespace husk
