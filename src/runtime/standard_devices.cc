#include "runtime/standard_devices.h"

#include "base/try.h"
#include "virtio/block.h"
#include "virtio/console.h"
#include "virtio/file_store.h"
#include "virtio/rng.h"

namespace husk::runtime {
namespace {

using Made = Result<std::unique_ptr<virtio::Device>>;

DeviceFactory disk(const VirtioDeviceConfig& config) {
  return [config]() -> Made {
    auto store = HUSK_TRY(virtio::FileStore::open(*config.path, config.read_only));
    std::string serial(reinterpret_cast<const char*>(config.config.data()), config.config.size());
    return std::make_unique<virtio::Block>(std::move(store), std::move(serial));
  };
}

// hvc0 and hvc1, with nobody at the other end.
Made make_console() {
  using Ports = std::vector<virtio::Console::PortSpec>;
  return std::make_unique<virtio::Console>(
      Ports{{"husk.console", true, nullptr}, {"husk.log", true, nullptr}});
}

}  // namespace

Result<DeviceFactory> standard_device(const VirtioDeviceConfig& config) {
  switch (config.device_type) {
    case VirtioDeviceType::kBlock:
      if (!config.path) return fail(ErrorKind::kInvalidArgument, "block device", "has no path");
      return disk(config);
    case VirtioDeviceType::kConsole:
      return DeviceFactory(make_console);
    case VirtioDeviceType::kRng:
      return DeviceFactory([]() -> Made { return std::make_unique<virtio::Rng>(); });
    default:
      return fail(ErrorKind::kUnsupported, "device", "this build has no device of that type");
  }
}

}  // namespace husk::runtime
