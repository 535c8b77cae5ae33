#include "oci/merge.h"

#include <fmt/format.h>

#include "base/try.h"
#include "oci/layer.h"
#include "oci/mount_points.h"
#include "oci/verified_source.h"

namespace husk::oci {
namespace {

// Lends a source that somebody else owns.
class BorrowedSource final : public ByteSource {
 public:
  explicit BorrowedSource(ByteSource& source) : source_(source) {}
  [[nodiscard]] Result<size_t> read(std::span<std::byte> buffer) override {
    return source_.read(buffer);
  }

 private:
  ByteSource& source_;
};

Result<void> check_compression(const LayerSource& layer, Compression actual,
                               const std::string& label) {
  if (!layer.declared || *layer.declared == actual) return {};
  return fail(ErrorKind::kCorrupt, label,
              fmt::format("declared as {}, but found {}", compression_name(*layer.declared),
                          compression_name(actual)));
}

Result<void> merge_layer(BlobStore& store, const LayerSource& source, const std::string& label,
                         Budget& left, Spool& spool, Tree& tree) {
  VerifiedSource blob(HUSK_TRY(store.open(source.blob)), source.digest, source.size, label);
  auto content = HUSK_TRY(decompress(std::make_unique<BorrowedSource>(blob), label));
  HUSK_TRY(check_compression(source, content.compression, label));
  VerifiedSource tar(
      std::make_unique<LimitedSource>(std::move(content.source), left.stream_bytes, label),
      source.diff_id, std::nullopt, label + ": uncompressed tar");
  Layer layer = HUSK_TRY(read_layer(tar, spool, left, label));
  HUSK_TRY(tar.finish());
  HUSK_TRY(blob.finish());
  return apply_layer(std::move(layer), tree, label);
}

}  // namespace

Result<Tree> merge_layers(const ImageSource& image, const Limits& limits, Spool& spool,
                          const std::string& subject) {
  Tree tree(limits.entries);
  Budget left(limits);
  for (size_t i = 0; i < image.layers.size(); ++i) {
    const LayerSource& layer = image.layers[i];
    const std::string label =
        fmt::format("{}: layer {} ({}...)", subject, i + 1,
                    (layer.digest ? *layer.digest : layer.diff_id).text().substr(0, 19));
    HUSK_TRY(merge_layer(*image.store, layer, label, left, spool, tree));
  }
  HUSK_TRY(add_mount_points(tree));
  return tree;
}

}  // namespace husk::oci
