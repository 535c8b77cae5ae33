#include "backend/soft/mmu/page_walk.h"

#include <array>

namespace husk::soft::mmu {
namespace {

constexpr uint64_t kCr0Paging = 1ull << 31, kCr0WriteProtect = 1ull << 16;
constexpr uint64_t kCr4Pse = 1ull << 4, kCr4Pae = 1ull << 5, kCr4Smep = 1ull << 20,
                   kCr4Smap = 1ull << 21;
constexpr uint64_t kEferLongActive = 1ull << 10, kEferNx = 1ull << 11;

constexpr uint64_t kPresent = 1, kWritable = 2, kUser = 4, kAccessed = 0x20, kDirty = 0x40,
                   kGlobal = 0x100, kLarge = 0x80;
constexpr uint64_t kNoExecute = 1ull << 63;

constexpr int kPhysicalBits = 48;
constexpr uint64_t kFrameMask = ((1ull << kPhysicalBits) - 1) & kPageMask;
constexpr uint64_t kReservedHigh = ((1ull << 52) - 1) & ~((1ull << kPhysicalBits) - 1);

// One level of a paging mode: which bits of the linear address index its table, and what its
// entries may be.
struct Level {
  uint8_t shift;
  uint8_t index_bits;
  bool may_be_large;
};
constexpr std::array<Level, 4> kLongLevels{
    {{39, 9, false}, {30, 9, true}, {21, 9, true}, {12, 9, false}}};
constexpr std::array<Level, 3> kPaeLevels{{{30, 2, false}, {21, 9, true}, {12, 9, false}}};
constexpr std::array<Level, 2> kLegacyLevels{{{22, 10, true}, {12, 10, false}}};

// An entry in guest memory, 4 or 8 bytes wide.
class Entry {
 public:
  Entry(const PhysicalMap& memory, uint64_t gpa, bool wide) : wide_(wide) {
    const PageRef page = memory.page(gpa);
    if (page.host != nullptr) host_ = page.host + gpa % kPageSize;
    page_ = page;
    gpa_ = gpa;
    memory_ = &memory;
  }
  [[nodiscard]] bool exists() const { return host_ != nullptr; }
  [[nodiscard]] uint64_t load() const {
    if (wide_) return __atomic_load_n(reinterpret_cast<uint64_t*>(host_), __ATOMIC_ACQUIRE);
    return __atomic_load_n(reinterpret_cast<uint32_t*>(host_), __ATOMIC_ACQUIRE);
  }
  // Sets `bits` if the entry still is `expected`.
  [[nodiscard]] bool set_bits(uint64_t expected, uint64_t bits) const {
    if (memory_->dirty_log() != nullptr) memory_->dirty_log()->mark_dirty(Gpa{gpa_}, 8);
    if (wide_) {
      return __atomic_compare_exchange_n(reinterpret_cast<uint64_t*>(host_), &expected,
                                         expected | bits, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE);
    }
    auto narrow = static_cast<uint32_t>(expected);
    return __atomic_compare_exchange_n(reinterpret_cast<uint32_t*>(host_), &narrow,
                                       narrow | static_cast<uint32_t>(bits), false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
  }

 private:
  const PhysicalMap* memory_ = nullptr;
  PageRef page_;
  uint64_t gpa_ = 0;
  std::byte* host_ = nullptr;
  bool wide_;
};

class Walker {
 public:
  Walker(const PhysicalMap& memory, const PagingState& paging, Access access, bool user,
         bool ac_override)
      : memory_(memory), paging_(paging), access_(access), user_(user), ac_override_(ac_override) {
    nx_ = (paging.efer & kEferNx) != 0;
    error_ = (access == Access::kWrite ? kPfWrite : 0) | (user ? kPfUser : 0);
    const bool fetch_reported = nx_ || (paging.cr4 & kCr4Smep) != 0;
    if (access == Access::kFetch && fetch_reported) error_ |= kPfFetch;
  }

  // Starts again when an entry changed between its reading and the setting of its accessed bit.
  std::variant<Translation, PageFault> run(uint64_t linear) {
    for (;;) {
      Outcome outcome = attempt(linear);
      if (!std::holds_alternative<Retry>(outcome)) {
        if (auto* fault = std::get_if<PageFault>(&outcome)) return *fault;
        return std::get<Translation>(outcome);
      }
    }
  }

 private:
  struct Retry {};
  using Outcome = std::variant<Translation, PageFault, Retry>;

  Outcome attempt(uint64_t linear) {
    if ((paging_.efer & kEferLongActive) != 0) return descend(linear, kLongLevels, true);
    if ((paging_.cr4 & kCr4Pae) != 0) return descend(linear, kPaeLevels, true);
    return descend(linear, kLegacyLevels, false);
  }

