// The cache of root images: one directory, one read-only file per image, complete or absent.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/fd.h"
#include "oci/digest.h"

namespace husk::oci {

// $HUSK_CACHE, else $XDG_CACHE_HOME/husk, else $HOME/.cache/husk. Empty and, as the XDG
// specification wants, relative values of the latter two do not count. Nothing is created.
[[nodiscard]] Result<std::string> default_cache_directory();

class Cache {
 public:
  // Creates DIRECTORY/images (mode 0700) where it is missing.
  [[nodiscard]] static Result<Cache> open(const std::string& directory);

  [[nodiscard]] const std::string& images() const { return images_; }
  // images/sha256-HEX-vN.erofs, N being the version of the root image's format.
  [[nodiscard]] std::string path_of(const Digest& digest) const;

  // The entry, open for reading and held (base/held_file.h), if there is one; an entry that is not
  // complete is removed and counts as absent.
  [[nodiscard]] Result<std::optional<base::Fd>> find(const Digest& digest) const;

  // Lets `build` write the entry to an empty nameless file and then gives it its name. A builder
  // that fails or dies leaves nothing; where another was faster, its entry stays. Returns the
  // entry.
  [[nodiscard]] Result<base::Fd> add(const Digest& digest,
                                     const std::function<Result<void>(int fd)>& build) const;

 private:
  explicit Cache(std::string images) : images_(std::move(images)) {}

  std::string images_;
};

}  // namespace husk::oci
