#include "oci/prepare.h"

#include <array>
#include <charconv>
#include <exception>

#include "base/temp_file.h"
#include "base/try.h"
#include "oci/cache.h"
#include "oci/erofs_writer.h"
#include "oci/image_source.h"
#include "oci/merge.h"

namespace husk::oci {
namespace {

// The file system's UUID says which image it is; the digest's first 16 bytes.
std::array<uint8_t, 16> uuid_of(const Digest& digest) {
  std::array<uint8_t, 16> uuid{};
  for (size_t i = 0; i < uuid.size(); ++i) {
    const char* byte = digest.hex.data() + 2 * i;
    std::from_chars(byte, byte + 2, uuid[i], 16);
  }
  return uuid;
}

Result<void> build(const ImageSource& image, const Limits& limits, const Cache& cache,
                   const std::string& subject, int fd) {
  Spool spool(HUSK_TRY(base::open_scratch_file(cache.images())), cache.images());
  const Tree tree = HUSK_TRY(merge_layers(image, limits, spool, subject));
  return write_root_image(tree, spool, uuid_of(image.digest), fd, cache.path_of(image.digest));
}

Result<PreparedImage> prepare_or_throw(const Reference& reference, const PrepareOptions& options) {
  const std::string directory = options.cache_directory.empty()
                                    ? HUSK_TRY(default_cache_directory())
                                    : options.cache_directory;
  const Cache cache = HUSK_TRY(Cache::open(directory));
  const ImageSource image =
      HUSK_TRY(open_image(reference, {options.architecture, cache.images(), options.limits}));
  PreparedImage prepared{image.config, image.digest.text(), {}, cache.path_of(image.digest), false};
  if (auto cached = HUSK_TRY(cache.find(image.digest))) {
    prepared.root = std::move(*cached);
    prepared.from_cache = true;
    return prepared;
  }
  prepared.root = HUSK_TRY(cache.add(image.digest, [&](int fd) {
    return build(image, options.limits, cache, reference.text, fd);
  }));
  return prepared;
}

}  // namespace

// Libraries throw when memory ends; that, too, is a value outside of this room.
Result<PreparedImage> prepare(const Reference& reference, const PrepareOptions& options) {
  try {
    return prepare_or_throw(reference, options);
  } catch (const std::exception& exception) {
    return fail(ErrorKind::kLimit, reference.text, exception.what());
  }
}

}  // namespace husk::oci
