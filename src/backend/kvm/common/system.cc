#include "backend/kvm/common/system.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <grp.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>

#include "backend/kvm/common/calls.h"
#include "base/try.h"

namespace husk::kvm {
namespace {

// Who may open it, as its owner's group says.
std::string group_of(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return "kvm";
  group entry{};
  group* found = nullptr;
  std::array<char, 4096> text{};
  if (::getgrgid_r(status.st_gid, &entry, text.data(), text.size(), &found) != 0 ||
      found == nullptr)
    return fmt::format("of id {}", status.st_gid);
  return entry.gr_name;
}

std::unexpected<Error> cannot_open(const std::string& path) {
  const int number = errno;
  Error error{ErrorKind::kIo, path, "cannot be opened", number};
  if (number == ENOENT) {
    error.kind = ErrorKind::kNotFound;
    error.why = "there is none: no KVM in this kernel, or it was not passed into this container";
    error.os_errno = 0;
  } else if (number == EACCES || number == EPERM) {
    error.why =
        fmt::format("no permission; join the group {0} (usermod -aG {0} USER)", group_of(path));
  } else if (number == ENODEV || number == ENXIO) {
    error.why = "nothing behind it: the processor's virtualization is off or absent";
  }
  return std::unexpected(error);
}

}  // namespace

Result<System> System::open(const std::string& path) {
  System system;
  system.device_ = base::Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!system.device_.valid()) return cannot_open(path);
  const auto version = call(system.fd(), HUSK_KVM_CALL(KVM_GET_API_VERSION));
  if (!version) return fail(ErrorKind::kUnsupported, path, "is no KVM device");
  if (*version != KVM_API_VERSION)
    return fail(ErrorKind::kUnsupported, path,
                fmt::format("speaks version {} of the API, not {}", *version, KVM_API_VERSION));
  system.run_area_size_ =
      static_cast<size_t>(HUSK_TRY(call(system.fd(), HUSK_KVM_CALL(KVM_GET_VCPU_MMAP_SIZE))));
  if (system.run_area_size_ < sizeof(kvm_run))
    return fail(ErrorKind::kBackend, path, "has vCPU areas that are too small");
  return system;
}

int System::check(int capability) const {
  const auto answer =
      call(fd(), HUSK_KVM_CALL(KVM_CHECK_EXTENSION), static_cast<unsigned long>(capability));
  return answer.value_or(0);
}

Result<void> System::require(std::span<const Capability> capabilities) const {
  for (const Capability& capability : capabilities) {
    if (check(capability.number) <= 0)
      return fail(ErrorKind::kUnsupported, kDevice, std::string("lacks ") + capability.name);
  }
  return {};
}

Result<base::Fd> System::create_vm(unsigned long type) const {
  return base::Fd(HUSK_TRY(call(fd(), HUSK_KVM_CALL(KVM_CREATE_VM), type)));
}

}  // namespace husk::kvm
