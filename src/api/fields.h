// Each serialized type's fields, named once for both directions: fields(value, visit) calls
// visit(name, field).
#pragma once

#include <array>
#include <concepts>
#include <string_view>
#include <type_traits>
#include <utility>

#include "husk/host.h"
#include "husk/machine.h"
#include "husk/types.h"

namespace husk::api {

// T, const or not.
template <class U, class T>
concept Is = std::same_as<std::remove_const_t<U>, T>;

void fields(Is<host::PlatformCapabilities> auto& v, auto&& visit) {
  visit("supported_archs", v.supported_archs);
  visit("max_vcpus", v.max_vcpus);
  visit("max_memory", v.max_memory);
  visit("nested_virt", v.nested_virt);
  visit("rosetta", v.rosetta);
}

void fields(Is<Registers> auto& v, auto&& visit) {
  visit("rax", v.rax);
  visit("rbx", v.rbx);
  visit("rcx", v.rcx);
  visit("rdx", v.rdx);
  visit("rsi", v.rsi);
  visit("rdi", v.rdi);
  visit("rsp", v.rsp);
  visit("rbp", v.rbp);
  visit("r8", v.r8);
  visit("r9", v.r9);
  visit("r10", v.r10);
  visit("r11", v.r11);
  visit("r12", v.r12);
  visit("r13", v.r13);
  visit("r14", v.r14);
  visit("r15", v.r15);
  visit("rip", v.rip);
  visit("rflags", v.rflags);
}

void fields(Is<Arm64Registers> auto& v, auto&& visit) {
  visit("x", v.x);
  visit("sp", v.sp);
  visit("pc", v.pc);
  visit("pstate", v.pstate);
  visit("fpcr", v.fpcr);
  visit("fpsr", v.fpsr);
  visit("v", v.v);
}

// Without net_fd: a descriptor's number means nothing elsewhere.
void fields(Is<VirtioDeviceConfig> auto& v, auto&& visit) {
  visit("device_type", v.device_type);
  visit("config", v.config);
  visit("path", v.path);
  visit("read_only", v.read_only);
  visit("tag", v.tag);
  visit("mac_address", v.mac_address);
}

void fields(Is<BalloonStats> auto& v, auto&& visit) {
  visit("target_bytes", v.target_bytes);
  visit("current_bytes", v.current_bytes);
  visit("configured_bytes", v.configured_bytes);
}

void fields(Is<VcpuSnapshot> auto& v, auto&& visit) {
  visit("id", v.id);
  visit("arch", v.arch);
  visit("x86_regs", v.x86_regs);
  visit("arm64_regs", v.arm64_regs);
  visit("extra_state", v.extra_state);
}

void fields(Is<DeviceSnapshot> auto& v, auto&& visit) {
  visit("device_type", v.device_type);
  visit("name", v.name);
  visit("state", v.state);
}

void fields(Is<MemoryRegionSnapshot> auto& v, auto&& visit) {
  visit("guest_addr", v.guest_addr);
  visit("size", v.size);
  visit("read_only", v.read_only);
  visit("file_offset", v.file_offset);
}

void fields(Is<DirtyPageInfo> auto& v, auto&& visit) {
  visit("guest_addr", v.guest_addr);
  visit("size", v.size);
}

void fields(Is<VmSnapshot> auto& v, auto&& visit) {
  visit("version", v.version);
  visit("arch", v.arch);
  visit("vcpus", v.vcpus);
  visit("devices", v.devices);
  visit("memory_regions", v.memory_regions);
  visit("total_memory", v.total_memory);
  visit("compressed", v.compressed);
  visit("compression", v.compression);
  visit("parent_id", v.parent_id);
}

namespace exits = machine::exits;

void fields(Is<exits::IoOut> auto& v, auto&& visit) {
  visit("port", v.port);
  visit("size", v.size);
  visit("data", v.data);
}
void fields(Is<exits::IoIn> auto& v, auto&& visit) {
  visit("port", v.port);
  visit("size", v.size);
}
void fields(Is<exits::MmioRead> auto& v, auto&& visit) {
  visit("addr", v.addr);
  visit("size", v.size);
}
void fields(Is<exits::MmioWrite> auto& v, auto&& visit) {
  visit("addr", v.addr);
  visit("size", v.size);
  visit("data", v.data);
}
void fields(Is<exits::Hypercall> auto& v, auto&& visit) {
  visit("nr", v.nr);
  visit("args", v.args);
}
void fields(Is<exits::Unknown> auto& v, auto&& visit) { visit("code", v.code); }

// The enumerators' and the exits' names, in the order of their declaration.
template <class T>
inline constexpr int kNames = 0;
template <>
inline constexpr std::array<std::string_view, 2> kNames<CpuArch>{"X86_64", "Aarch64"};
template <>
inline constexpr std::array<std::string_view, 8> kNames<VirtioDeviceType>{
    "Block", "Net", "Console", "Fs", "Vsock", "Rng", "Balloon", "Gpu"};
template <>
inline constexpr std::array<std::string_view, 10> kNames<machine::VcpuExit>{
    "Halt",      "IoOut",       "IoIn",     "MmioRead", "MmioWrite",
    "Hypercall", "SystemReset", "Shutdown", "Debug",    "Unknown"};
static_assert(kNames<machine::VcpuExit>.size() == std::variant_size_v<machine::VcpuExit>);

}  // namespace husk::api
