// An 8254 under test: what a guest does with it, in short.
#pragma once

#include <gtest/gtest.h>

#include "platform/pit8254.h"
#include "platform/testing/fake_time.h"
#include "platform/testing/recorders.h"

namespace husk::platform::testing {

constexpr uint64_t kMs = 1'000'000, kSecond = 1'000 * kMs;

class Pit : public ::testing::Test {
 protected:
  void start(uint8_t command, uint16_t count) {
    pit.ports().write(3, 1, command);
    pit.ports().write(command >> 6, 1, count & 0xff);
    pit.ports().write(command >> 6, 1, count >> 8);
  }
  uint32_t count(uint64_t counter) {
    pit.ports().write(3, 1, counter << 6);
    const uint64_t low = pit.ports().read(counter, 1);
    return static_cast<uint32_t>(low | pit.ports().read(counter, 1) << 8);
  }
  bool output2() { return (pit.system_control().read(0, 1) & 0x20) != 0; }
  void gate2(bool open) { pit.system_control().write(0, 1, open ? 1 : 0); }

  FakeTime time;
  LineRecorder line;
  Pit8254 pit{time, line.line(), FakeTime::clock};
};

}  // namespace husk::platform::testing
