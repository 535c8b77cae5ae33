// What a file is that is no kernel for this machine: only for the message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "husk/error.h"

namespace husk::boot {

// What people pass by mistake, by bytes at an offset.
struct Foreign {
  uint64_t offset;
  std::string_view magic;
  ErrorKind kind;
  std::string_view why;
};
constexpr Foreign kCpioArchive{0, "070701", ErrorKind::kInvalidArgument,
                               "not a kernel but a cpio archive, an initrd perhaps"};
constexpr Foreign kEfiProgram{0, "MZ", ErrorKind::kUnsupported,
                              "an EFI or DOS program, not a (whole) Linux kernel"};

// By the first of `known` that fits, or by a compressed file's magic number; else `otherwise`.
[[nodiscard]] std::unexpected<Error> foreign_file(const std::string& name,
                                                  std::span<const std::byte> file,
                                                  std::span<const Foreign> known,
                                                  const char* otherwise);

// On x86-64.
[[nodiscard]] std::unexpected<Error> not_a_kernel(const std::string& name,
                                                  std::span<const std::byte> file);

}  // namespace husk::boot
