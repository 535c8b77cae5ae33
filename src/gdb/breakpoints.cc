#include "gdb/breakpoints.h"

#include <algorithm>
#include <bit>

#include "base/try.h"

namespace husk::gdb {
namespace {

constexpr uint64_t kMostWatched = 8 * DebugOptions::kMostPoints;
constexpr size_t kMostSoftware = 4096;

bool holds(const std::vector<DebugPoint>& points, const DebugPoint& one) {
  return std::ranges::find(points, one) != points.end();
}

}  // namespace

std::vector<DebugPoint> watch_pieces(DebugPoint::Kind kind, uint64_t address, uint64_t length) {
  std::vector<DebugPoint> pieces;
  while (length > 0 && pieces.size() <= DebugOptions::kMostPoints) {
    const uint64_t aligned = address == 0 ? 8 : uint64_t{1} << std::countr_zero(address);
    const uint64_t size = std::min({aligned, std::bit_floor(length), uint64_t{8}});
    pieces.push_back({kind, static_cast<uint8_t>(size), address});
    address += size;
    length -= size;
  }
  return pieces;
}

Result<void> Breakpoints::try_points(Points wanted) {
  if (wanted.hardware.size() > DebugOptions::kMostPoints)
    return fail(ErrorKind::kLimit, "hardware breakpoints",
                "there are " + std::to_string(DebugOptions::kMostPoints) +
                    ", watchpoints included, and all are in use");
  HUSK_TRY(target_.check(wanted));
  points_ = std::move(wanted);
  return {};
}

Result<void> Breakpoints::add_pieces(const Pieces& pieces) {
  Points wanted = points_;
  for (const DebugPoint& piece : pieces)
    if (!holds(wanted.hardware, piece)) wanted.hardware.push_back(piece);
  return try_points(std::move(wanted));
}

void Breakpoints::remove_pieces(const Pieces& pieces) {
  std::erase_if(points_.hardware, [&](const DebugPoint& one) { return holds(pieces, one); });
}

Result<void> Breakpoints::add_hardware(uint64_t address) { return add_pieces({{.addr = address}}); }
void Breakpoints::remove_hardware(uint64_t address) { remove_pieces({{.addr = address}}); }

Result<void> Breakpoints::add_watch(DebugPoint::Kind kind, uint64_t address, uint64_t length) {
  if (length == 0 || length > kMostWatched)
    return fail(ErrorKind::kLimit, "watchpoint",
                "must be 1 to " + std::to_string(kMostWatched) + " bytes long");
  return add_pieces(watch_pieces(kind, address, length));
}

void Breakpoints::remove_watch(DebugPoint::Kind kind, uint64_t address, uint64_t length) {
  if (length <= kMostWatched) remove_pieces(watch_pieces(kind, address, length));
}

Result<void> Breakpoints::add_software(uint32_t vcpu, uint64_t address) {
  if (places_.contains(address)) return {};
  const Bytes& instruction = target_.architecture().breakpoint;
  auto instead = read(vcpu, address, instruction.size());
  if (!instead || instead->size() != instruction.size()) return add_hardware(address);
  if (places_.size() == kMostSoftware)
    return fail(ErrorKind::kLimit, "software breakpoints",
                "there are " + std::to_string(kMostSoftware) + " already");
  const Gpa at = HUSK_TRY(target_.translate(vcpu, address));
  Points wanted = points_;
  wanted.software.push_back(address);
  HUSK_TRY(try_points(std::move(wanted)));
  HUSK_TRY(target_.memory().write(at, instruction));
  places_[address] = {at, std::move(*instead)};
  return {};
}

void Breakpoints::remove_software(uint64_t address) {
  const auto found = places_.find(address);
  if (found == places_.end()) return remove_hardware(address);
  const Place place = std::move(found->second);
  places_.erase(found);
  std::erase(points_.software, address);
  restore(place);
}

// Unless the guest has written there meanwhile, then it is the guest's, or another address of the
// same memory has one.
void Breakpoints::restore(const Place& place) {
  const auto same = [&](const auto& other) { return other.second.at == place.at; };
  if (std::ranges::any_of(places_, same)) return;
  Bytes now(place.instead.size());
  if (!target_.memory().read(place.at, now) || now != target_.architecture().breakpoint) return;
  (void)target_.memory().write(place.at, place.instead);
}

void Breakpoints::remove_all() {
  while (!places_.empty()) remove_software(places_.rbegin()->first);
  points_ = {};
}

template <class Copy>
void Breakpoints::each_overlap(Gpa at, size_t size, Copy copy) {
  for (auto& [address, place] : places_) {
    for (size_t n = 0; n < place.instead.size(); ++n) {
      const uint64_t offset = place.at + n - at;
      if (offset < size) copy(offset, place.instead[n]);
    }
  }
}

Result<Bytes> Breakpoints::read(uint32_t vcpu, uint64_t address, uint64_t length) {
  Bytes bytes;
  while (bytes.size() < length) {
    const uint64_t linear = address + bytes.size();
    const size_t size = std::min(length - bytes.size(), kPageSize - linear % kPageSize);
    const auto at = target_.translate(vcpu, linear);
    Bytes piece(size);
    const auto read =
        at ? target_.memory().read(*at, piece) : Result<void>(std::unexpected(at.error()));
    if (!read && bytes.empty()) return std::unexpected(read.error());
    if (!read) break;
    each_overlap(*at, size, [&](size_t n, std::byte instead) { piece[n] = instead; });
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  }
  return bytes;
}

Result<void> Breakpoints::write(uint32_t vcpu, uint64_t address, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const size_t size = std::min<uint64_t>(bytes.size(), kPageSize - address % kPageSize);
    const Gpa at = HUSK_TRY(target_.translate(vcpu, address));
    Bytes piece(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
    Bytes there(size);
    HUSK_TRY(target_.memory().read(at, there));
    each_overlap(at, size, [&](size_t n, std::byte& instead) {
      instead = bytes[n];
      piece[n] = there[n];
    });
    HUSK_TRY(target_.memory().write(at, piece));
    address += size;
    bytes = bytes.subspan(size);
  }
  return {};
}

}  // namespace husk::gdb
