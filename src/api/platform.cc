// What the host's kernel says about nested virtualization and about programs of other
// architectures.
#include <filesystem>

#include "husk/host.h"

#include "api/proc_text.h"

namespace husk::host {

namespace {

// The digits of an ELF header that tell its machine: the magic number, and e_machine at offset 18
// in the file's byte order (System V ABI, ELF header). 62 is EM_X86_64, 183 EM_AARCH64; both are
// little-endian.
constexpr std::string_view kElfMagic = "7f454c46";
constexpr size_t kMachineDigit = 18 * 2;

// One entry as binfmt_misc shows it: "enabled", "interpreter PATH", ..., "magic HEX" (Linux,
// Documentation/admin-guide/binfmt-misc.rst).
bool is_enabled_for(std::string_view entry, std::string_view machine) {
  bool enabled = false, matches = false;
  for (const std::string_view line : api::lines(entry)) {
    if (line == "enabled") enabled = true;
    if (!line.starts_with("magic ")) continue;
    const std::string_view magic = line.substr(6);
    matches = magic.starts_with(kElfMagic) && magic.size() >= kMachineDigit + 4 &&
              magic.substr(kMachineDigit, 4) == machine;
  }
  return enabled && matches;
}

}  // namespace

bool nested_virtualization(const Sources& sources) {
  for (const char* module : {"kvm_intel", "kvm_amd"}) {
    const auto text = api::read_text(sources.sys + "/module/" + module + "/parameters/nested");
    if (text && (api::trim(*text) == "Y" || api::trim(*text) == "1")) return true;
  }
  return false;
}

bool translates(CpuArch arch, const Sources& sources) {
  const std::string directory = sources.proc + "/sys/fs/binfmt_misc";
  const auto status = api::read_text(directory + "/status");
  if (!status || api::trim(*status) != "enabled") return false;
  const std::string_view machine = arch == CpuArch::kX86_64 ? "3e00" : "b700";
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(directory, error)) {
    const auto entry = api::read_text(file.path());
    if (entry && is_enabled_for(*entry, machine)) return true;
  }
  return false;
}

}  // namespace husk::host
