// A byte source over an open file, read by position so that several may share one descriptor.
#pragma once

#include <string>

#include "base/fd.h"
#include "oci/byte_source.h"

namespace husk::oci {

class FileSource final : public ByteSource {
 public:
  // Reads [offset, end of file) of a descriptor that the caller keeps open.
  FileSource(int fd, uint64_t offset, std::string subject);
  // Owns the descriptor; reads from its start.
  FileSource(base::Fd fd, std::string subject);

  [[nodiscard]] Result<size_t> read(std::span<std::byte> buffer) override;
  // Never passes the end of the file, so that a truncated archive is seen as one.
  [[nodiscard]] Result<uint64_t> skip(uint64_t count) override;

 private:
  base::Fd owned_;
  int fd_;
  uint64_t offset_ = 0;
  std::string subject_;
};

// Opens a regular file; a FIFO or device is refused without waiting for it.
[[nodiscard]] Result<base::Fd> open_regular_file(const std::string& path, const std::string& role);

}  // namespace husk::oci
