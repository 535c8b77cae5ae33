// A BlockStore over a raw file or a block device of the host.
#pragma once

#include <memory>
#include <string>

#include "base/fd.h"
#include "contract/block_store.h"

namespace husk::virtio {

class FileStore : public contract::BlockStore {
 public:
  // Locks the file against other machines: shared to read, exclusive to write. Errors name it.
  [[nodiscard]] static Result<std::unique_ptr<FileStore>> open(const std::string& path,
                                                               bool read_only);

  [[nodiscard]] uint64_t size() const override { return size_; }
  [[nodiscard]] bool read_only() const override { return read_only_; }
  [[nodiscard]] Result<void> read(uint64_t offset, std::span<std::byte> out) override;
  [[nodiscard]] Result<void> write(uint64_t offset, std::span<const std::byte> in) override;
  [[nodiscard]] Result<void> flush() override;
  [[nodiscard]] Result<void> discard(uint64_t offset, uint64_t length) override;
  [[nodiscard]] Result<void> write_zeroes(uint64_t offset, uint64_t length, bool unmap) override;

 private:
  FileStore(base::Fd fd, std::string path, uint64_t size, bool read_only)
      : fd_(std::move(fd)), path_(std::move(path)), size_(size), read_only_(read_only) {}

  base::Fd fd_;
  std::string path_;
  uint64_t size_;
  bool read_only_;
};

}  // namespace husk::virtio
