// Files that exist for the kernel but have no name: nothing to clean up whenever the process ends.
// Where the file system has no O_TMPFILE, a locked name that the next user sweeps away.
#pragma once

#include <string>

#include "base/fd.h"

namespace husk::base {

// A nameless read-write file in `directory`.
[[nodiscard]] Result<Fd> open_scratch_file(const std::string& directory);

// Removes what dead makers of named files left in `directory`; says how many there were.
unsigned sweep_temp_files(const std::string& directory);

// A file under construction, which gets its name only when it is complete. Move-only.
class TempFile {
 public:
  [[nodiscard]] static Result<TempFile> create(const std::string& directory);
  // The fallback of create(): a hidden name, locked by its maker. Removes such files of dead
  // makers.
  [[nodiscard]] static Result<TempFile> create_named(const std::string& directory);
  ~TempFile();
  TempFile(TempFile&& other) noexcept
      : fd_(std::move(other.fd_)), name_(std::exchange(other.name_, {})) {}
  TempFile& operator=(TempFile&&) = delete;

  [[nodiscard]] int fd() const { return fd_.get(); }

  // Makes the content durable and read-only, then gives it the name `path` (same file system) in
  // one step, and makes the name durable. False, and no change, when that name exists.
  [[nodiscard]] Result<bool> publish(const std::string& path);
  // The same, in place of a file that has the name, which then has none: at every moment one of
  // them has it.
  [[nodiscard]] Result<void> replace(const std::string& path);

 private:
  [[nodiscard]] Result<void> complete(const std::string& path) const;
  TempFile(Fd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

  Fd fd_;
  std::string name_;  // of the fallback, else empty
};

}  // namespace husk::base
