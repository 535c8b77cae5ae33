#include "runtime/device_snapshots.h"

#include <algorithm>
#include <filesystem>

#include "husk/serialize.h"

#include "base/try.h"

namespace husk::runtime {
namespace {

std::string name_of(const VirtioDeviceConfig& device, size_t place) {
  const std::string number = std::to_string(place);
  switch (device.device_type) {
    case VirtioDeviceType::kBlock: {
      const std::string file =
          device.path ? std::filesystem::path(*device.path).filename().string() : "";
      return "block-" + number + (file.empty() ? "" : "-" + file);
    }
    case VirtioDeviceType::kNet:
      return "net-" + number;
    case VirtioDeviceType::kConsole:
      return "console-0";
    case VirtioDeviceType::kFs:
      return "fs-" + device.tag.value_or(number);
    case VirtioDeviceType::kVsock:
      return "vsock-0";
    default:
      return "device-" + number;
  }
}

// What tells one device from another of its type. Where a vsock is reached is the host's business.
std::string identity_of(const VirtioDeviceConfig& device) {
  if (device.device_type == VirtioDeviceType::kVsock) return {};
  return device.path.value_or("") + "\n" + device.tag.value_or("");
}

bool is_serial(const DeviceSnapshot& snapshot) {
  return snapshot.device_type == VirtioDeviceType::kConsole && snapshot.state.empty();
}

}  // namespace

Result<std::vector<DeviceSnapshot>> describe_devices(std::span<const VirtioDeviceConfig> devices) {
  std::vector<DeviceSnapshot> snapshots;
  for (size_t place = 0; place < devices.size(); ++place) {
    const std::string text = HUSK_TRY(to_json(devices[place]));
    const auto bytes = std::as_bytes(std::span(text));
    snapshots.push_back({devices[place].device_type, name_of(devices[place], place),
                         std::vector<std::byte>(bytes.begin(), bytes.end())});
  }
  snapshots.push_back({VirtioDeviceType::kConsole, "serial-0", {}});
  snapshots.push_back({VirtioDeviceType::kConsole, "serial-1", {}});
  return snapshots;
}

Result<void> check_devices(std::span<const VirtioDeviceConfig> devices,
                           std::span<const DeviceSnapshot> snapshots) {
  std::string mismatches;
  const auto mismatch = [&](const std::string& what) {
    mismatches += (mismatches.empty() ? "" : "; ") + what;
  };
  std::vector<VirtioDeviceConfig> unmatched(devices.begin(), devices.end());
  for (const DeviceSnapshot& snapshot : snapshots) {
    if (is_serial(snapshot)) continue;
    const std::string text(reinterpret_cast<const char*>(snapshot.state.data()),
                           snapshot.state.size());
    const auto wanted = from_json<VirtioDeviceConfig>(text);
    if (!wanted) {
      mismatch(snapshot.name + " cannot be read: " + wanted.error().message());
      continue;
    }
    const auto found = std::ranges::find_if(unmatched, [&](const VirtioDeviceConfig& device) {
      return device.device_type == wanted->device_type &&
             identity_of(device) == identity_of(*wanted);
    });
    if (found == unmatched.end())
      mismatch("the machine has no " + snapshot.name);
    else
      unmatched.erase(found);
  }
  for (size_t place = 0; place < unmatched.size(); ++place)
    mismatch("the snapshot has no " + name_of(unmatched[place], place));
  if (mismatches.empty()) return {};
  return fail(ErrorKind::kInvalidArgument, "snapshot",
              "not of this machine's devices: " + mismatches);
}

}  // namespace husk::runtime
