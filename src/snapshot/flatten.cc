#include "snapshot/flatten.h"

#include <algorithm>

#include "base/try.h"
#include "snapshot/verify.h"

namespace husk::snapshot {
namespace {

// Of an extent's bytes, those that its file has: plain runs may have holes.
Result<std::vector<Range>> data_of(const Extent& extent) {
  if (extent.is_zero()) return std::vector<Range>();
  if (extent.run->is_compressed()) return std::vector{Range{extent.at, extent.length}};
  auto ranges = HUSK_TRY(
      file_data(extent.file->fd(), extent.file_offset(), extent.length, extent.file->path()));
  for (Range& range : ranges) range.at = range.at - extent.file_offset() + extent.at;
  return ranges;
}

}  // namespace

Result<std::vector<Range>> ChainSource::data() {
  std::vector<Range> all;
  for (const Extent& extent : extents_) {
    for (const Range& range : HUSK_TRY(data_of(extent))) append(all, range);
  }
  return all;
}

Result<void> ChainSource::read(uint64_t at, std::span<std::byte> out) {
  auto extent = std::ranges::upper_bound(extents_, at, {}, &Extent::at) - 1;
  while (!out.empty()) {
    const uint64_t length = std::min<uint64_t>(out.size(), extent->end() - at);
    HUSK_TRY(extent->file->read(*extent->run, at, out.first(length), unpacked_));
    out = out.subspan(length);
    at += length;
    ++extent;
  }
  return {};
}

Result<Sha256> flatten(const Chain& chain, const std::string& path, const WriteOptions& options) {
  const auto damage = verify(chain);
  if (!damage.empty())
    return fail(ErrorKind::kCorrupt, path, "cannot be made: " + damage.front().message());
  ChainSource source(chain);
  return write_from(path, chain.tip().contents(), source, options);
}

}  // namespace husk::snapshot
