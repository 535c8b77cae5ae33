#include "backend/kvm/common/doorbell.h"

#include <fmt/core.h>

#include <bit>

#include "backend/kvm/common/calls.h"
#include "base/try.h"

namespace husk::kvm {

Result<void> ring_on_write(int vm, Gpa gpa, uint32_t size, uint64_t value, int eventfd) {
  // 0 would be any size to KVM, and then no value is compared.
  if (!std::has_single_bit(size) || size > 8)
    return fail(ErrorKind::kInvalidArgument, fmt::format("doorbell at {:#x}", gpa.value),
                "must be 1, 2, 4 or 8 bytes");
  kvm_ioeventfd bell{};
  bell.datamatch = value;
  bell.addr = gpa.value;
  bell.len = size;
  bell.fd = eventfd;
  bell.flags = KVM_IOEVENTFD_FLAG_DATAMATCH;
  HUSK_TRY(call(vm, HUSK_KVM_CALL(KVM_IOEVENTFD), &bell));
  return {};
}

}  // namespace husk::kvm
