// Fields of the FXSAVE image (Intel SDM vol. 1, table 10-2), for the files of this room.
#pragma once

#include <cstring>

#include "backend/soft/fpu/fpu.h"

namespace husk::soft::fpu {

constexpr size_t kFcw = 0, kFsw = 2, kFop = 6, kFip = 8, kFdp = 16;
constexpr size_t kRegisters = 32, kRegistersSize = 128;
constexpr size_t kFxsaveUsed = 416;  // what lies behind is the guest's to use
constexpr uint16_t kControlInitial = 0x037f, kControlMasks = 0x3f;
constexpr uint16_t kStatusExceptions = 0x3f, kStatusEs = 0x80, kStatusBusy = 0x8000;
constexpr uint32_t kMxcsrInitial = 0x1f80, kMxcsrMasks = 0x1f80, kMxcsrFlags = 0x3f,
                   kMxcsrValid = 0xffff;

template <class T>
T field(const FpuState& state, size_t offset) {
  T value;
  std::memcpy(&value, state.image.data() + offset, sizeof(T));
  return value;
}
template <class T>
void set_field(FpuState& state, size_t offset, T value) {
  std::memcpy(state.image.data() + offset, &value, sizeof(T));
}

inline uint32_t mxcsr(const FpuState& state) { return field<uint32_t>(state, FpuState::kMxcsr); }

// The control word without the bits that do not exist; bit 6 always reads as one.
constexpr uint16_t valid_control(uint16_t value) { return (value & 0x1f3f) | 0x40; }

// What follows from the fields of an image that was loaded.
void settle(FpuState& state);

}  // namespace husk::soft::fpu
