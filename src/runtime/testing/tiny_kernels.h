// Kernels of a few bytes, for tests: 32-bit code that PVH enters, in a file of its own.
#pragma once

#include <fstream>

#include "boot/testing/images.h"
#include "oci/testing/temp_directory.h"

namespace husk::runtime::testing {

inline constexpr uint64_t kCounter = 0x8000;  // where spinning() counts

// for (;;) ++*counter;
inline const std::vector<uint8_t> kSpin = {0xbb, 0x00, 0x80, 0x00, 0x00, 0xff, 0x03, 0xeb, 0xfc};
// Prints "hi\n" on COM1 and powers off by ACPI's S5.
inline const std::vector<uint8_t> kGreet = {0xba, 0xf8, 0x03, 0x00, 0x00, 0xb0, 'h',  0xee, 0xb0,
                                            'i',  0xee, 0xb0, '\n', 0xee, 0xba, 0x04, 0x06, 0x00,
                                            0x00, 0x66, 0xb8, 0x00, 0x34, 0x66, 0xef, 0xeb, 0xfe};
// Loads an empty IDT and takes an exception: a triple fault.
inline const std::vector<uint8_t> kDie = {0x6a, 0x00, 0x6a, 0x00, 0x0f,
                                          0x01, 0x1c, 0x24, 0x0f, 0x0b};

class KernelFile {
 public:
  explicit KernelFile(const std::vector<uint8_t>& code) {
    const auto image = boot::testing::elf32(std::as_bytes(std::span(code)),
                                            static_cast<uint32_t>(boot::testing::kLoadAddress));
    std::ofstream(path(), std::ios::binary)
        .write(reinterpret_cast<const char*>(image.data()),
               static_cast<std::streamsize>(image.size()));
  }
  [[nodiscard]] std::string path() const { return directory_ / "kernel"; }

 private:
  oci::testing::TempDirectory directory_;
};

}  // namespace husk::runtime::testing
