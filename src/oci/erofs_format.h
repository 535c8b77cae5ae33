// EROFS on disk: the structures of Linux's fs/erofs/erofs_fs.h (6.1) that an uncompressed image
// needs. All fields are little-endian. Layout only; what goes where is decided elsewhere.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

namespace husk::oci::erofs {

static_assert(std::endian::native == std::endian::little, "the structures are written as they are");

inline constexpr uint32_t kBlockSize = 4096;
inline constexpr uint8_t kBlockBits = 12;
inline constexpr uint32_t kSuperOffset = 1024;
inline constexpr uint32_t kSlotSize = 32;  // an inode's number times this is its place
inline constexpr uint32_t kMagic = 0xe0f5e1e2;
inline constexpr uint32_t kFeatureChecksum = 1;  // compatible features
inline constexpr uint32_t kFeatureMtime = 2;

struct SuperBlock {
  uint32_t magic = kMagic;
  uint32_t checksum = 0;  // crc32c, start value ~0, of the block from here on with this field 0
  uint32_t feature_compat = kFeatureChecksum | kFeatureMtime;
  uint8_t block_bits = kBlockBits;
  uint8_t ext_slots = 0;
  uint16_t root_nid = 0;
  uint64_t inode_count = 0;
  uint64_t build_time = 0;  // also the time of every compact inode
  uint32_t build_time_nsec = 0;
  uint32_t blocks = 0;
  uint32_t meta_block = 0;
  uint32_t xattr_block = 0;
  uint8_t uuid[16] = {};
  uint8_t volume_name[16] = {};
  uint32_t feature_incompat = 0;
  uint8_t unused[44] = {};
};
static_assert(sizeof(SuperBlock) == 128);

enum class Layout : uint16_t { kFlatPlain = 0, kFlatInline = 2 };

// i_format: bit 0 is set for an extended inode, bits 1..3 are the data layout.
[[nodiscard]] constexpr uint16_t inode_format(bool extended, Layout layout) {
  return static_cast<uint16_t>((extended ? 1 : 0) | static_cast<uint16_t>(layout) << 1);
}

struct CompactInode {
  uint16_t format = 0;
  uint16_t xattr_count = 0;
  uint16_t mode = 0;
  uint16_t nlink = 0;
  uint32_t size = 0;
  uint32_t reserved = 0;
  uint32_t block_or_device = 0;  // first data block, or the device number
  uint32_t ino = 0;
  uint16_t uid = 0;
  uint16_t gid = 0;
  uint32_t reserved2 = 0;
};
static_assert(sizeof(CompactInode) == kSlotSize);

struct ExtendedInode {
  uint16_t format = 0;
  uint16_t xattr_count = 0;
  uint16_t mode = 0;
  uint16_t reserved = 0;
  uint64_t size = 0;
  uint32_t block_or_device = 0;
  uint32_t ino = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t mtime = 0;
  uint32_t mtime_nsec = 0;
  uint32_t nlink = 0;
  uint8_t reserved2[16] = {};
};
static_assert(sizeof(ExtendedInode) == size_t{2} * kSlotSize);

struct XattrHeader {
  uint32_t name_filter = 0;
  uint8_t shared_count = 0;
  uint8_t reserved[7] = {};
};
static_assert(sizeof(XattrHeader) == 12);

struct XattrEntry {  // followed by the name's suffix and the value, padded to 4 bytes
  uint8_t name_length = 0;
  uint8_t name_index = 0;
  uint16_t value_size = 0;
};
static_assert(sizeof(XattrEntry) == 4);

struct [[gnu::packed]] Dirent {
  uint64_t nid = 0;
  uint16_t name_offset = 0;
  uint8_t file_type = 0;  // FileType's values
  uint8_t reserved = 0;
};
static_assert(sizeof(Dirent) == 12);

template <class T>
  requires std::is_trivially_copyable_v<T>
void append(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace husk::oci::erofs
