// The slow paths of memory accesses: page walks, pages that hold code, page crossings, device
// space.
#include <cstring>

#include "backend/soft/interp/cpu.h"
#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/operands.h"

namespace husk::soft::interp {

using mmu::Access;
using mmu::Privilege;

namespace {

constexpr uint8_t kPageShift = 12;
constexpr int kCanonicalShift = 16;  // 48-bit linear addresses

bool canonical(uint64_t linear) {
  return static_cast<int64_t>(linear << kCanonicalShift) >> kCanonicalShift ==
         static_cast<int64_t>(linear);
}

}  // namespace

bool Cpu::noncanonical(const Op* op, uint64_t linear) {
  if (!long_mode() || canonical(linear)) return false;
  const bool stack =
      op != nullptr && (op->segment == contract::x86::kSs || op->segment == kSegZeroStack);
  fault(op, stack ? kSsFault : kGp, 0);
  return true;
}

// The #AC of an access that translates (Intel SDM vol. 3, table 6-7: what needs which alignment).
bool Cpu::misaligned(const Op* op, uint64_t linear, uint32_t size) {
  if (!checks_alignment()) return false;
  const uint32_t alignment = size == 10 || size % 16 == 0 ? 8 : size & -size;
  if (linear % std::min(alignment, 8u) == 0) return false;
  fault(op, kAcFault, 0);
  return true;
}

void Cpu::page_fault(const Op* op, uint64_t linear, uint32_t error) {
  cr2 = linear;
  fault(op, kPfault, error);
}

// Translates one page's share of an access and fills the TLB when the page may be accessed freely
// from now on.
bool Cpu::translate(const Op* op, uint64_t linear, Access access, Privilege privilege,
                    Target& target) {
  if (!long_mode()) linear &= 0xffffffffu;
  if (noncanonical(op, linear)) return false;
  const mmu::PagingState paging{cr0, cr3, cr4, efer};
  const auto outcome = mmu::walk(memory, paging, linear, access, privilege == Privilege::kUser,
                                 privilege == Privilege::kSupervisorNoSmap);
  if (const auto* failed = std::get_if<mmu::PageFault>(&outcome)) {
    page_fault(op, linear, failed->error_code);
    return false;
  }
  const auto& translation = std::get<mmu::Translation>(outcome);
  target.gpa = translation.gpa;
  const mmu::PageRef page = memory.page(translation.gpa);
  const auto apic = env.apic_page();
  if (page.host == nullptr || (apic && *apic == (translation.gpa & kPageMask)))
    return true;  // device space
  target.host = page.host + translation.gpa % kPageSize;
  target.state = page.state;
  target.writable = page.writable;

  if (debugging_.watching() && debugging_.watches_page_of(linear)) return true;
  const uint64_t entry_context = context_base_ | static_cast<uint64_t>(privilege);
  if (translation.shift > kPageShift) large_pages_.note(linear, translation.shift);
  tlb.fill_read(linear, entry_context, page.host);
  if (access != Access::kWrite || !page.writable) return true;
  if (memory.dirty_log() != nullptr)
    memory.dirty_log()->mark_dirty(Gpa{translation.gpa & kPageMask}, kPageSize);
  // The order matters: publish nothing writable for a page that has become code.
  if (page.state->code_epoch.load(std::memory_order_seq_cst) == 0)
    tlb.fill_write(linear, entry_context, page.host);
  return true;
}

bool Cpu::device_load(const Op* op, uint64_t gpa, void* out, uint32_t size) {
  auto* bytes = static_cast<uint8_t*>(out);
  const auto apic = env.apic_page();
  while (size != 0) {
    const uint32_t piece = size >= 8 && gpa % 8 == 0 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1;
    uint64_t value = 0;
    if (apic && *apic == (gpa & kPageMask)) {
      value = env.apic_read(static_cast<uint32_t>(gpa % kPageSize), piece);
    } else {
      DeviceRequest request{DeviceRequest::Kind::kMemory, false, static_cast<uint8_t>(piece), gpa,
                            0};
      if (!device.perform(request)) {
        stop = Stop::kDevice;
        rip = op == nullptr ? rip : ip_of(op);
        return false;
      }
      value = request.data;
    }
    std::memcpy(bytes, &value, piece);
    bytes += piece;
    gpa += piece;
    size -= piece;
  }
  return true;
}

bool Cpu::device_store(const Op* op, uint64_t gpa, const void* in, uint32_t size) {
  const auto* bytes = static_cast<const uint8_t*>(in);
  const auto apic = env.apic_page();
  while (size != 0) {
    const uint32_t piece = size >= 8 && gpa % 8 == 0 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1;
    uint64_t value = 0;
    std::memcpy(&value, bytes, piece);
    if (apic && *apic == (gpa & kPageMask)) {
      env.apic_write(static_cast<uint32_t>(gpa % kPageSize), piece, value);
      interrupts_may_come();
    } else {
      DeviceRequest request{DeviceRequest::Kind::kMemory, true, static_cast<uint8_t>(piece), gpa,
                            value};
      if (!device.perform(request)) {
        stop = Stop::kDevice;
        rip = op == nullptr ? rip : ip_of(op);
        return false;
      }
    }
    bytes += piece;
    gpa += piece;
    size -= piece;
  }
  return true;
}

bool Cpu::access(const Op* op, uint64_t linear, void* data, uint32_t size, bool write,
                 Privilege privilege) {
  auto* bytes = static_cast<std::byte*>(data);
  const auto first =
      static_cast<uint32_t>(std::min<uint64_t>(size, kPageSize - linear % kPageSize));
  const Access kind = write ? Access::kWrite : Access::kRead;
  Target parts[2];
  const uint32_t sizes[2] = {first, size - first};
  const int count = sizes[1] == 0 ? 1 : 2;
  // Both pages are translated before either is touched.
  for (int i = 0; i < count; ++i) {
    if (!translate(op, i == 0 ? linear : linear + first, kind, privilege, parts[i])) return false;
  }
  if (privilege == Privilege::kUser && misaligned(op, linear, size)) return false;
  if (debugging_.watching()) debugging_.note_access(linear, size, write);
  for (int i = 0; i < count; ++i) {
    Target& part = parts[i];
    if (part.host == nullptr || (write && !part.writable)) {  // writes to ROM are a device's
      const bool done = write ? device_store(op, part.gpa, bytes, sizes[i])
                              : device_load(op, part.gpa, bytes, sizes[i]);
      if (!done) return false;
    } else if (!write) {
      std::memcpy(bytes, part.host, sizes[i]);
    } else {
      std::memcpy(part.host, bytes, sizes[i]);
      finish_write(
          op, {part.host,
               part.state->code_epoch.load(std::memory_order_acquire) != 0 ? part.state : nullptr});
    }
    bytes += sizes[i];
  }
  return true;
}

bool Cpu::load_slow(const Op* op, uint64_t linear, void* out, uint32_t size) {
  return access(op, linear, out, size, false, privilege_);
}

bool Cpu::store_slow(const Op* op, uint64_t linear, const void* in, uint32_t size) {
  return access(op, linear, const_cast<void*>(in), size, true, privilege_);
}

bool Cpu::system_load(const Op* op, uint64_t linear, void* out, uint32_t size) {
  return access(op, linear, out, size, false, Privilege::kSupervisor);
}

bool Cpu::system_store(const Op* op, uint64_t linear, const void* in, uint32_t size) {
  return access(op, linear, const_cast<void*>(in), size, true, Privilege::kSupervisor);
}

bool Cpu::probe(const Op* op, uint64_t linear, uint32_t size, Access kind) {
  Target ignored;
  if (!translate(op, linear, kind, privilege_, ignored)) return false;
  const uint64_t last = linear + size - 1;
  const bool one_page = (last & kPageMask) == (linear & kPageMask);
  if (!one_page && !translate(op, last & kPageMask, kind, privilege_, ignored)) return false;
  return !misaligned(op, linear, size);
}

bool Cpu::probe_write(const Op* op, uint64_t linear, uint32_t size) {
  return probe(op, linear, size, Access::kWrite);
}

bool Cpu::probe_read(const Op* op, uint64_t linear, uint32_t size) {
  return probe(op, linear, size, Access::kRead);
}

bool Cpu::resolve_write(const Op* op, uint64_t linear, uint32_t size, WriteRef& ref) {
  ref = {};
  if (std::byte* host = tlb.find(tlb.write, linear, size, context)) {
    ref.host = host;
    return true;
  }
  if ((linear & kPageMask) != ((linear + size - 1) & kPageMask))
    return probe_write(op, linear, size);
  Target target;
  if (!translate(op, linear, Access::kWrite, privilege_, target) || misaligned(op, linear, size))
    return false;
  if (target.host == nullptr || !target.writable) return true;
  if (debugging_.watching()) debugging_.note_access(linear, size, true);
  ref.host = target.host;
  if (target.state->code_epoch.load(std::memory_order_acquire) != 0) ref.code = target.state;
  return true;
}

bool Cpu::resolve_read(const Op* op, uint64_t linear, uint32_t size, std::byte*& host) {
  host = tlb.find(tlb.read, linear, size, context);
  if (host != nullptr) return true;
  if ((linear & kPageMask) != ((linear + size - 1) & kPageMask))
    return probe_read(op, linear, size);
  Target target;
  if (!translate(op, linear, Access::kRead, privilege_, target) || misaligned(op, linear, size))
    return false;
  if (debugging_.watching()) debugging_.note_access(linear, size, false);
  host = target.host;
  return true;
}

// A write into code. Whoever holds blocks of the page finds them stale at their next entry; what is
// left of the block that is being executed is cut off, when it is of that page, so that even the
// next instruction is fetched anew.
void Cpu::finish_write(const Op* op, const WriteRef& ref) {
  if (ref.code == nullptr) return;
  memory.code_written(*ref.code);
  if (op == nullptr) return;
  FetchedPage page;
  const Stop before = stop;
  const Pending pending = pending_;
  if (!fetch_page(ip_of(op) + seg_base_of_code(), page)) {
    stop = before;
    pending_ = pending;
    return;
  }
  if (page.ref.state != ref.code) return;
  for (auto* rest = const_cast<Op*>(op) + 1;; ++rest) {
    const bool last = rest->fn == continue_handler();
    rest->fn = stale_handler();
    if (last) break;
  }
}

uint64_t Cpu::keeps_vectors() const {
  const bool lent =
      (cr0 & (kCr0Em | kCr0Ts)) == 0 && (cr4 & kCr4Osfxsr) != 0 && fpu::Unit::lent(fpu_state);
  return !lent ? 0 : avx_enabled() ? kWholeVectors : kLowVectors;
}

uint64_t Cpu::lend_vectors() {
  fpu_unit->lend(fpu_state);
  return keeps_vectors();
}

bool Cpu::keeps_x87() const {
  return (cr0 & (kCr0Em | kCr0Ts)) == 0 && fpu_state.x87_live && !fpu::Unit::unmasked(fpu_state);
}

bool Cpu::lend_x87() {
  if ((cr0 & (kCr0Em | kCr0Ts)) == 0) fpu_unit->lend_x87(fpu_state);
  return keeps_x87();
}

const std::byte* Cpu::code_page(uint64_t linear) {
  const Pending pending = pending_;
  const uint64_t address = cr2;
  FetchedPage page;
  if (fetch_page(linear, page)) return page.ref.host;
  pending_ = pending;
  cr2 = address;
  return nullptr;
}

void Cpu::invalidate_page(uint64_t linear) {
  if (!long_mode()) linear &= 0xffffffffu;
  constexpr uint64_t kUpperHalf = uint64_t{1} << 63;
  if (code_pages_.may_hold(linear))
    forget_jumps((linear & kUpperHalf) != 0 ? Jumps::kAll : Jumps::kNotGlobal);
  if (large_pages_.may_hold(linear)) {
    contexts_.forget_all();
    large_pages_.clear();
  } else {
    tlb.flush_page(linear);
  }
  update_mode();
}

void Cpu::flush_tlb_all() {
  large_pages_.clear();
  forget_translations();
  update_mode();
}

// Of all address spaces, global pages included.
void Cpu::forget_translations() {
  contexts_.forget_all();
  forget_jumps(Jumps::kAll);
}

// Jump entries of earlier epochs fit no more. Those of global pages have epochs of their own.
void Cpu::forget_jumps(Jumps which) {
  constexpr uint64_t kEpochs = uint64_t{1} << 17;
  const bool global = which == Jumps::kAll || low_global_code_;
  if (global) {
    code_pages_.clear();
    low_global_code_ = false;
    ++global_jump_epoch_;
  }
  ++jump_epoch_;
  if (jump_epoch_ < kEpochs && global_jump_epoch_ < kEpochs) return;
  jump_epoch_ = global_jump_epoch_ = 0;
  jumps.fill({});
  code_is_old_ = true;  // its links know keys of the epochs that begin again
}

// Makes the TLB know `linear`, as an access would. False: nothing to know, or a fault.
bool Cpu::warm_tlb(uint64_t linear, bool write) {
  const Pending pending = pending_;
  const uint64_t address = cr2;
  const uint64_t ip = rip;
  Target target;
  const Access kind = write ? Access::kWrite : Access::kRead;
  if (!translate(nullptr, linear, kind, privilege_, target)) {
    pending_ = pending;
    cr2 = address;
    rip = ip;
    return false;
  }
  return tlb.find(write ? tlb.write : tlb.read, linear, 1, context) != nullptr;
}

void Cpu::flush_pcid(uint32_t pcid) {
  contexts_.forget(pcid);
  update_mode();
}

void Cpu::flush_tlb_current() { flush_pcid((cr4 & kCr4Pcide) != 0 ? cr3 & 0xfff : 0); }

void Cpu::acknowledge_code_epoch() {
  const uint32_t epoch = memory.code_epoch();
  if (epoch != acknowledged_epoch_) tlb.flush_writes();
  acknowledged_epoch_ = epoch;
  memory.acknowledge(index_, epoch);
}

}  // namespace husk::soft::interp
