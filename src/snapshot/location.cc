#include "snapshot/location.h"

#include <unistd.h>

#include <filesystem>

#include "base/directories.h"
#include "base/try.h"

namespace husk::snapshot {
Result<std::string> default_store_directory() {
  if (auto directory = base::environment("HUSK_SNAPSHOTS"); !directory.empty()) return directory;
  if (::geteuid() == 0) return "/var/lib/husk/snapshots";
  return HUSK_TRY(base::default_directory("snapshot directory", "HUSK_SNAPSHOTS", "XDG_DATA_HOME",
                                          ".local/share")) +
         "/snapshots";
}

Result<Store> open_default_store() {
  const std::string directory =
      std::filesystem::absolute(HUSK_TRY(default_store_directory())).lexically_normal().string();
  HUSK_TRY(base::make_directories(directory, "snapshot directory"));
  return Store::open(directory);
}

Result<Location> Location::parse(const std::string& text, const std::string& directory) {
  if (text.find('/') == std::string::npos) {
    Store store = HUSK_TRY(directory.empty() ? open_default_store() : Store::open(directory));
    std::string path = HUSK_TRY(store.path_of(text));
    return Location(text, std::move(path), std::move(store));
  }
  const auto path = std::filesystem::absolute(text).lexically_normal();
  if (!path.has_filename()) return fail(ErrorKind::kInvalidArgument, text, "names no file");
  return Location(text, path.string(), std::nullopt);
}

std::string Location::directory() const {
  return std::filesystem::path(path_).parent_path().string();
}
std::string Location::file() const { return std::filesystem::path(path_).filename().string(); }

Result<base::Fd> Location::lock() const {
  if (!store_) return base::Fd();
  return store_->lock_shared();
}

Result<Chain> Location::open_chain() const {
  const base::Fd held = HUSK_TRY(lock());
  return Chain::open(path_);
}

Result<Sha256> Location::write_full(const Contents& contents, const memory::GuestMemory& memory,
                                    const WriteOptions& options) const {
  const base::Fd held = HUSK_TRY(lock());
  return snapshot::write_full(path_, contents, memory, options);
}

Result<Sha256> Location::write_diff(const Parent& parent, const Contents& contents,
                                    const memory::GuestMemory& memory, std::span<const Gpa> dirty,
                                    const WriteOptions& options) const {
  const base::Fd held = HUSK_TRY(lock());
  const std::string parent_path = directory() + "/" + parent.file;
  const Identified below = HUSK_TRY(read_future_parent(parent_path));
  if (below.id != parent.id)
    return fail(ErrorKind::kState, parent_path,
                "is another snapshot now than the one that the machine goes on from");
  return snapshot::write_diff(path_, parent, contents, memory, dirty, options);
}

Result<Sha256> Location::write_flat(const Chain& chain, const WriteOptions& options) const {
  const base::Fd held = HUSK_TRY(lock());
  return flatten(chain, path_, options);
}

}  // namespace husk::snapshot
