#include "oci/tree.h"

#include <algorithm>
#include <vector>

#include "base/try.h"
#include "oci/entry_path.h"
#include "oci/limits.h"

namespace husk::oci {

// One lookup from the root: the directories passed so far and the components still to come, last
// first.
class Tree::Walk {
 public:
  Walk(const Tree& tree, std::string_view path) : tree_(tree), path_(path), trail_{tree.root()} {
    push(path);
  }

  // Goes on until a component is missing (then `missing` is its name) or none is left.
  [[nodiscard]] Result<void> run(std::string& missing) {
    while (!pending_.empty()) {
      if (++steps_ > kMaxWalkSteps) return refuse("too many symbolic links on the way");
      const std::string name = std::move(pending_.back());
      pending_.pop_back();
      if (name == "..") {
        if (trail_.size() > 1) trail_.pop_back();
        continue;
      }
      const auto& children = tree_.inode(here()).children;
      const auto child = children.find(name);
      if (child == children.end()) {
        missing = name;
        return {};
      }
      HUSK_TRY(enter(child->second, name));
    }
    return {};
  }

  [[nodiscard]] InodeId here() const { return trail_.back(); }
  void created(InodeId directory) { trail_.push_back(directory); }

 private:
  [[nodiscard]] Result<void> enter(InodeId id, const std::string& name) {
    const Inode& inode = tree_.inode(id);
    if (inode.type == FileType::kDirectory) {
      trail_.push_back(id);
      return {};
    }
    if (inode.type != FileType::kSymlink)
      return refuse("its parent '" + printable(name) + "' is not a directory");
    if (++hops_ > kMaxSymlinkHops) return refuse("too many symbolic links on the way");
    if (inode.target.starts_with('/')) trail_.resize(1);
    push(inode.target);
    return {};
  }

  void push(std::string_view path) {
    while (!path.empty()) {
      const size_t slash = path.rfind('/');
      const std::string_view last = slash == std::string_view::npos ? path : path.substr(slash + 1);
      path = path.substr(0, slash == std::string_view::npos ? 0 : slash);
      if (!last.empty() && last != ".") pending_.emplace_back(last);
    }
  }

  [[nodiscard]] std::unexpected<Error> refuse(const std::string& why) const {
    return fail(ErrorKind::kCorrupt, printable(path_), why);
  }

  const Tree& tree_;
  std::string_view path_;
  std::vector<InodeId> trail_;
  std::vector<std::string> pending_;
  size_t steps_ = 0;
  int hops_ = 0;
};

Tree::Tree(uint64_t max_inodes) : max_inodes_(std::min<uint64_t>(max_inodes, UINT32_MAX)) {
  inodes_.emplace_back();
}

Result<InodeId> Tree::add(Inode inode) {
  if (inodes_.size() >= max_inodes_)
    return fail(ErrorKind::kLimit, "image", "the image has too many files");
  inodes_.push_back(std::move(inode));
  return static_cast<InodeId>(inodes_.size() - 1);
}

void Tree::set_child(InodeId directory, std::string_view name, InodeId child) {
  inodes_[directory].children[std::string(name)] = child;
}

Result<std::optional<InodeId>> Tree::find_directory(std::string_view path) const {
  Walk walk(*this, path);
  std::string missing;
  HUSK_TRY(walk.run(missing));
  if (!missing.empty()) return std::nullopt;
  return walk.here();
}

Result<InodeId> Tree::make_directory(std::string_view path) {
  Walk walk(*this, path);
  while (true) {
    std::string missing;
    HUSK_TRY(walk.run(missing));
    if (missing.empty()) return walk.here();
    if (missing.size() > kMaxNameLength)
      return fail(ErrorKind::kLimit, printable(path),
                  "a symbolic link on the way has a name longer than 255 bytes");
    const InodeId created = HUSK_TRY(add(Inode{}));
    set_child(walk.here(), missing, created);
    walk.created(created);
  }
}

std::optional<InodeId> Tree::find(std::string_view path) const {
  if (path.empty()) return root();
  const auto parent = find_directory(parent_path(path));
  if (!parent || !*parent) return std::nullopt;
  const auto& children = inode(**parent).children;
  const auto found = children.find(base_name(path));
  if (found == children.end()) return std::nullopt;
  return found->second;
}

Result<void> Tree::put(std::string_view path, Inode inode) {
  if (path.empty()) {
    if (inode.type != FileType::kDirectory)
      return fail(ErrorKind::kCorrupt, "/", "the root is not a directory");
    inodes_[root()].attributes = std::move(inode.attributes);
    return {};
  }
  const InodeId parent = HUSK_TRY(make_directory(parent_path(path)));
  const auto& children = inodes_[parent].children;
  const auto existing = children.find(base_name(path));
  if (existing != children.end() && inode.type == FileType::kDirectory &&
      inodes_[existing->second].type == FileType::kDirectory) {
    inodes_[existing->second].attributes = std::move(inode.attributes);
    return {};
  }
  set_child(parent, base_name(path), HUSK_TRY(add(std::move(inode))));
  return {};
}

Result<void> Tree::link(std::string_view path, std::string_view target) {
  const auto found = find(target);
  if (!found)
    return fail(ErrorKind::kCorrupt, printable(path),
                "a hard link to '" + printable(target) + "', which does not exist");
  if (inode(*found).type == FileType::kDirectory)
    return fail(ErrorKind::kCorrupt, printable(path),
                "a hard link to '" + printable(target) + "', which is a directory");
  if (path.empty()) return fail(ErrorKind::kCorrupt, "/", "the root is not a directory");
  set_child(HUSK_TRY(make_directory(parent_path(path))), base_name(path), *found);
  return {};
}

void Tree::remove(std::string_view path) {
  const auto parent = find_directory(parent_path(path));
  if (!parent || !*parent) return;
  auto& children = inodes_[**parent].children;
  const auto found = children.find(base_name(path));
  if (found != children.end()) children.erase(found);
}

void Tree::clear(std::string_view path) {
  const auto directory = find_directory(path);
  if (directory && *directory) inodes_[**directory].children.clear();
}

}  // namespace husk::oci
