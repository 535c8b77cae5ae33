#include "backend/kvm/aarch64/one_reg.h"

#include <fmt/core.h>

#include <algorithm>

#include "backend/kvm/common/calls.h"
#include "base/try.h"
#include "contract/aarch64/vcpu_state.h"

namespace husk::kvm {
namespace {

Result<void> transfer(int vcpu, Call what, uint64_t id, const void* value, size_t size) {
  if (size != contract::aarch64::register_size(id))
    return fail(ErrorKind::kInvalidArgument, fmt::format("register {:#x}", id),
                fmt::format("is not {} bytes long", size));
  kvm_one_reg one{.id = id, .addr = reinterpret_cast<uint64_t>(value)};
  const auto done = call(vcpu, what, &one);
  if (done) return {};
  Error error = done.error();
  error.subject = fmt::format("register {:#x}", id);
  return std::unexpected(std::move(error));
}

}  // namespace

Result<void> get_reg(int vcpu, uint64_t id, std::span<std::byte> value) {
  return transfer(vcpu, HUSK_KVM_CALL(KVM_GET_ONE_REG), id, value.data(), value.size());
}

Result<void> set_reg(int vcpu, uint64_t id, std::span<const std::byte> value) {
  return transfer(vcpu, HUSK_KVM_CALL(KVM_SET_ONE_REG), id, value.data(), value.size());
}

Result<std::vector<uint64_t>> list_regs(int vcpu) {
  // A list that is too short is told its length, as an error.
  kvm_reg_list empty{};
  (void)call(vcpu, HUSK_KVM_CALL(KVM_GET_REG_LIST), &empty);
  if (empty.n > contract::aarch64::kMaxRegisters)
    return fail(ErrorKind::kBackend, "KVM", fmt::format("has {} registers", uint64_t{empty.n}));
  std::vector<uint64_t> block(1 + empty.n);
  block[0] = empty.n;
  HUSK_TRY(call(vcpu, HUSK_KVM_CALL(KVM_GET_REG_LIST), block.data()));
  const auto count = std::min(block[0], uint64_t{empty.n});
  std::vector<uint64_t> ids(block.begin() + 1, block.begin() + 1 + static_cast<ptrdiff_t>(count));
  std::ranges::sort(ids);
  return ids;
}

}  // namespace husk::kvm
