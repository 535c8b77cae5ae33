// The values that hypervisors, machines and snapshots exchange (seed 000, types.rs). Plain data: no
// behaviour, no owned resources. All of them serialize; see husk/serialize.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "husk/host.h"

namespace husk {

using host::CpuArch;

// The general registers of an x86-64 vCPU.
struct Registers {
  uint64_t rax = 0, rbx = 0, rcx = 0, rdx = 0, rsi = 0, rdi = 0, rsp = 0, rbp = 0;
  uint64_t r8 = 0, r9 = 0, r10 = 0, r11 = 0, r12 = 0, r13 = 0, r14 = 0, r15 = 0;
  uint64_t rip = 0;
  uint64_t rflags = 0;

  bool operator==(const Registers&) const = default;
};

struct Arm64Registers {
  std::array<uint64_t, 31> x{};  // X0-X30
  uint64_t sp = 0;
  uint64_t pc = 0;
  uint64_t pstate = 0;
  uint64_t fpcr = 0;
  uint64_t fpsr = 0;
  std::array<std::array<uint64_t, 2>, 32> v{};  // Q0-Q31, the low half first

  bool operator==(const Arm64Registers&) const = default;
};

enum class VirtioDeviceType : uint8_t { kBlock, kNet, kConsole, kFs, kVsock, kRng, kBalloon, kGpu };

// A device to attach before a machine starts. Made by the named functions; the fields that a type
// does not use stay empty.
struct VirtioDeviceConfig {
  VirtioDeviceType device_type = VirtioDeviceType::kBlock;
  std::vector<std::byte> config;    // device-specific
  std::optional<std::string> path;  // kBlock: image; kFs: directory
  bool read_only = false;           // kBlock, kFs
  std::optional<std::string> tag;   // kFs: name to mount it by
  // kNet: one connected datagram socket that carries frames both ways. Borrowed: whoever made the
  // configuration keeps it open until the machine is gone. Never serialized, since a number means
  // nothing in another process.
  std::optional<int> net_fd;
  std::optional<std::string> mac_address;  // kNet, "aa:bb:cc:dd:ee:ff"; absent: the machine chooses

  [[nodiscard]] static VirtioDeviceConfig block(std::string path, bool read_only);
  [[nodiscard]] static VirtioDeviceConfig network();  // behind NAT
  [[nodiscard]] static VirtioDeviceConfig network_with_mac(std::string mac_address);
  [[nodiscard]] static VirtioDeviceConfig network_file_handle(int fd);
  [[nodiscard]] static VirtioDeviceConfig network_file_handle_with_mac(int fd,
                                                                       std::string mac_address);
  [[nodiscard]] static VirtioDeviceConfig console();
  [[nodiscard]] static VirtioDeviceConfig filesystem(std::string path, std::string tag,
                                                     bool read_only);
  [[nodiscard]] static VirtioDeviceConfig vsock();
  [[nodiscard]] static VirtioDeviceConfig entropy();
  [[nodiscard]] static VirtioDeviceConfig balloon();
  [[nodiscard]] static VirtioDeviceConfig gpu();

  bool operator==(const VirtioDeviceConfig&) const = default;
};

// Bytes. `target` is what the guest shall have, `current` what the balloon holds, `configured` what
// the guest has with an empty balloon.
struct BalloonStats {
  uint64_t target_bytes = 0;
  uint64_t current_bytes = 0;
  uint64_t configured_bytes = 0;

  // What the guest has now; 0 where the balloon claims more than there is.
  [[nodiscard]] uint64_t effective_memory() const {
    return configured_bytes > current_bytes ? configured_bytes - current_bytes : 0;
  }
  // Of what is configured; 100 when that is 0.
  [[nodiscard]] double target_percent() const {
    if (configured_bytes == 0) return 100.0;
    return static_cast<double>(target_bytes) / static_cast<double>(configured_bytes) * 100.0;
  }

  bool operator==(const BalloonStats&) const = default;
};

// One vCPU's state: the registers of its architecture, and `extra_state` that only its backend
// reads.
struct VcpuSnapshot {
  uint32_t id = 0;
  CpuArch arch = host::native_arch();
  std::optional<Registers> x86_regs;
  std::optional<Arm64Registers> arm64_regs;
  std::vector<std::byte> extra_state;

  [[nodiscard]] static VcpuSnapshot new_x86(uint32_t id, const Registers& regs);
  [[nodiscard]] static VcpuSnapshot new_arm64(uint32_t id, const Arm64Registers& regs);
  // Whether this stands for a vCPU that nobody captured: program counter, stack pointer and flags
  // all 0, or no registers at all. The x86 registers count where both are present.
  [[nodiscard]] bool is_placeholder() const;

  bool operator==(const VcpuSnapshot&) const = default;
};

struct DeviceSnapshot {
  VirtioDeviceType device_type = VirtioDeviceType::kBlock;
  std::string name;  // unique within the machine
  std::vector<std::byte> state;

  bool operator==(const DeviceSnapshot&) const = default;
};

// A range of guest-physical memory and where its bytes lie in the memory file. Bytes.
struct MemoryRegionSnapshot {
  uint64_t guest_addr = 0;
  uint64_t size = 0;
  bool read_only = false;
  uint64_t file_offset = 0;

  bool operator==(const MemoryRegionSnapshot&) const = default;
};

// A range that was written since the dirty log was last taken.
struct DirtyPageInfo {
  uint64_t guest_addr = 0;
  uint64_t size = 4096;  // bytes

  bool operator==(const DirtyPageInfo&) const = default;
};

// What a snapshot holds besides the memory itself.
struct VmSnapshot {
  uint32_t version = 0;  // of the format
  CpuArch arch = host::native_arch();
  std::vector<VcpuSnapshot> vcpus;
  std::vector<DeviceSnapshot> devices;
  std::vector<MemoryRegionSnapshot> memory_regions;
  uint64_t total_memory = 0;  // bytes
  bool compressed = false;
  std::optional<std::string> compression;  // the algorithm, when compressed
  std::optional<std::string> parent_id;    // what an incremental snapshot builds on

  bool operator==(const VmSnapshot&) const = default;
};

}  // namespace husk
