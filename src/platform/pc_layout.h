// Ports and interrupt lines of the paravirtual PC.
#pragma once

#include <cstdint>

namespace husk::platform {

constexpr uint16_t kPicMaster = 0x20, kPicSlave = 0xa0, kPicElcr = 0x4d0;
constexpr uint16_t kPitPorts = 0x40, kSystemControl = 0x61;
constexpr uint16_t kI8042Data = 0x60, kI8042Command = 0x64, kFastA20 = 0x92;
constexpr uint16_t kRtcPorts = 0x70;
constexpr uint16_t kDebugExitPort = 0xf4;
constexpr uint16_t kCom1 = 0x3f8;
constexpr uint16_t kPm1Event = 0x600, kPm1Control = 0x604, kPmTimer = 0x608;
constexpr uint16_t kResetPort = 0xcf9;
constexpr uint8_t kResetValue = 0x06;
constexpr uint8_t kS5SleepType = 5;
constexpr uint32_t kPitGsi = 0, kCom1Gsi = 4, kVmGenerationGsi = 5, kRtcGsi = 8, kSciGsi = 9;

}  // namespace husk::platform
