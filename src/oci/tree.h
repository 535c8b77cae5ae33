// The merged root of an image: a file tree in memory. Nothing here touches the host's file system,
// so no name, link or device in an image can reach out of it.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "husk/error.h"

#include "oci/inode.h"

namespace husk::oci {

// Paths are as clean_entry_path() makes them: no "." or "..", no leading slash, "" for the root.
//
// Parents that are symbolic links are followed inside the tree, as Docker and containerd do when
// they unpack: an absolute target starts at the tree's root, ".." stops there, and at most
// kMaxSymlinkHops links are followed. The last component is never followed. Errors have the path as
// their subject.
class Tree {
 public:
  // kLimit where a call would need more inodes than `max_inodes`, replaced ones included.
  explicit Tree(uint64_t max_inodes);

  [[nodiscard]] InodeId root() const { return 0; }
  [[nodiscard]] const Inode& inode(InodeId id) const { return inodes_[id]; }

  // Where `path` leads, or nothing.
  [[nodiscard]] std::optional<InodeId> find(std::string_view path) const;

  // Puts `inode` (without children) at `path`, creating missing parents as 0755 root:root. A
  // directory put over a directory replaces its attributes and keeps its children; everything else
  // replaces what was there, whole (layer.md, "Changeset over existing files").
  [[nodiscard]] Result<void> put(std::string_view path, Inode inode);

  // A second name for what `target` leads to, which exists and is not a directory.
  [[nodiscard]] Result<void> link(std::string_view path, std::string_view target);

  // Removes what is at `path`, or the children of the directory there; nothing there is no error.
  void remove(std::string_view path);
  void clear(std::string_view path);

 private:
  class Walk;

  [[nodiscard]] Result<std::optional<InodeId>> find_directory(std::string_view path) const;
  [[nodiscard]] Result<InodeId> make_directory(std::string_view path);
  [[nodiscard]] Result<InodeId> add(Inode inode);
  void set_child(InodeId directory, std::string_view name, InodeId child);

  // Inodes that lost their last name stay until the tree goes: their number is bounded by the
  // entries read.
  std::deque<Inode> inodes_;
  uint64_t max_inodes_;
};

}  // namespace husk::oci
