// CRC-32C (Castagnoli), as EROFS uses it over its superblock.
#pragma once

#include <cstdint>
#include <string_view>

namespace husk::oci {

// The plain register: starts from `seed`, no final inversion (Linux's crc32c()).
[[nodiscard]] uint32_t crc32c(uint32_t seed, std::string_view data);

}  // namespace husk::oci
