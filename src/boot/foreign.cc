#include "boot/foreign.h"

#include <array>
#include <cstring>

#include "boot/decompress.h"
#include "boot/file_view.h"

namespace husk::boot {
namespace {

// Linux, Documentation/arch/arm64/booting.rst and Documentation/arch/riscv/boot-image-header.rst;
// the EFI zboot header of drivers/firmware/efi/libstub; the rest are what people pass by mistake.
constexpr std::array kKnown{
    Foreign{56, "ARM\x64", ErrorKind::kUnsupported, "a kernel for aarch64, this machine is x86-64"},
    Foreign{56, "RSC\x05", ErrorKind::kUnsupported, "a kernel for riscv, this machine is x86-64"},
    Foreign{4, "zimg", ErrorKind::kUnsupported,
            "a kernel in an EFI zboot wrapper, for another machine"},
    kCpioArchive,
    Foreign{0,
            "\x7f"
            "EL",
            ErrorKind::kCorrupt, "truncated ELF file"},
    kEfiProgram,
};

}  // namespace

std::unexpected<Error> foreign_file(const std::string& name, std::span<const std::byte> file,
                                    std::span<const Foreign> known, const char* otherwise) {
  if (file.empty()) return fail(ErrorKind::kCorrupt, name, "not a kernel: the file is empty");
  const FileView view(file);
  for (const Foreign& foreign : known) {
    const auto bytes = view.slice(foreign.offset, foreign.magic.size());
    if (bytes && std::memcmp(bytes->data(), foreign.magic.data(), foreign.magic.size()) == 0)
      return fail(foreign.kind, name, std::string(foreign.why));
  }
  const Compression compression = detect_compression(file);
  if (compression != Compression::kUnknown)
    return fail(ErrorKind::kUnsupported, name,
                std::string("not a kernel but a ") + compression_name(compression) +
                    " file: unpack it first");
  return fail(ErrorKind::kInvalidArgument, name, otherwise);
}

std::unexpected<Error> not_a_kernel(const std::string& name, std::span<const std::byte> file) {
  return foreign_file(name, file, kKnown, "not a kernel: neither bzImage, ELF nor Multiboot");
}

}  // namespace husk::boot
