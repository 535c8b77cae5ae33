// For tests: reads a whole EROFS image back, checking what a kernel relies on as it goes.
#pragma once

#include <sys/stat.h>

#include <cstring>
#include <map>
#include <stdexcept>
#include <string>

#include "oci/erofs_format.h"

namespace husk::oci::testing {

struct ReadFile {
  unsigned mode = 0;  // with the type
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t nlink = 0;
  uint64_t mtime = 0;
  uint32_t mtime_nsec = 0;
  uint64_t nid = 0;
  uint32_t device = 0;
  bool extended = false;
  std::string content;                        // of a directory: its entries, encoded
  std::map<std::string, std::string> xattrs;  // by complete name
};

// Throws std::runtime_error where the image breaks the format.
class ErofsReader {
 public:
  explicit ErofsReader(std::string image) : image_(std::move(image)) {
    super_ = at<erofs::SuperBlock>(erofs::kSuperOffset);
    require(super_.magic == erofs::kMagic, "magic");
    require(image_.size() == uint64_t{super_.blocks} * erofs::kBlockSize, "size");
    walk("", super_.root_nid, super_.root_nid);
  }

  // By path; the root is "".
  [[nodiscard]] const std::map<std::string, ReadFile>& files() const { return files_; }
  [[nodiscard]] const erofs::SuperBlock& super() const { return super_; }

 private:
  static void require(bool holds, const std::string& what) {
    if (!holds) throw std::runtime_error("bad EROFS image: " + what);
  }
  template <class T>
  [[nodiscard]] T at(uint64_t offset) const {
    require(offset + sizeof(T) <= image_.size(), "offset");
    T value;
    std::memcpy(&value, image_.data() + offset, sizeof value);
    return value;
  }

  [[nodiscard]] ReadFile read_inode(uint64_t nid) const {
    const uint64_t offset = nid * erofs::kSlotSize;
    const auto head = at<erofs::CompactInode>(offset);
    ReadFile file;
    file.nid = nid;
    file.mode = head.mode;
    file.device = head.block_or_device;
    file.extended = (head.format & 1) != 0;
    uint64_t size = head.size;
    uint64_t end = offset + sizeof head;
    file.nlink = head.nlink;
    file.uid = head.uid;
    file.gid = head.gid;
    file.mtime = super_.build_time;
    file.mtime_nsec = super_.build_time_nsec;
    if (file.extended) {
      const auto full = at<erofs::ExtendedInode>(offset);
      end = offset + sizeof full;
      size = full.size;
      file.device = full.block_or_device;
      file.nlink = full.nlink;
      file.uid = full.uid;
      file.gid = full.gid;
      file.mtime = full.mtime;
      file.mtime_nsec = full.mtime_nsec;
    }
    if (head.xattr_count != 0) end = read_xattrs(end, head.xattr_count, file);
    if (S_ISREG(file.mode) || S_ISDIR(file.mode) || S_ISLNK(file.mode))
      file.content = read_data(head.format >> 1, file.device, size, end);
    return file;
  }

  uint64_t read_xattrs(uint64_t offset, uint32_t count, ReadFile& file) const {
    require(count > 1, "empty xattr area");
    const uint64_t end = offset + sizeof(erofs::XattrHeader) + uint64_t{count - 1} * 4;
    for (offset += sizeof(erofs::XattrHeader); offset < end;) {
      const auto entry = at<erofs::XattrEntry>(offset);
      static const std::map<int, std::string> kPrefixes{{1, "user."},
                                                        {2, "system.posix_acl_access"},
                                                        {3, "system.posix_acl_default"},
                                                        {4, "trusted."},
                                                        {6, "security."}};
      offset += sizeof entry;
      const std::string name =
          kPrefixes.at(entry.name_index) + image_.substr(offset, entry.name_length);
      file.xattrs[name] = image_.substr(offset + entry.name_length, entry.value_size);
      offset = (offset + entry.name_length + entry.value_size + 3) / 4 * 4;
    }
    require(offset == end, "xattr area");
    return end;
  }

  [[nodiscard]] std::string read_data(int layout, uint64_t block, uint64_t size,
                                      uint64_t inode_end) const {
    const uint64_t tail = layout == 2 ? size % erofs::kBlockSize : 0;
    require(layout == 0 || (layout == 2 && tail != 0), "layout");
    require(inode_end % erofs::kBlockSize + tail <= erofs::kBlockSize, "tail crosses a block");
    if (size == 0) return {};
    require(size == tail || block * erofs::kBlockSize + size - tail <= image_.size(), "data");
    std::string data = size == tail ? "" : image_.substr(block * erofs::kBlockSize, size - tail);
    return data + image_.substr(inode_end, tail);
  }

  void walk(const std::string& path, uint64_t nid, uint64_t parent) {
    ReadFile directory = read_inode(nid);
    const std::string data = directory.content;
    files_[path] = std::move(directory);
    std::string previous;
    for (uint64_t block = 0; block < data.size(); block += erofs::kBlockSize)
      walk_block(path, data.substr(block, erofs::kBlockSize), nid, parent, previous);
  }

  void walk_block(const std::string& path, const std::string& block, uint64_t nid, uint64_t parent,
                  std::string& previous) {
    erofs::Dirent first;
    std::memcpy(&first, block.data(), sizeof first);
    const size_t count = first.name_offset / sizeof(erofs::Dirent);
    for (size_t i = 0; i < count; ++i) {
      erofs::Dirent entry[2] = {};
      std::memcpy(entry, block.data() + i * sizeof first, sizeof first * (i + 1 < count ? 2 : 1));
      const size_t end = i + 1 < count ? entry[1].name_offset : block.size();
      const std::string name =
          block.substr(entry[0].name_offset, end - entry[0].name_offset).c_str();
      require(name > previous, "order of names");
      previous = name;
      if (name == ".") require(entry[0].nid == nid, "'.'");
      if (name == "..") require(entry[0].nid == parent, "'..'");
      if (name != "." && name != "..")
        add(path.empty() ? name : std::string(path).append("/").append(name), entry[0], nid);
    }
  }

  void add(const std::string& path, const erofs::Dirent& entry, uint64_t parent) {
    if (entry.file_type == 2) {
      walk(path, entry.nid, parent);
    } else {
      files_[path] = read_inode(entry.nid);
    }
    constexpr unsigned kTypes[8] = {0,       S_IFREG, S_IFDIR,  S_IFCHR,
                                    S_IFBLK, S_IFIFO, S_IFSOCK, S_IFLNK};
    require((files_[path].mode & S_IFMT) == kTypes[entry.file_type & 7], "entry's type");
  }

  std::string image_;
  erofs::SuperBlock super_;
  std::map<std::string, ReadFile> files_;
};

}  // namespace husk::oci::testing
