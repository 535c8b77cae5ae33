// A load under way, and what every boot protocol's loader does in the same way.
#pragma once

#include <cstdint>
#include <string>

#include "boot/kernel.h"
#include "boot/placement.h"

namespace husk::boot {

struct InitrdPlace {
  uint64_t address = 0, size = 0;  // 0: none
};

// Linux takes an initrd anywhere below this unless its header says otherwise (boot.rst,
// initrd_addr_max).
constexpr uint64_t kInitrdLimit = 0x80000000;
// COMMAND_LINE_SIZE of x86 Linux less the NUL, for kernels without a header that says so.
constexpr uint64_t kCommandLineLimit = 2047;

// Borrows both.
struct Loading {
  Loading(memory::GuestMemory& guest_memory, const KernelRequest& kernel_request)
      : memory(guest_memory),
        request(kernel_request),
        placement(guest_memory, kernel_request.name) {}

  // Chooses the initrd's place: as high as `limit` (exclusive) and the claims made before allow;
  // where it does not fit there and `above_4g` is true, as high as RAM goes.
  [[nodiscard]] Result<InitrdPlace> claim_initrd(uint64_t limit, bool above_4g);
  [[nodiscard]] Result<void> write_initrd(InitrdPlace place);

  // `limit` is the protocol's greatest length without the NUL; our own place has one too.
  [[nodiscard]] Result<void> check_command_line(const std::string& text, uint64_t limit) const;
  [[nodiscard]] Result<void> write_command_line(const std::string& text);

  memory::GuestMemory& memory;
  const KernelRequest& request;
  Placement placement;
};

}  // namespace husk::boot
