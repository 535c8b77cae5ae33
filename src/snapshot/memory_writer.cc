#include "snapshot/memory_writer.h"

#include <algorithm>

#include "base/checked.h"
#include "base/fd.h"
#include "base/try.h"
#include "contract/address.h"
#include "snapshot/zero.h"

namespace husk::snapshot {
namespace {

// Calls visit(offset, bytes, are_zero) for each longest stretch of pages that are zero, or are not.
template <class Visit>
Result<void> for_stretches(std::span<const std::byte> bytes, Visit visit) {
  for (size_t begin = 0; begin < bytes.size();) {
    const bool zero = is_zero(bytes.subspan(begin, kPageSize));
    size_t end = begin + kPageSize;
    while (end < bytes.size() && is_zero(bytes.subspan(end, kPageSize)) == zero) end += kPageSize;
    HUSK_TRY(visit(begin, bytes.subspan(begin, end - begin), zero));
    begin = end;
  }
  return {};
}

}  // namespace

MemoryWriter::MemoryWriter(int file, std::string subject, MemorySource& source,
                           std::optional<Packer> packer)
    : file_(file),
      subject_(std::move(subject)),
      source_(source),
      packer_(std::move(packer)),
      buffer_(kPiece) {}

Result<std::span<const std::byte>> MemoryWriter::read(uint64_t at, uint64_t length) {
  const auto bytes = std::span(buffer_).first(length);
  HUSK_TRY(source_.read(at, bytes));
  return bytes;
}

Result<void> MemoryWriter::write_all() {
  if (!packer_) return write_image();
  const auto data = HUSK_TRY(source_.data());
  uint64_t end = 0;
  for (const Range& range : data) {
    // Outward to whole frames: a hole within one costs nothing once it is compressed.
    const uint64_t begin = std::max(end, base::align_down(range.at, kFrame));
    const uint64_t to = std::min(source_.size(), base::align_up(range.end(), kFrame));
    if (begin > end) add_zeroes(end, begin - end);
    if (to <= begin) continue;
    const Range whole{begin, to - begin};
    HUSK_TRY(write_ranges(std::span(&whole, 1)));
    end = to;
  }
  if (end < source_.size()) add_zeroes(end, source_.size() - end);
  return {};
}

Result<void> MemoryWriter::write_image() {
  const uint64_t size = source_.size();
  add_run({0, size, kMemoryStart, size});
  end_ = kMemoryStart + size;
  std::ranges::fill(buffer_, std::byte{0});
  const uint64_t last = (size - 1) / kPiece * kPiece;
  digests_.assign(last / kPiece, sha256(buffer_));
  digests_.push_back(sha256(std::span(buffer_).first(size - last)));
  uint64_t done = 0;
  for (const Range& range : HUSK_TRY(source_.data())) {
    for (uint64_t at = std::max(done, base::align_down(range.at, kPiece)); at < range.end();) {
      const Piece piece = piece_at(at, size);
      HUSK_TRY(write_image_piece(piece));
      done = at = piece.at + piece.length;
    }
  }
  return {};
}

Result<void> MemoryWriter::write_image_piece(Piece piece) {
  const auto bytes = HUSK_TRY(read(piece.at, piece.length));
  if (is_zero(bytes)) return {};
  hasher_.start(bytes);
  auto written =
      for_stretches(bytes, [&](size_t offset, std::span<const std::byte> stretch, bool zero) {
        if (zero) return Result<void>();
        return base::write_exact(file_, stretch, kMemoryStart + piece.at + offset, subject_);
      });
  digests_[piece.at / kPiece] = hasher_.finish();
  return written;
}

Result<void> MemoryWriter::write_ranges(std::span<const Range> ranges) {
  const uint64_t step = packer_ ? kFrame : kPiece;
  for (const Range& range : ranges) {
    for (uint64_t at = range.at; at < range.end();) {
      const uint64_t length = std::min(range.end(), base::align_down(at, step) + step) - at;
      const auto bytes = HUSK_TRY(read(at, length));
      HUSK_TRY(packer_ ? write_packed(at, bytes) : write_plain(at, bytes));
      at += length;
    }
  }
  return {};
}

Result<void> MemoryWriter::write_plain(uint64_t at, std::span<const std::byte> bytes) {
  return for_stretches(bytes, [&](size_t offset, std::span<const std::byte> stretch, bool zero) {
    if (!zero) return write_run(at + offset, stretch, stretch);
    add_zeroes(at + offset, stretch.size());
    return Result<void>();
  });
}

Result<void> MemoryWriter::write_packed(uint64_t at, std::span<const std::byte> bytes) {
  if (is_zero(bytes)) {
    add_zeroes(at, bytes.size());
    return {};
  }
  const auto frame = HUSK_TRY(packer_->pack(bytes));
  if (!frame.empty()) return write_run(at, bytes, frame);
  end_ = base::align_up(end_, kPageSize);  // plain runs lie in pages, to be mapped
  return write_run(at, bytes, bytes);
}

// `bytes` are within one piece.
Result<void> MemoryWriter::write_run(uint64_t at, std::span<const std::byte> bytes,
                                     std::span<const std::byte> stored) {
  hasher_.start(bytes);
  auto written = base::write_exact(file_, stored, end_, subject_);
  digests_.push_back(hasher_.finish());
  add_run({at, bytes.size(), end_, stored.size()});
  end_ += stored.size();
  return written;
}

void MemoryWriter::add_zeroes(uint64_t at, uint64_t length) { add_run({at, length, 0, 0}); }

// Joins what goes on from the last run. Plain runs meet at the border of a piece only, so that
// their digests stay one for each piece.
void MemoryWriter::add_run(const Run& run) {
  if (!runs_.empty() && runs_.back().end() == run.at) {
    Run& last = runs_.back();
    const bool zeroes = last.is_zero() && run.is_zero();
    const bool plain = last.stored == last.length && run.stored == run.length &&
                       last.offset + last.stored == run.offset && run.at % kPiece == 0;
    if (zeroes || plain) {
      last.length += run.length;
      last.stored += run.stored;
      return;
    }
  }
  runs_.push_back(run);
}

}  // namespace husk::snapshot
