// Where a snapshot is that a user named: a name is in the user's store, a path (anything with a
// slash) is a file, its parents beside it.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "husk/error.h"

#include "snapshot/store.h"

namespace husk::snapshot {

// $HUSK_SNAPSHOTS, else $XDG_DATA_HOME/husk/snapshots, else $HOME/.local/share/husk/snapshots; for
// root /var/lib/husk/snapshots in place of the last two. As the XDG specification wants, relative
// values of its variable do not count.
[[nodiscard]] Result<std::string> default_store_directory();
// Makes it, with all directories above.
[[nodiscard]] Result<Store> open_default_store();

class Location {
 public:
  // kInvalidArgument for what is neither a name nor a path. Nothing needs to be there yet. A name
  // is in `store`; empty: in the default one.
  [[nodiscard]] static Result<Location> parse(const std::string& text,
                                              const std::string& store = {});

  [[nodiscard]] const std::string& text() const { return text_; }  // as the user wrote it
  [[nodiscard]] const std::string& path() const { return path_; }  // absolute
  [[nodiscard]] std::string directory() const;                     // that it lies in
  [[nodiscard]] std::string file() const;                          // its name there

  // As the store's or the free functions of the same names; in the store, under its lock.
  [[nodiscard]] Result<Chain> open_chain() const;
  [[nodiscard]] Result<Sha256> write_full(const Contents& contents,
                                          const memory::GuestMemory& memory,
                                          const WriteOptions& options) const;
  // On a parent in the same directory, whose file still is the one that `parent` tells.
  [[nodiscard]] Result<Sha256> write_diff(const Parent& parent, const Contents& contents,
                                          const memory::GuestMemory& memory,
                                          std::span<const Gpa> dirty,
                                          const WriteOptions& options) const;
  [[nodiscard]] Result<Sha256> write_flat(const Chain& chain, const WriteOptions& options) const;

 private:
  Location(std::string text, std::string path, std::optional<Store> store)
      : text_(std::move(text)), path_(std::move(path)), store_(std::move(store)) {}
  [[nodiscard]] Result<base::Fd> lock() const;  // invalid, outside the store

  std::string text_, path_;
  std::optional<Store> store_;
};

}  // namespace husk::snapshot
