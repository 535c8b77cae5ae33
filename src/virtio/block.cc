#include "virtio/block.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/checked.h"
#include "base/log.h"
#include "base/try.h"

namespace husk::virtio {
namespace {

constexpr uint64_t kSector = 512;
constexpr uint64_t kSegMax = 1u << 2, kReadOnly = 1u << 5, kBlkSize = 1u << 6, kFlush = 1u << 9,
                   kDiscard = 1u << 13, kWriteZeroes = 1u << 14;
enum Request : uint32_t {
  kIn = 0,
  kOut = 1,
  kFlushCache = 4,
  kGetId = 8,
  kDiscardRange = 11,
  kZeroRange = 13
};
enum Status : uint8_t { kOk = 0, kIoError = 1, kUnsupported = 2 };
constexpr uint32_t kMaxSegments = 126, kMaxEraseSectors = 1u << 22, kMaxEraseSegments = 32;
constexpr size_t kSerialSize = 20;

struct Header {
  uint32_t type, reserved;
  uint64_t sector;
};
struct EraseSegment {
  uint64_t sector;
  uint32_t count, flags;
};

// struct virtio_blk_config up to write_zeroes_may_unmap.
struct [[gnu::packed]] Config {
  uint64_t capacity = 0;
  uint32_t size_max = 0, seg_max = kMaxSegments;
  uint8_t geometry[4] = {};
  uint32_t block_size = kSector;
  uint8_t topology[8] = {};
  uint8_t writeback = 0, unused0 = 0;
  uint16_t queues = 1;
  uint32_t max_discard_sectors = kMaxEraseSectors, max_discard_segments = kMaxEraseSegments,
           discard_alignment = 1;
  uint32_t max_zeroes_sectors = kMaxEraseSectors, max_zeroes_segments = kMaxEraseSegments;
  uint8_t zeroes_may_unmap = 1, unused1[3] = {};
};
static_assert(sizeof(Config) == 60);

}  // namespace

Block::Block(std::unique_ptr<contract::BlockStore> store, std::string serial)
    : store_(std::move(store)), serial_(std::move(serial)), config_(sizeof(Config)) {
  Config config;
  config.capacity = store_->size() / kSector;
  std::memcpy(config_.data(), &config, sizeof(config));
}

uint64_t Block::features() const {
  const uint64_t common = kSegMax | kBlkSize | kFlush;
  return store_->read_only() ? common | kReadOnly : common | kDiscard | kWriteZeroes;
}

uint8_t Block::read_config(uint64_t offset) const {
  return offset < config_.size() ? config_[offset] : 0;
}

void Block::activate(uint64_t, std::vector<Queue>& queues, Notifier& notifier) {
  queue_ = &queues[0];
  notifier_ = &notifier;
}

void Block::reset() {
  queue_ = nullptr;
  notifier_ = nullptr;
}

bool Block::in_range(uint64_t offset, uint64_t length) const {
  return base::in_bounds(offset, length, store_->size() / kSector * kSector);
}

Result<void> Block::notified(uint32_t) {
  do {
    while (auto chain = HUSK_TRY(queue_->pop())) {
      if (chain->readable_bytes() < sizeof(Header) || chain->writable.empty())
        return fail(ErrorKind::kCorrupt, "virtio-blk", "request without a header or a status byte");
      uint64_t written = 0;
      const uint8_t status = serve(*chain, written);
      // The status is the very last byte of the writable part.
      chain->write(chain->writable_bytes() - 1, std::as_bytes(std::span(&status, 1)));
      HUSK_TRY(queue_->push(*chain, static_cast<uint32_t>(written + 1)));
    }
  } while (!queue_->arm_notification());
  if (queue_->needs_interrupt()) notifier_->used_buffer();
  return {};
}

uint8_t Block::serve(const Chain& chain, uint64_t& written) {
  Header header{};
  chain.read(0, std::as_writable_bytes(std::span(&header, 1)));
  switch (header.type) {
    case kIn:
      return transfer(chain, true, header.sector, written);
    case kOut:
      return transfer(chain, false, header.sector, written);
    case kFlushCache:
      return store_->flush() ? kOk : kIoError;
    case kGetId: {
      std::array<std::byte, kSerialSize> id{};
      std::memcpy(id.data(), serial_.data(), std::min(serial_.size(), id.size()));
      written = std::min<uint64_t>(chain.writable_bytes() - 1, id.size());
      chain.write(0, std::span(id).first(written));
      return kOk;
    }
    case kDiscardRange:
      return erase(chain, false);
    case kZeroRange:
      return erase(chain, true);
    default:
      return kUnsupported;
  }
}

uint8_t Block::transfer(const Chain& chain, bool to_guest, uint64_t sector, uint64_t& written) {
  const uint64_t length =
      to_guest ? chain.writable_bytes() - 1 : chain.readable_bytes() - sizeof(Header);
  const auto start = base::checked_mul(sector, kSector);
  if (!start || length % kSector != 0 || !in_range(*start, length)) return kIoError;
  if (!to_guest && store_->read_only()) return kIoError;
  uint64_t at = *start;
  uint64_t left = length;
  uint64_t skip = to_guest ? 0 : sizeof(Header);
  const auto move = [&](auto part) {
    const uint64_t skipped = std::min<uint64_t>(skip, part.size());
    skip -= skipped;
    part = part.subspan(skipped);
    part = part.first(std::min<uint64_t>(part.size(), left));
    Result<void> result;
    if constexpr (std::is_const_v<typename decltype(part)::element_type>) {
      result = store_->write(at, part);
    } else {
      result = store_->read(at, part);
    }
    at += part.size();
    left -= part.size();
    if (!result) base::log(base::LogLevel::kWarn, "{}", result.error().message());
    return result.has_value();
  };
  if (to_guest) {
    for (const auto& part : chain.writable) {
      if (left != 0 && !move(part)) return kIoError;
    }
    written = length;
  } else {
    for (const auto& part : chain.readable) {
      if (left != 0 && !move(part)) return kIoError;
    }
  }
  return kOk;
}

uint8_t Block::erase(const Chain& chain, bool zeroes) {
  if (store_->read_only()) return kIoError;
  const uint64_t bytes = chain.readable_bytes() - sizeof(Header);
  if (bytes == 0 || bytes % sizeof(EraseSegment) != 0 ||
      bytes / sizeof(EraseSegment) > kMaxEraseSegments)
    return kIoError;
  for (uint64_t done = 0; done < bytes; done += sizeof(EraseSegment)) {
    EraseSegment segment{};
    chain.read(sizeof(Header) + done, std::as_writable_bytes(std::span(&segment, 1)));
    const bool unmap = (segment.flags & 1) != 0;
    if ((segment.flags & ~1u) != 0 || (!zeroes && unmap)) return kUnsupported;
    const auto start = base::checked_mul(segment.sector, kSector);
    const uint64_t length = uint64_t{segment.count} * kSector;
    if (!start || segment.count > kMaxEraseSectors || !in_range(*start, length)) return kIoError;
    const auto result =
        zeroes ? store_->write_zeroes(*start, length, unmap) : store_->discard(*start, length);
    if (!result) return kIoError;
  }
  return kOk;
}

void Block::transfer_state(contract::StateArchive& state) {
  const uint64_t present = store_->size() / kSector;
  uint64_t known = present;
  bool read_only = store_->read_only();
  state.version(1);
  state.value(known);
  state.value(read_only);
  state.check(read_only == store_->read_only(), "other rights to write than its disk");
  resized_ = known != present;
}

void Block::go_on() {
  if (std::exchange(resized_, false) && notifier_ != nullptr) notifier_->config_changed();
}

}  // namespace husk::virtio
