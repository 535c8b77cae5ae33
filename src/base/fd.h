// Owners of file descriptors and of memory mappings.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "husk/error.h"

namespace husk::base {

// Owns one descriptor; closes it. Move-only; -1 means none.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset();

 private:
  int fd_ = -1;
};

// open(2) with O_CLOEXEC; the error names the path and `role` ("kernel", "disk", ...).
[[nodiscard]] Result<Fd> open_file(const std::string& path, int flags, const std::string& role,
                                   unsigned mode = 0);
// The whole file, refused beyond `limit` bytes.
[[nodiscard]] Result<std::string> read_file(const std::string& path, const std::string& role,
                                            size_t limit);
// Reads/writes all of `data` at `offset`, retrying short transfers; a read past the end is an
// error.
[[nodiscard]] Result<void> read_exact(int fd, std::span<std::byte> data, uint64_t offset,
                                      const std::string& subject);
[[nodiscard]] Result<void> write_exact(int fd, std::span<const std::byte> data, uint64_t offset,
                                       const std::string& subject);

// Owns one mmap(2) range. Move-only.
class Mapping {
 public:
  Mapping() = default;
  Mapping(void* start, size_t size) : start_(static_cast<std::byte*>(start)), size_(size) {}
  Mapping(Mapping&& other) noexcept
      : start_(std::exchange(other.start_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    if (this != &other) {
      reset();
      start_ = std::exchange(other.start_, nullptr);
      size_ = std::exchange(other.size_, 0);
    }
    return *this;
  }
  ~Mapping() { reset(); }

  // mmap(2) of `size` bytes; the error names `subject`.
  [[nodiscard]] static Result<Mapping> map(size_t size, int prot, int flags, int fd,
                                           uint64_t offset, const std::string& subject);

  [[nodiscard]] std::byte* data() const { return start_; }
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] std::span<std::byte> bytes() const { return {start_, size_}; }
  void reset();

 private:
  std::byte* start_ = nullptr;
  size_t size_ = 0;
};

}  // namespace husk::base
