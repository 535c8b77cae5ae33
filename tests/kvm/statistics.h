// What KVM itself has counted (api.rst, KVM_GET_STATS_FD).
#pragma once

#include <cstdint>
#include <string_view>

#include "husk/error.h"

namespace husk::kvm_tests {

// Of a VM's or a vCPU's descriptor. kNotFound: this KVM does not count that.
[[nodiscard]] Result<uint64_t> statistic(int fd, std::string_view name);

}  // namespace husk::kvm_tests
