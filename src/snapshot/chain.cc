#include "snapshot/chain.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "base/try.h"
#include "snapshot/header.h"

namespace husk::snapshot {
namespace {

namespace fs = std::filesystem;

// By the header alone; what has none is not it.
bool has_id(const std::string& path, const Sha256& id) {
  const auto fd = open_snapshot(path);
  if (!fd) return false;
  const auto header = read_header(fd->get(), path);
  return header && header->id == id;
}

Result<std::string> find_parent(const SnapshotFile& child, const Sha256& id) {
  const fs::path directory = fs::path(child.path()).parent_path();
  const std::string hinted = (directory / *child.manifest().parent_file).string();
  if (has_id(hinted, id)) return hinted;
  std::error_code error;
  for (fs::directory_iterator it(directory.empty() ? "." : directory, error), end;
       !error && it != end; it.increment(error)) {
    if (has_id(it->path().string(), id)) return it->path().string();
  }
  return fail(ErrorKind::kNotFound, child.path(),
              fmt::format("its parent '{}' ({}) is not beside it", *child.manifest().parent_file,
                          to_hex(id).substr(0, 12)));
}

Result<void> check_link(const SnapshotFile& parent, const SnapshotFile& child, const Sha256& id) {
  if (parent.id() != id)
    return fail(ErrorKind::kState, parent.path(), "was replaced while it was opened");
  const VmSnapshot& below = parent.manifest().machine;
  const VmSnapshot& above = child.manifest().machine;
  if (below.arch != above.arch || below.memory_regions != above.memory_regions)
    return fail(ErrorKind::kCorrupt, child.path(),
                "has another architecture or other memory than its parent " + parent.path());
  return {};
}

}  // namespace

Result<Chain> Chain::open(const std::string& path) {
  std::vector<SnapshotFile> links;
  links.push_back(HUSK_TRY(SnapshotFile::open(path)));
  // An id is a digest over the parent's id, so that no chain can close into a ring; the limit would
  // end one all the same.
  while (links.back().is_diff()) {
    if (links.size() == kMaxChain)
      return fail(ErrorKind::kLimit, path, fmt::format("builds on more than {} others", kMaxChain));
    const auto id = from_hex(*links.back().manifest().machine.parent_id);
    const std::string parent = HUSK_TRY(find_parent(links.back(), *id));
    links.push_back(HUSK_TRY(SnapshotFile::open(parent)));
    HUSK_TRY(check_link(links.back(), links[links.size() - 2], *id));
  }
  std::ranges::reverse(links);
  return Chain(std::move(links));
}

std::vector<Extent> Chain::extents() const {
  std::vector<Extent> all;
  for (auto link = links_.rbegin(); link != links_.rend(); ++link) all = lay_under(all, *link);
  return all;
}

}  // namespace husk::snapshot
