#include "snapshot/location.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/try.h"

namespace husk::snapshot {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

Result<void> make_directories(const std::filesystem::path& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  if (errno != ENOENT || path.parent_path() == path || path.parent_path().empty())
    return fail_errno(path, "cannot make the snapshot directory");
  HUSK_TRY(make_directories(path.parent_path()));
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return fail_errno(path, "cannot make the snapshot directory");
}

}  // namespace

Result<std::string> default_store_directory() {
  if (auto directory = environment("HUSK_SNAPSHOTS"); !directory.empty()) return directory;
  if (::geteuid() == 0) return "/var/lib/husk/snapshots";
  if (const auto data = environment("XDG_DATA_HOME"); data.starts_with('/'))
    return data + "/husk/snapshots";
  if (const auto home = environment("HOME"); home.starts_with('/'))
    return home + "/.local/share/husk/snapshots";
  return fail(ErrorKind::kNotFound, "snapshot directory",
              "none of HUSK_SNAPSHOTS, XDG_DATA_HOME and HOME is set");
}

Result<Store> open_default_store() {
  const std::string directory =
      std::filesystem::absolute(HUSK_TRY(default_store_directory())).lexically_normal().string();
  HUSK_TRY(make_directories(directory));
  return Store::open(directory);
}

Result<Location> Location::parse(const std::string& text) {
  if (text.find('/') == std::string::npos) {
    Store store = HUSK_TRY(open_default_store());
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
