// Linux's 64-bit boot protocol (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol").
#include "base/try.h"
#include "boot/boot_params.h"
#include "boot/entry_state.h"
#include "boot/layout.h"
#include "boot/linux.h"

namespace husk::boot {
namespace {

using contract::x86::VcpuState;

// The 64-bit entry of a bzImage is at this offset in its protected-mode part.
constexpr uint64_t kBzImageEntry64 = 0x200;

Result<VcpuState> enter(Loading& loading, std::span<const std::byte> setup_fields,
                        InitrdPlace initrd, uint64_t entry) {
  HUSK_TRY(loading.write_initrd(initrd));
  HUSK_TRY(loading.write_command_line(loading.request.command_line));
  HUSK_TRY(write_boot_params(loading.memory, setup_fields, initrd, loading.request.rsdp));
  VcpuState state = HUSK_TRY(long_mode_entry(loading.memory, entry));
  state.gpr[contract::x86::kRsi] = kBootInfoAddress;
  return state;
}

}  // namespace

Result<VcpuState> load_bzimage64(Loading& loading, const SetupHeader& header) {
  HUSK_TRY(loading.placement.claim("the kernel", header.load_address, header.init_size));
  const InitrdPlace initrd =
      HUSK_TRY(loading.claim_initrd(header.initrd_limit, header.initrd_above_4g));
  HUSK_TRY(loading.check_command_line(loading.request.command_line, header.command_line_limit));
  HUSK_TRY(loading.memory.write(Gpa{header.load_address}, header.protected_mode));
  return enter(loading, header.fields, initrd, header.load_address + kBzImageEntry64);
}

Result<VcpuState> load_elf64(Loading& loading, std::span<const std::byte> file,
                             const ElfImage& image, const LinuxLimits& limits) {
  HUSK_TRY(claim_segments(loading.placement, image));
  const InitrdPlace initrd = HUSK_TRY(loading.claim_initrd(limits.initrd, limits.initrd_above_4g));
  HUSK_TRY(loading.check_command_line(loading.request.command_line, limits.command_line));
  HUSK_TRY(copy_segments(loading.memory, file, image));
  return enter(loading, limits.setup_fields, initrd, image.entry);
}

}  // namespace husk::boot