  template <size_t N>
  Outcome descend(uint64_t linear, const std::array<Level, N>& levels, bool wide) {
    const bool pae = wide && N == 3;
    uint64_t table = pae ? paging_.cr3 & 0xffffffe0u : paging_.cr3 & kFrameMask;
    uint64_t rights = kWritable | kUser;
    bool no_execute = false;
    for (const Level& level : levels) {
      const uint64_t slot = (linear >> level.shift) & ((1u << level.index_bits) - 1);
      const Entry entry(memory_, table + slot * (wide ? 8 : 4), wide);
      if (!entry.exists()) return PageFault{error_};
      const uint64_t value = entry.load();
      if ((value & kPresent) == 0) return PageFault{error_};
      const bool pdpte = pae && level.shift == 30;  // has neither rights nor an accessed bit
      const bool large =
          level.may_be_large && (value & kLarge) != 0 && (wide || (paging_.cr4 & kCr4Pse) != 0);
      if (reserved_bits_set(value, level, large, wide, pdpte))
        return PageFault{error_ | kPfPresent | kPfReserved};
      if (!pdpte) {
        rights &= value;
        no_execute |= wide && nx_ && (value & kNoExecute) != 0;
      }
      const bool leaf = large || level.shift == 12;
      if (leaf && !permitted(rights, no_execute)) return PageFault{error_ | kPfPresent};
      uint64_t wanted = pdpte ? 0 : kAccessed;
      if (leaf && access_ == Access::kWrite) wanted |= kDirty;
      if ((value & wanted) != wanted && !entry.set_bits(value, wanted)) return Retry{};
      if (leaf) return translation(linear, value | wanted, level, large, wide, rights);
      table = wide ? value & kFrameMask : value & 0xfffff000u;
    }
    return PageFault{error_};
  }

  [[nodiscard]] bool reserved_bits_set(uint64_t value, const Level& level, bool large, bool wide,
                                       bool pdpte) const {
    if (!wide) return false;
    if (pdpte) return (value & (kReservedHigh | (0x7full << 52) | kNoExecute | 0x1e6)) != 0;
    uint64_t reserved = kReservedHigh;
    if (!nx_) reserved |= kNoExecute;
    if (large) reserved |= ((1ull << level.shift) - 1) & ~0x1fffull;
    if (level.shift == 39) reserved |= kLarge;
    return (value & reserved) != 0;
  }

  [[nodiscard]] bool permitted(uint64_t rights, bool no_execute) const {
    const bool user_page = (rights & kUser) != 0;
    const bool write_protect = (paging_.cr0 & kCr0WriteProtect) != 0;
    if (access_ == Access::kFetch && no_execute) return false;
    if (user_) return user_page && (access_ != Access::kWrite || (rights & kWritable) != 0);
    if (user_page && access_ == Access::kFetch && (paging_.cr4 & kCr4Smep) != 0) return false;
    if (user_page && access_ != Access::kFetch && (paging_.cr4 & kCr4Smap) != 0 && !ac_override_)
      return false;
    return access_ != Access::kWrite || !write_protect || (rights & kWritable) != 0;
  }

  [[nodiscard]] Translation translation(uint64_t linear, uint64_t value, const Level& level,
                                        bool large, bool wide, uint64_t rights) const {
    uint64_t frame = wide ? value & kFrameMask : value & 0xfffff000u;
    if (large && !wide) frame = (value & 0xffc00000u) | ((value >> 13 & 0xff) << 32);  // PSE-36
    const uint64_t offset_mask = (1ull << level.shift) - 1;
    const bool may_write =
        (rights & kWritable) != 0 || (!user_ && (paging_.cr0 & kCr0WriteProtect) == 0);
    return {(frame & ~offset_mask) | (linear & offset_mask), (rights & kUser) != 0,
            may_write && (value & kDirty) != 0, level.shift, (value & kGlobal) != 0};
  }

  const PhysicalMap& memory_;
  const PagingState& paging_;
  Access access_;
  bool user_;
  bool ac_override_;
  bool nx_ = false;
  uint32_t error_ = 0;
};

}  // namespace

std::variant<Translation, PageFault> walk(const PhysicalMap& memory, const PagingState& paging,
                                          uint64_t linear, Access access, bool user,
                                          bool ac_override) {
  if ((paging.cr0 & kCr0Paging) == 0) return Translation{linear, true, true, 12};
  return Walker(memory, paging, access, user, ac_override).run(linear);
}

}  // namespace husk::soft::mmu
