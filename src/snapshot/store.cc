#include "snapshot/store.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/try.h"
#include "snapshot/store_entry.h"

namespace husk::snapshot {
namespace {

bool has_regions(const VmSnapshot& machine, const memory::GuestMemory& memory) {
  return std::ranges::equal(machine.memory_regions, memory.regions(),
                            [](const MemoryRegionSnapshot& stored, const memory::Region& region) {
                              return stored.guest_addr == region.start.value &&
                                     stored.size == region.size;
                            });
}

}  // namespace

Result<Store> Store::open(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    return fail_errno(directory, "cannot make the snapshot directory");
  struct stat st{};
  if (::stat(directory.c_str(), &st) != 0) return fail_errno(directory, "cannot stat");
  if (!S_ISDIR(st.st_mode))
    return fail(ErrorKind::kInvalidArgument, directory, "is not a directory");
  return Store(directory);
}

Result<std::string> Store::path_of(std::string_view name) const {
  if (!is_snapshot_name(name))
    return fail(ErrorKind::kInvalidArgument, std::string(name),
                "is no name for a snapshot: letters, digits, '.', '_' and '-', at most 200");
  return directory_ + "/" + file_of(name);
}

Result<base::Fd> Store::lock(int kind) const {
  const std::string path = directory_ + "/.lock";
  base::Fd fd = HUSK_TRY(base::open_file(path, O_RDWR | O_CREAT, "the store's lock", 0600));
  while (::flock(fd.get(), kind) != 0) {
    if (errno != EINTR) return fail_errno(path, "cannot lock the store");
  }
  return fd;
}

Result<base::Fd> Store::lock_shared() const { return lock(LOCK_SH); }

Result<std::vector<StoreEntry>> Store::entries() const {
  std::vector<StoreEntry> all;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory_, error), end; !error && it != end;
       it.increment(error)) {
    const auto name = name_of(it->path().filename().string());
    if (name) all.push_back(read_entry(*name, it->path().string()));
  }
  if (error) return fail(ErrorKind::kIo, directory_, "cannot be listed: " + error.message());
  std::ranges::sort(all, {}, &StoreEntry::name);
  name_parents(all);
  return all;
}

Result<std::vector<StoreEntry>> Store::list() const {
  const base::Fd held = HUSK_TRY(lock(LOCK_SH));
  return entries();
}

Result<StoreEntry> Store::inspect(std::string_view name) const {
  const std::string path = HUSK_TRY(path_of(name));
  for (StoreEntry& entry : HUSK_TRY(list())) {
    if (entry.name == name) return std::move(entry);
  }
  return fail(ErrorKind::kNotFound, path, "there is no such snapshot");
}

Result<std::vector<TreeEntry>> Store::tree() const { return as_tree(HUSK_TRY(list())); }

Result<Chain> Store::open_chain(std::string_view name) const {
  const std::string path = HUSK_TRY(path_of(name));
  const base::Fd held = HUSK_TRY(lock(LOCK_SH));
  return Chain::open(path);
}

Result<Sha256> Store::write_full(std::string_view name, const Contents& contents,
                                 const memory::GuestMemory& memory,
                                 const WriteOptions& options) const {
  const std::string path = HUSK_TRY(path_of(name));
  const base::Fd held = HUSK_TRY(lock(LOCK_SH));
  return snapshot::write_full(path, contents, memory, options);
}

Result<Sha256> Store::write_diff(std::string_view name, std::string_view parent,
                                 const Contents& contents, const memory::GuestMemory& memory,
                                 std::span<const Gpa> dirty, const WriteOptions& options) const {
  const std::string path = HUSK_TRY(path_of(name));
  const std::string parent_path = HUSK_TRY(path_of(parent));
  const base::Fd held = HUSK_TRY(lock(LOCK_SH));
  const Identified below = HUSK_TRY(read_future_parent(parent_path));
  if (!has_regions(below.manifest.machine, memory))
    return fail(ErrorKind::kInvalidArgument, parent_path, "is of a machine with other memory");
  return snapshot::write_diff(path, {below.id, file_of(parent)}, contents, memory, dirty, options);
}

Result<Sha256> Store::flatten(std::string_view name, std::string_view flat,
                              const WriteOptions& options) const {
  const std::string path = HUSK_TRY(path_of(flat));
  const Chain chain = HUSK_TRY(open_chain(name));
  const base::Fd held = HUSK_TRY(lock(LOCK_SH));
  return snapshot::flatten(chain, path, options);
}

Result<void> Store::remove(std::string_view name, bool force) const {
  const std::string path = HUSK_TRY(path_of(name));
  const base::Fd held = HUSK_TRY(lock(LOCK_EX));
  const auto all = HUSK_TRY(entries());
  const auto entry = std::ranges::find(all, name, &StoreEntry::name);
  if (entry == all.end()) return fail(ErrorKind::kNotFound, path, "there is no such snapshot");
  const auto child = std::ranges::find_if(
      all, [&](const StoreEntry& other) { return !entry->wrong && other.parent == entry->name; });
  if (child != all.end() && !force)
    return fail(ErrorKind::kState, path, fmt::format("'{}' builds on it", child->name));
  if (::unlink(path.c_str()) != 0) return fail_errno(path, "cannot be removed");
  return {};
}

Result<unsigned> Store::prune() const {
  const base::Fd held = HUSK_TRY(lock(LOCK_EX));
  return snapshot::prune(directory_);
}

}  // namespace husk::snapshot
