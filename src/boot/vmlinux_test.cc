// Every compression that is built in, by packing a small kernel with the same libraries.
#include "boot/vmlinux.h"

#include <gtest/gtest.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>

#include "boot/testing/images.h"

namespace husk::boot {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

const uint8_t* raw(const Image& image) { return reinterpret_cast<const uint8_t*>(image.data()); }
uint8_t* raw(Image& image) { return reinterpret_cast<uint8_t*>(image.data()); }

// What Linux's build does after every compression but gzip.
Image with_size(Image packed, size_t unpacked) {
  put(packed, packed.size(), static_cast<uint32_t>(unpacked));
  return packed;
}

Image pack_lz4(const Image& plain) {
  constexpr size_t kBlock = 8 << 20;
  Image out;
  put(out, 0, uint32_t{0x184c2102});
  for (size_t at = 0; at < plain.size(); at += kBlock) {
    const int size = static_cast<int>(std::min(kBlock, plain.size() - at));
    Image block(static_cast<size_t>(LZ4_compressBound(size)));
    const int n = LZ4_compress_default(reinterpret_cast<const char*>(plain.data() + at),
                                       reinterpret_cast<char*>(block.data()), size,
                                       static_cast<int>(block.size()));
    put(out, out.size(), static_cast<uint32_t>(n));
    out.insert(out.end(), block.begin(), block.begin() + n);
  }
  return with_size(out, plain.size());
}

Image pack_gzip(const Image& plain) {
  Image out(compressBound(plain.size()) + 64);
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = const_cast<uint8_t*>(raw(plain));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = raw(out);
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

Image pack_zstd(const Image& plain) {
  Image out(ZSTD_compressBound(plain.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 3));
  return with_size(out, plain.size());
}

Image pack_xz(const Image& plain) {
  Image out(lzma_stream_buffer_bound(plain.size()));
  size_t size = 0;
  EXPECT_EQ(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, nullptr, raw(plain), plain.size(),
                                    raw(out), &size, out.size()),
            LZMA_OK);
  out.resize(size);
  return with_size(out, plain.size());
}

Result<Vmlinux> extract(const Image& payload, uint32_t init_size = 32 << 20,
                        uint64_t limit = kMaxVmlinux) {
  static Image kernel;  // what the header borrows
  kernel = bzimage(payload, init_size);
  return extract_vmlinux("k", parse_setup_header("k", kernel).value(), limit);
}

const std::pair<Compression, Image (*)(const Image&)> kPackers[] = {{Compression::kLz4, pack_lz4},
                                                                    {Compression::kGzip, pack_gzip},
                                                                    {Compression::kZstd, pack_zstd},
                                                                    {Compression::kXz, pack_xz}};

TEST(Vmlinux, ComesOutOfEveryCompression) {
  // More than one of lz4's blocks.
  const Image plain = elf64(bytes(9 << 20), kLoadAddress, 10 << 20);
  for (const auto& [compression, pack] : kPackers) {
    const auto vmlinux = extract(pack(plain));
    ASSERT_TRUE(vmlinux) << vmlinux.error().message();
    EXPECT_EQ(vmlinux->compression, compression);
    EXPECT_TRUE(std::ranges::equal(vmlinux->bytes.bytes(), plain)) << compression_name(compression);
  }
}

TEST(Vmlinux, IsEnteredDirectlyWithTheBzImagesHeader) {
  const Image kernel = bzimage(pack_lz4(elf64(bytes(0x1000), kLoadAddress + 4)));
  for (const auto& [path, rip] : {std::pair{BootPath::kAuto, kLoadAddress + 4},
                                  {BootPath::kPvh, kLoadAddress + 4},
                                  {BootPath::kElf64, kLoadAddress},
                                  {BootPath::kBzImage64, kLoadAddress + 0x200}}) {
    auto memory = guest_memory(64 * kMiB);
    KernelRequest asked = request(kernel);
    asked.path = path;
    const auto loaded = load_kernel(*memory, asked);
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(loaded->entry.rip, rip);
    EXPECT_EQ(loaded->version, "9.8.7-test");
    if (path == BootPath::kElf64) {
      EXPECT_EQ(get<uint16_t>(*memory, kBootInfoAddress + setup::kXloadFlags), 3)
          << "the file's own header";
      EXPECT_EQ(loaded->description, "Linux 9.8.7-test, unpacked (lz4), 64-bit entry");
    }
  }
}

TEST(Vmlinux, UnknownCompressionsAreLeftToTheGuest) {
  const Image kernel = bzimage(with_size(bytes(500), 5000));
  auto memory = guest_memory(64 * kMiB);
  const auto loaded = load_kernel(*memory, request(kernel));
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(loaded->path, BootPath::kBzImage64);
}

TEST(Vmlinux, DamageIsAnErrorNotAFallback) {
  const Image plain = elf64(bytes(0x4000));
  for (const auto& [compression, pack] : kPackers) {
    Image payload = pack(plain);
    payload[payload.size() / 2] ^= std::byte{0xff};
    payload.erase(payload.begin() + 40, payload.begin() + 60);
    auto memory = guest_memory(64 * kMiB);
    const auto loaded = load_kernel(*memory, request(bzimage(payload)));
    ASSERT_FALSE(loaded) << compression_name(compression);
    EXPECT_EQ(loaded.error().message(), std::string("kernel: the kernel inside (") +
                                            compression_name(compression) + ") is damaged");
  }
}

// The size is checked before anything is unpacked, and the stream must give exactly that.
TEST(Vmlinux, SizesThatLieAreRefused) {
  const Image plain = elf64(bytes(0x4000));
  for (const auto& [compression, pack] : kPackers) {
    for (const uint32_t size : {0u, 1u, 0x41ffu, 0x4201u, 0x2000001u, 0xffffffffu}) {
      Image payload = pack(plain);
      put(payload, payload.size() - 4, size);
      EXPECT_FALSE(extract(payload)) << compression_name(compression) << " " << size;
    }
  }
}

TEST(Vmlinux, BombsStopAtTheLimit) {
  const Image payload = pack_zstd(Image(64 << 20));
  EXPECT_LT(payload.size(), 16384u);
  EXPECT_EQ(extract(payload, 16 << 20).error().kind, ErrorKind::kCorrupt) << "more than init_size";
  EXPECT_EQ(extract(payload, 1 << 30, 32 << 20).error().message(),
            "k: the kernel inside unpacks to 64 MiB, there is room for 32 MiB");
  EXPECT_EQ(extract(payload, 1 << 30).error().kind, ErrorKind::kCorrupt) << "not an ELF file";
}

TEST(Vmlinux, KernelsLargerThanTheirOwnClaimAreRefused) {
  const Image payload = pack_lz4(elf64(bytes(3 << 20), 0, 4 << 20));
  EXPECT_TRUE(extract(payload, 4 << 20));
  EXPECT_FALSE(extract(payload, 2 << 20));
}

TEST(Vmlinux, NoTruncationIsTaken) {
  const Image plain = elf64(bytes(0x4000));
  for (const auto& [compression, pack] : kPackers) {
    const Image whole = pack(plain);
    for (size_t size = 0; size < whole.size(); ++size)
      ASSERT_FALSE(extract(Image(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size))))
          << size;
  }
}

}  // namespace
}  // namespace husk::boot
