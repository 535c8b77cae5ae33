#include "oci/mount_points.h"

#include "base/try.h"

namespace husk::oci {
namespace {

Result<void> add_if_absent(Tree& tree, std::string_view path, FileType type, uint16_t permissions) {
  if (tree.find(path)) return {};
  Inode inode;
  inode.type = type;
  inode.attributes.permissions = permissions;
  return tree.put(path, std::move(inode));
}

}  // namespace

Result<void> add_mount_points(Tree& tree) {
  for (const std::string_view path : {"dev", "etc", "proc", "run", "sys"})
    HUSK_TRY(add_if_absent(tree, path, FileType::kDirectory, 0755));
  HUSK_TRY(add_if_absent(tree, "tmp", FileType::kDirectory, 01777));
  for (const std::string_view path : {"etc/hostname", "etc/hosts", "etc/resolv.conf"}) {
    auto added = add_if_absent(tree, path, FileType::kRegular, 0644);
    if (!added && added.error().kind != ErrorKind::kCorrupt) return added;
  }
  return {};
}

}  // namespace husk::oci
