#include "oci/erofs_writer.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "base/checked.h"
#include "base/fd.h"
#include "base/try.h"
#include "oci/crc32c.h"
#include "oci/erofs_directory.h"
#include "oci/erofs_plan.h"

namespace husk::oci {
namespace {

using namespace erofs;

constexpr size_t kCopySize = size_t{1} << 20;
constexpr uint32_t kChecksummed = kBlockSize - kSuperOffset;

uint16_t unix_mode(const Inode& inode) {
  constexpr std::array<uint16_t, 8> kTypes{0,       S_IFREG, S_IFDIR, S_IFCHR,
                                           S_IFBLK, S_IFIFO, 0,       S_IFLNK};
  return static_cast<uint16_t>(kTypes[static_cast<size_t>(inode.type)] |
                               inode.attributes.permissions);
}

// Linux's new_encode_dev().
uint32_t encoded_device(const Inode& inode) {
  return (inode.device_minor & 0xff) | inode.device_major << 8 |
         (inode.device_minor & ~0xffu) << 12;
}

uint16_t xattr_count(uint32_t encoded) {
  if (encoded == 0) return 0;
  return static_cast<uint16_t>((encoded - sizeof(XattrHeader)) / sizeof(XattrEntry) + 1);
}

// The checksum's field itself counts as zero.
uint32_t block_checksum(std::string block_from_super) {
  std::memset(block_from_super.data() + offsetof(SuperBlock, checksum), 0, sizeof(uint32_t));
  return crc32c(~0u, block_from_super);
}

class Writer {
 public:
  Writer(const Tree& tree, const Spool& spool, int fd, const std::string& subject)
      : tree_(tree), spool_(spool), fd_(fd), subject_(subject), buffer_(kCopySize) {}

  Result<void> run(const std::array<uint8_t, 16>& uuid) {
    plan_ = HUSK_TRY(make_plan(tree_));
    if (::ftruncate(fd_, static_cast<off_t>(plan_.total_blocks) * kBlockSize) != 0)
      return fail_errno(subject_, "cannot write the root image");
    for (uint32_t i = 0; i < plan_.inodes.size(); ++i) HUSK_TRY(write_inode(i));
    return write_super_block(uuid);
  }

 private:
  Result<void> write(uint64_t offset, std::span<const std::byte> data) {
    return base::write_exact(fd_, data, offset, subject_);
  }
  Result<void> write(uint64_t offset, std::string_view data) {
    return write(offset, std::as_bytes(std::span(data)));
  }

  Result<void> write_inode(uint32_t index) {
    const PlannedInode& planned = plan_.inodes[index];
    const Inode& inode = tree_.inode(planned.id);
    std::string record = inode_core(planned, inode, index);
    append_encoded(inode.attributes.xattrs, record);
    const uint64_t whole = planned.size - planned.tail();  // bytes that are in data blocks
    const uint64_t data = uint64_t{planned.block} * kBlockSize;
    if (inode.type == FileType::kRegular) {
      HUSK_TRY(append_tail(inode, whole, record));
      HUSK_TRY(copy_blocks(inode, whole, data));
    } else {
      const std::string bytes = small_content(index, inode);
      record.append(bytes, whole);
      HUSK_TRY(write(data, std::string_view(bytes).substr(0, whole)));
    }
    return write(planned.offset, record);
  }

  std::string inode_core(const PlannedInode& planned, const Inode& inode, uint32_t index) const {
    const Attributes& attributes = inode.attributes;
    const bool is_device =
        inode.type == FileType::kCharDevice || inode.type == FileType::kBlockDevice;
    const uint32_t block_or_device = is_device ? encoded_device(inode) : planned.block;
    std::string core;
    if (planned.extended)
      append(core, ExtendedInode{.format = inode_format(true, planned.layout),
                                 .xattr_count = xattr_count(planned.xattr_size),
                                 .mode = unix_mode(inode),
                                 .size = planned.size,
                                 .block_or_device = block_or_device,
                                 .ino = index + 1,
                                 .uid = attributes.uid,
                                 .gid = attributes.gid,
                                 .mtime = static_cast<uint64_t>(attributes.mtime.seconds),
                                 .mtime_nsec = attributes.mtime.nanoseconds,
                                 .nlink = planned.nlink});
    else
      append(core, CompactInode{.format = inode_format(false, planned.layout),
                                .xattr_count = xattr_count(planned.xattr_size),
                                .mode = unix_mode(inode),
                                .nlink = static_cast<uint16_t>(planned.nlink),
                                .size = static_cast<uint32_t>(planned.size),
                                .block_or_device = block_or_device,
                                .ino = index + 1,
                                .uid = static_cast<uint16_t>(attributes.uid),
                                .gid = static_cast<uint16_t>(attributes.gid)});
    return core;
  }

