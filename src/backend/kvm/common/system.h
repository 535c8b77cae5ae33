// The host's KVM as a whole: /dev/kvm, what it can do, new VMs.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "husk/error.h"

#include "base/fd.h"

namespace husk::kvm {

struct Capability {
  int number;  // KVM_CAP_...
  const char* name;
};

// Thread-safe.
class System {
 public:
  static constexpr const char* kDevice = "/dev/kvm";

  // kNotFound: there is none; kIo: no permission (the text names the group to join), or it is of no
  // use; kUnsupported: another API than version 12.
  [[nodiscard]] static Result<System> open(const std::string& path = kDevice);

  // 0: no; else what the capability's description says.
  [[nodiscard]] int check(int capability) const;
  // kUnsupported, naming the first one that is missing.
  [[nodiscard]] Result<void> require(std::span<const Capability> capabilities) const;
  [[nodiscard]] Result<base::Fd> create_vm(unsigned long type = 0) const;
  [[nodiscard]] size_t run_area_size() const { return run_area_size_; }
  [[nodiscard]] int fd() const { return device_.get(); }

 private:
  System() = default;

  base::Fd device_;
  size_t run_area_size_ = 0;
};

}  // namespace husk::kvm
