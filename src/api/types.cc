#include "husk/types.h"

namespace husk {

VirtioDeviceConfig VirtioDeviceConfig::block(std::string path, bool read_only) {
  VirtioDeviceConfig device;
  device.path = std::move(path);
  device.read_only = read_only;
  return device;
}

VirtioDeviceConfig VirtioDeviceConfig::network() {
  VirtioDeviceConfig device;
  device.device_type = VirtioDeviceType::kNet;
  return device;
}

VirtioDeviceConfig VirtioDeviceConfig::network_with_mac(std::string mac_address) {
  VirtioDeviceConfig device = network();
  device.mac_address = std::move(mac_address);
  return device;
}

VirtioDeviceConfig VirtioDeviceConfig::network_file_handle(int fd) {
  VirtioDeviceConfig device = network();
  device.net_fd = fd;
  return device;
}

VirtioDeviceConfig VirtioDeviceConfig::network_file_handle_with_mac(int fd,
                                                                    std::string mac_address) {
  VirtioDeviceConfig device = network_file_handle(fd);
  device.mac_address = std::move(mac_address);
  return device;
}

VirtioDeviceConfig VirtioDeviceConfig::filesystem(std::string path, std::string tag,
                                                  bool read_only) {
  VirtioDeviceConfig device = block(std::move(path), read_only);
  device.device_type = VirtioDeviceType::kFs;
  device.tag = std::move(tag);
  return device;
}

namespace {
VirtioDeviceConfig plain(VirtioDeviceType type) {
  VirtioDeviceConfig device;
  device.device_type = type;
  return device;
}
}  // namespace

VirtioDeviceConfig VirtioDeviceConfig::console() { return plain(VirtioDeviceType::kConsole); }
VirtioDeviceConfig VirtioDeviceConfig::vsock() { return plain(VirtioDeviceType::kVsock); }
VirtioDeviceConfig VirtioDeviceConfig::entropy() { return plain(VirtioDeviceType::kRng); }
VirtioDeviceConfig VirtioDeviceConfig::balloon() { return plain(VirtioDeviceType::kBalloon); }
VirtioDeviceConfig VirtioDeviceConfig::gpu() { return plain(VirtioDeviceType::kGpu); }

VcpuSnapshot VcpuSnapshot::new_x86(uint32_t id, const Registers& regs) {
  VcpuSnapshot snapshot;
  snapshot.id = id;
  snapshot.arch = CpuArch::kX86_64;
  snapshot.x86_regs = regs;
  return snapshot;
}

VcpuSnapshot VcpuSnapshot::new_arm64(uint32_t id, const Arm64Registers& regs) {
  VcpuSnapshot snapshot;
  snapshot.id = id;
  snapshot.arch = CpuArch::kAarch64;
  snapshot.arm64_regs = regs;
  return snapshot;
}

bool VcpuSnapshot::is_placeholder() const {
  if (x86_regs) return x86_regs->rip == 0 && x86_regs->rsp == 0 && x86_regs->rflags == 0;
  if (arm64_regs) return arm64_regs->pc == 0 && arm64_regs->sp == 0 && arm64_regs->pstate == 0;
  return true;
}

}  // namespace husk