  Result<void> append_tail(const Inode& inode, uint64_t whole, std::string& record) const {
    const size_t begin = record.size();
    record.resize(begin + (inode.content.size - whole));
    return spool_.read(inode.content.offset + whole,
                       std::as_writable_bytes(std::span(record)).subspan(begin));
  }

  Result<void> copy_blocks(const Inode& inode, uint64_t whole, uint64_t target) {
    const uint64_t source = inode.content.offset;
    return spool_.for_each_data(
        source, whole, buffer_,
        [&](uint64_t offset, std::span<const std::byte> bytes) -> Result<void> {
          return write(target + (offset - source), bytes);
        });
  }

  std::string small_content(uint32_t index, const Inode& inode) const {
    if (inode.type == FileType::kSymlink) return inode.target;
    if (inode.type != FileType::kDirectory) return {};
    auto entries = sorted_entries(inode);
    for (DirectoryEntry& entry : entries) {
      const uint32_t target = entry_target(index, inode, entry.name);
      entry.nid = plan_.inodes[target].nid();
      entry.type = tree_.inode(plan_.inodes[target].id).type;
    }
    return encode_directory(entries);
  }

  uint32_t entry_target(uint32_t index, const Inode& directory, std::string_view name) const {
    if (name == ".") return index;
    if (name == "..") return plan_.inodes[index].parent;
    return plan_.index_of[directory.children.find(name)->second];
  }

  Result<void> write_super_block(const std::array<uint8_t, 16>& uuid) {
    SuperBlock super{.root_nid = static_cast<uint16_t>(plan_.inodes[0].nid()),
                     .inode_count = plan_.inodes.size(),
                     .build_time = static_cast<uint64_t>(plan_.build_time.seconds),
                     .build_time_nsec = plan_.build_time.nanoseconds,
                     .blocks = plan_.total_blocks,
                     .volume_name = {'h', 'u', 's', 'k'}};
    std::copy(uuid.begin(), uuid.end(), super.uuid);
    std::string block(kChecksummed, '\0');
    HUSK_TRY(
        base::read_exact(fd_, std::as_writable_bytes(std::span(block)), kSuperOffset, subject_));
    std::memcpy(block.data(), &super, sizeof super);
    super.checksum = block_checksum(block);
    std::memcpy(block.data(), &super, sizeof super);
    return write(kSuperOffset, block);
  }

  const Tree& tree_;
  const Spool& spool_;
  const int fd_;
  const std::string& subject_;
  std::vector<std::byte> buffer_;
  Plan plan_;
};

}  // namespace

Result<void> write_root_image(const Tree& tree, const Spool& spool,
                              const std::array<uint8_t, 16>& uuid, int fd,
                              const std::string& subject) {
  return Writer(tree, spool, fd, subject).run(uuid);
}

Result<void> check_root_image(int fd, const std::string& subject) {
  struct stat st{};
  if (::fstat(fd, &st) != 0) return fail_errno(subject, "cannot stat the root image");
  std::string block(kChecksummed, '\0');
  HUSK_TRY(base::read_exact(fd, std::as_writable_bytes(std::span(block)), kSuperOffset, subject));
  SuperBlock super;
  std::memcpy(&super, block.data(), sizeof super);
  if (super.magic != kMagic || super.checksum != block_checksum(block))
    return fail(ErrorKind::kCorrupt, subject, "not a root image");
  if (static_cast<uint64_t>(st.st_size) != uint64_t{super.blocks} * kBlockSize)
    return fail(ErrorKind::kCorrupt, subject, "the root image is not complete");
  return {};
}

}  // namespace husk::oci
