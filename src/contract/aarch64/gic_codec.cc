#include "contract/aarch64/gic_codec.h"

#include <fmt/core.h>

#include <string>

#include "base/try.h"
#include "contract/stream_codec.h"

namespace husk::contract::aarch64 {
namespace {

constexpr uint32_t kVersion = 1;
constexpr const char* kSubject = "GIC state";

std::unexpected<Error> corrupt(std::string why) {
  return fail(ErrorKind::kCorrupt, kSubject, std::move(why));
}

Result<void> check_registers(uint64_t count) {
  if (count <= kMaxGicRegisters) return {};
  return corrupt(fmt::format("has {} registers in a list, more than {}", count, kMaxGicRegisters));
}

Result<void> check_vcpus(uint64_t count) {
  if (count <= kMaxGicVcpus) return {};
  return corrupt(fmt::format("has {} vCPUs, more than {}", count, kMaxGicVcpus));
}

// `before` is the element that precedes `next` in the list, or null.
Result<void> check_order(const GicRegister* before, const GicRegister& next) {
  if (before == nullptr || before->order(next) < 0) return {};
  return corrupt(fmt::format("has register {}:{:#x} after {}:{:#x}", next.group, next.attr,
                             before->group, before->attr));
}

Result<void> check_order(const GicVcpuState* before, const GicVcpuState& next) {
  if (before == nullptr || before->mpidr < next.mpidr) return {};
  return corrupt(fmt::format("has vCPU {:#x} after {:#x}", next.mpidr, before->mpidr));
}

template <class T>
const T* last_of(const std::vector<T>& list) {
  return list.empty() ? nullptr : &list.back();
}

Result<void> check(const std::vector<GicRegister>& list) {
  HUSK_TRY(check_registers(list.size()));
  for (size_t i = 1; i < list.size(); ++i) HUSK_TRY(check_order(&list[i - 1], list[i]));
  return {};
}

Result<void> check(const GicState& state) {
  HUSK_TRY(check(state.distributor));
  HUSK_TRY(check_vcpus(state.vcpus.size()));
  const GicVcpuState* before = nullptr;
  for (const GicVcpuState& vcpu : state.vcpus) {
    HUSK_TRY(check_order(before, vcpu));
    HUSK_TRY(check(vcpu.redistributor));
    HUSK_TRY(check(vcpu.cpu_interface));
    before = &vcpu;
  }
  return {};
}

void put_list(std::ostream& out, const std::vector<GicRegister>& list) {
  put(out, static_cast<uint32_t>(list.size()));
  for (const GicRegister& reg : list) {
    put(out, reg.group);
    put(out, reg.attr);
    put(out, reg.value);
  }
}

// Lists grow as their elements come, so that a length alone cannot make the host take memory. After
// the stream's end everything is left as it is: the caller looks at the stream.
Result<void> get_list(std::istream& in, std::vector<GicRegister>& list) {
  const auto count = get<uint32_t>(in);
  if (!in) return {};
  HUSK_TRY(check_registers(count));
  for (uint32_t i = 0; i < count; ++i) {
    GicRegister reg;
    get(in, reg.group);
    get(in, reg.attr);
    get(in, reg.value);
    if (!in) return {};
    HUSK_TRY(check_order(last_of(list), reg));
    list.push_back(reg);
  }
  return {};
}

Result<void> get_vcpus(std::istream& in, std::vector<GicVcpuState>& vcpus) {
  const auto count = get<uint32_t>(in);
  if (!in) return {};
  HUSK_TRY(check_vcpus(count));
  for (uint32_t i = 0; i < count; ++i) {
    GicVcpuState vcpu;
    get(in, vcpu.mpidr);
    if (!in) return {};
    HUSK_TRY(check_order(last_of(vcpus), vcpu));
    HUSK_TRY(get_list(in, vcpu.redistributor));
    HUSK_TRY(get_list(in, vcpu.cpu_interface));
    vcpus.push_back(std::move(vcpu));
  }
  return {};
}

}  // namespace

Result<void> write_gic_state(const GicState& state, std::ostream& out) {
  HUSK_TRY(check(state));
  put(out, kVersion);
  put_list(out, state.distributor);
  put(out, static_cast<uint32_t>(state.vcpus.size()));
  for (const GicVcpuState& vcpu : state.vcpus) {
    put(out, vcpu.mpidr);
    put_list(out, vcpu.redistributor);
    put_list(out, vcpu.cpu_interface);
  }
  if (!out) return fail(ErrorKind::kIo, kSubject, "cannot be written");
  return {};
}

Result<GicState> read_gic_state(std::istream& in) {
  const auto version = get<uint32_t>(in);
  if (!in || version != kVersion) return corrupt("has an unknown version");
  GicState state;
  HUSK_TRY(get_list(in, state.distributor));
  HUSK_TRY(get_vcpus(in, state.vcpus));
  if (!in) return corrupt("ends early");
  return state;
}

}  // namespace husk::contract::aarch64
