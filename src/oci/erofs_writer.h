// The root image: a merged tree written as an uncompressed EROFS file system (Linux 5.4 and later,
// superblock checksum included) that the guest mounts read-only.
#pragma once

#include <array>
#include <cstdint>

#include "oci/spool.h"
#include "oci/tree.h"

namespace husk::oci {

// Changes whenever the same tree would be written as other bytes; part of the cache's file names.
inline constexpr int kRootImageVersion = 1;

// Writes to `fd`, an empty file: same tree, contents and `uuid`, same bytes. `subject` names the
// file in errors. Holes of the spool stay holes.
[[nodiscard]] Result<void> write_root_image(const Tree& tree, const Spool& spool,
                                            const std::array<uint8_t, 16>& uuid, int fd,
                                            const std::string& subject);

// Whether `fd` holds a complete root image: superblock, its checksum and the file's size agree.
[[nodiscard]] Result<void> check_root_image(int fd, const std::string& subject);

}  // namespace husk::oci
