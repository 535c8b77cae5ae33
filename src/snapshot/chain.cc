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

Result<std::string> find_parent(const std::string& path, const Manifest& child) {
  const auto id = from_hex(*child.machine.parent_id);  // it was checked
  const fs::path directory = fs::path(path).parent_path();
  const std::string hinted = (directory / *child.parent_file).string();
  if (has_id(hinted, *id)) return hinted;
  std::error_code error;
  for (fs::directory_iterator it(directory.empty() ? "." : directory, error), end;
       !error && it != end; it.increment(error)) {
    if (has_id(it->path().string(), *id)) return it->path().string();
  }
  return fail(ErrorKind::kNotFound, path,
              fmt::format("its parent '{}' ({}) is not beside it", *child.parent_file,
                          to_hex(*id).substr(0, 12)));
}

std::unexpected<Error> too_long(const std::string& path) {
  return fail(ErrorKind::kLimit, path, fmt::format("a chain of more than {} snapshots", kMaxChain));
}

Result<void> check_link(const SnapshotFile& parent, const SnapshotFile& child) {
  if (to_hex(parent.id()) != child.manifest().machine.parent_id)
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
    if (links.size() == kMaxChain) return too_long(path);
    const std::string parent = HUSK_TRY(find_parent(links.back().path(), links.back().manifest()));
    links.push_back(HUSK_TRY(SnapshotFile::open(parent)));
    HUSK_TRY(check_link(links.back(), links[links.size() - 2]));
  }
  std::ranges::reverse(links);
  return Chain(std::move(links));
}

Result<Identified> read_future_parent(const std::string& path) {
  Identified parent = HUSK_TRY(read_manifest(path));
  std::string last = path;
  Manifest manifest = parent.manifest;
  for (size_t links = 1; manifest.machine.parent_id; ++links) {
    if (links + 1 >= kMaxChain) return too_long(path);
    last = HUSK_TRY(find_parent(last, manifest));
    manifest = HUSK_TRY(read_manifest(last)).manifest;
  }
  return parent;
}

std::vector<Extent> Chain::extents() const {
  std::vector<Extent> all;
  for (auto link = links_.rbegin(); link != links_.rend(); ++link) all = lay_under(all, *link);
  return all;
}

}  // namespace husk::snapshot
