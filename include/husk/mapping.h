// The one place where the levels' types become each other: operator's megabytes and the machine's
// bytes, the two sets of states, the two kinds of exit. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "husk/error.h"
#include "husk/lifecycle.h"
#include "husk/machine.h"
#include "husk/seam.h"

namespace husk::mapping {

// 2^20 bytes each; kInvalidArgument (subject "memory_mb") where the product does not fit.
[[nodiscard]] Result<uint64_t> bytes_from_mb(uint64_t megabytes);

// What of an operator's configuration the machine is built from; validates it first. The rest
// (disks, networks, shares, vsock) becomes devices.
[[nodiscard]] Result<machine::VmConfig> to_machine(const lifecycle::VmConfig& config);

// What is known about a machine besides its state.
struct GuestReport {
  std::optional<std::string> ready_ip;        // from the guest's marker
  std::optional<std::string> failure_reason;  // why it is in the error state
};
// Created and starting are starting; stopping still is running, or ready with an address; error is
// failed.
lifecycle::VmState to_lifecycle(machine::VmState state, const GuestReport& report = {});
// Ready is running, failed is error.
[[nodiscard]] machine::VmState to_machine(const lifecycle::VmState& state);

// Empty for what a machine handles itself and never reports: cancellation, and aarch64's virtual
// timer and undecoded exceptions. A hypercall's arguments are in the vCPU's registers, so they are
// 0 here.
[[nodiscard]] std::optional<machine::VcpuExit> to_machine(const seam::VcpuExit& exit);
// A hypercall keeps its number, not its arguments.
[[nodiscard]] seam::VcpuExit to_seam(const machine::VcpuExit& exit);

}  // namespace husk::mapping
