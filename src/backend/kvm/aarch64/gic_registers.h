// The vGIC's attributes as values: one door for its addresses, its registers and its lines.
#pragma once

#include <cstdint>

#include "husk/error.h"

#include "backend/kvm/common/calls.h"

namespace husk::kvm {

// T is what the group's values are: uint32_t for registers of the distributor and redistributors
// and for line levels, uint64_t for addresses and the CPU interface.
template <class T>
[[nodiscard]] Result<void> set_gic(int device, uint32_t group, uint64_t attribute, T value) {
  kvm_device_attr attr{};
  attr.group = group;
  attr.attr = attribute;
  attr.addr = reinterpret_cast<uint64_t>(&value);
  const auto done = call(device, HUSK_KVM_CALL(KVM_SET_DEVICE_ATTR), &attr);
  if (!done) return std::unexpected(done.error());
  return {};
}

template <class T>
[[nodiscard]] Result<T> get_gic(int device, uint32_t group, uint64_t attribute) {
  T value{};
  kvm_device_attr attr{};
  attr.group = group;
  attr.attr = attribute;
  attr.addr = reinterpret_cast<uint64_t>(&value);
  const auto done = call(device, HUSK_KVM_CALL(KVM_GET_DEVICE_ATTR), &attr);
  if (!done) return std::unexpected(done.error());
  return value;
}

}  // namespace husk::kvm
