// A layer's bytes, whatever they are: decompressed, read as a tar, merged into a tree and written
// as EROFS. Husk's threat model: the image's author is hostile, the host's memory and disk must not
// suffer. Every accepted layer must give an image
// that a strict reader accepts. The first byte says
// after how many tar blocks the second layer begins.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "oci/decompress.h"
#include "oci/erofs_writer.h"
#include "oci/layer.h"
#include "oci/mount_points.h"
#include "oci/testing/erofs_reader.h"
#include "oci/verified_source.h"

namespace {

using namespace husk;
using namespace husk::oci;

constexpr Limits kSmall{.layer_bytes = 256 << 10, .entries = 500, .metadata_bytes = 64 << 10};

base::Fd memory_file() { return base::Fd(::memfd_create("fuzz", MFD_CLOEXEC)); }

std::string content_of(const base::Fd& file) {
  std::string bytes(static_cast<size_t>(::lseek(file.get(), 0, SEEK_END)), '\0');
  if (!base::read_exact(file.get(), std::as_writable_bytes(std::span(bytes)), 0, "image"))
    std::abort();
  return bytes;
}

bool merge(std::string_view bytes, Spool& spool, Budget& left, Tree& tree) {
  auto opened = decompress(std::make_unique<MemorySource>(bytes), "layer");
  if (!opened) return false;
  LimitedSource tar(std::move(opened->source), left.stream_bytes, "layer");
  auto layer = read_layer(tar, spool, left, "layer");
  return layer && apply_layer(std::move(*layer), tree, "layer");
}

// Sets the checksums of all ustar headers right: hardly a mutation would otherwise get past one.
void repair_checksums(std::string& tar) {
  for (size_t at = 0; at + 512 <= tar.size(); at += 512) {
    char* header = tar.data() + at;
    if (std::string_view(header + 257, 5) != "ustar") continue;
    std::memset(header + 148, ' ', 8);
    unsigned sum = 0;
    for (int i = 0; i < 512; ++i) sum += static_cast<unsigned char>(header[i]);
    std::snprintf(header + 148, 8, "%06o", sum);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string repaired(reinterpret_cast<const char*>(data) + 1, size - 1);
  repair_checksums(repaired);
  const std::string_view input(repaired);
  const size_t split = std::min(input.size(), size_t{data[0]} * 512);
  Spool spool(memory_file(), "spool");
  Tree tree(kSmall.entries);
  Budget left(kSmall);
  if (!merge(input.substr(0, split), spool, left, tree)) return 0;
  if (!merge(input.substr(split), spool, left, tree)) return 0;
  if (!add_mount_points(tree)) return 0;
  const base::Fd image = memory_file();
  if (!write_root_image(tree, spool, {}, image.get(), "image")) std::abort();
  if (!check_root_image(image.get(), "image")) std::abort();
  (void)oci::testing::ErofsReader(content_of(image));  // throws where a kernel would stumble
  return 0;
}
