// How handlers reach registers and memory: the inline fast paths.
#pragma once

#include <cstdint>
#include <cstring>
#include <mutex>
#include <type_traits>

#include "backend/soft/interp/cpu.h"

// Guest memory is shared with other vCPUs as real memory is; its races are the guest's own.
#define HUSK_GUEST_ACCESS [[gnu::always_inline]] inline

namespace husk::soft::interp {

template <class T>
[[gnu::always_inline]] inline T reg(const Cpu& cpu, uint8_t slot) {
  T value;
  std::memcpy(&value, reinterpret_cast<const char*>(cpu.regs.data()) + slot, sizeof(T));
  return value;
}

// A 32-bit result clears the upper half of its register, narrower ones leave the rest alone.
template <class T>
[[gnu::always_inline]] inline void set_reg(Cpu& cpu, uint8_t slot, T value) {
  char* at = reinterpret_cast<char*>(cpu.regs.data()) + slot;
  if constexpr (sizeof(T) == 4) {
    const uint64_t wide = static_cast<uint32_t>(value);
    std::memcpy(at, &wide, 8);
  } else {
    std::memcpy(at, &value, sizeof(T));
  }
}

[[gnu::always_inline]] inline uint64_t linear_address(const Cpu& cpu, const Op* op) {
  return reg<uint64_t>(cpu, op->base) + (reg<uint64_t>(cpu, op->index) << op->scale) +
         static_cast<uint64_t>(static_cast<int64_t>(op->disp)) + cpu.seg_base[op->segment];
}

// The misses go out of line, by value and through Cpu::scratch: a local whose address escapes would
// keep its handler from ending in a tail call.
template <class T>
[[gnu::noinline]] bool load_missed(Cpu& cpu, const Op* op, uint64_t linear) {
  return cpu.load_slow(op, linear, cpu.scratch.data(), sizeof(T));
}
template <class T>
[[gnu::noinline]] bool store_missed(Cpu& cpu, const Op* op, uint64_t linear, T value) {
  return cpu.store_slow(op, linear, &value, sizeof(T));
}
template <class T>
[[gnu::always_inline]] inline T& scratch_as(Cpu& cpu) {
  return *reinterpret_cast<T*>(cpu.scratch.data());
}

template <class T>
HUSK_GUEST_ACCESS bool load(Cpu& cpu, const Op* op, uint64_t linear, T& value) {
  const std::byte* host = cpu.tlb.find(cpu.tlb.read, linear, sizeof(T), cpu.context);
  if (host != nullptr) [[likely]] {
    value = *reinterpret_cast<const volatile T*>(host);
    return true;
  }
  if (!load_missed<T>(cpu, op, linear)) return false;
  value = scratch_as<T>(cpu);
  return true;
}

// The operand that may be a register or memory. False: a fault is under way.
template <class T, bool memory>
[[gnu::always_inline]] inline bool source(Cpu& cpu, const Op* op, T& value) {
  if constexpr (memory) return load<T>(cpu, op, linear_address(cpu, op), value);
  value = reg<T>(cpu, op->src);
  return true;
}

template <class T>
HUSK_GUEST_ACCESS bool store(Cpu& cpu, const Op* op, uint64_t linear, T value) {
  std::byte* host = cpu.tlb.find(cpu.tlb.write, linear, sizeof(T), cpu.context);
  if (host != nullptr) [[likely]] {
    *reinterpret_cast<volatile T*>(host) = value;
    return true;
  }
  return store_missed<T>(cpu, op, linear, value);
}

// Reads a value, changes it and writes it back: `change` maps the old to the new value. False:
// nothing happened.
template <class T, class Change>
HUSK_GUEST_ACCESS bool modify(Cpu& cpu, const Op* op, uint64_t linear, Change change) {
  std::byte* host = cpu.tlb.find(cpu.tlb.write, linear, sizeof(T), cpu.context);
  if (host != nullptr) [[likely]] {
    auto* at = reinterpret_cast<volatile T*>(host);
    *at = change(static_cast<T>(*at));
    return true;
  }
  const Status saved = cpu.status;
  if (!cpu.probe_write(op, linear, sizeof(T)) || !load_missed<T>(cpu, op, linear)) return false;
  const T value = change(scratch_as<T>(cpu));
  if (store_missed<T>(cpu, op, linear, value)) return true;
  cpu.status = saved;
  return false;
}

// As modify, but `atomic` works on the host's memory itself with a locked instruction. Operands
// that cross a page are atomic with respect to each other, those in device space not at all.
template <class T, class Atomic>
HUSK_GUEST_ACCESS bool modify_locked(Cpu& cpu, const Op* op, uint64_t linear, Atomic atomic) {
  std::byte* host = cpu.tlb.find(cpu.tlb.write, linear, sizeof(T), cpu.context);
  if (host != nullptr) [[likely]] {
    atomic(reinterpret_cast<T*>(host));
    return true;
  }
  if (!cpu.resolve_write(op, linear, sizeof(T), cpu.write_ref)) return false;
  if (cpu.write_ref.host != nullptr) {
    atomic(reinterpret_cast<T*>(cpu.write_ref.host));
    cpu.finish_write(op, cpu.write_ref);
    return true;
  }
  const Status saved = cpu.status;
  const std::lock_guard bus(cpu.memory.bus_lock());
  if (!load_missed<T>(cpu, op, linear)) return false;
  atomic(&scratch_as<T>(cpu));
  if (cpu.store_slow(op, linear, cpu.scratch.data(), sizeof(T))) return true;
  cpu.status = saved;
  return false;
}

[[gnu::always_inline]] inline uint64_t jump_index(uint64_t rip) {
  return (rip ^ rip >> 12) % Cpu::kJumpEntries;
}

inline bool fits(const Cpu& cpu, const JumpEntry& entry, uint64_t rip) {
  return entry.rip == rip && (entry.key == cpu.global_code_key || entry.key == cpu.code_key) &&
         entry.block->current();
}

// Goes on at `target`: straight into its block when that is known, cold, and nobody wants
// attention.
[[gnu::always_inline]] inline const Op* jump_to(Cpu& cpu, uint64_t target) {
  cpu.rip = target;
  const JumpEntry& entry = cpu.jumps[jump_index(target)];
  if (fits(cpu, entry, target) && cpu.attention.load(std::memory_order_relaxed) == 0 &&
      entry.block->heat > 0) [[likely]] {
    --entry.block->heat;
    cpu.regs[kSlotBlockRip] = target;
    const Op* first = entry.block->ops;
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__clang__)
    return first->fn(cpu, first);
#else
    return first;
#endif
  }
  return nullptr;
}

// Calls `f.template operator()<T>()` for the unsigned type of `size` bytes.
template <class F>
auto with_size(uint32_t size, F&& f) {
  switch (size) {
    case 1:
      return f.template operator()<uint8_t>();
    case 2:
      return f.template operator()<uint16_t>();
    case 4:
      return f.template operator()<uint32_t>();
    default:
      return f.template operator()<uint64_t>();
  }
}

}  // namespace husk::soft::interp
