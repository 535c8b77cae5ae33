// What step() returns, and what is handed back.
#pragma once

#include "suite.h"

namespace husk::contract_tests {

template <class Vm>
class Exits : public BackendTest<Vm> {};
TYPED_TEST_SUITE_P(Exits);

using Kind = seam::VcpuExit::Kind;

TYPED_TEST_P(Exits, DeviceSpaceIsWrittenInEverySize) {
  Machine<TypeParam> machine;
  machine.load(PROGRAM(mmio_write), {kDevice + 16, 0x8877665544332211});
  for (const uint8_t size : {1, 2, 4, 8}) {
    const seam::VcpuExit exit = machine.next();
    EXPECT_EQ(exit.kind, Kind::kMmio);
    EXPECT_TRUE(exit.write);
    EXPECT_EQ(exit.phys_addr, kDevice + 16);
    EXPECT_EQ(exit.size, size);
    EXPECT_EQ(exit.data, 0x8877665544332211 & (~uint64_t{0} >> (64 - 8 * size)));
  }
}

TYPED_TEST_P(Exits, DeviceSpaceIsReadInEverySize) {
  Machine<TypeParam> machine;
  machine.load(PROGRAM(mmio_read), {kDevice});
  for (const uint8_t size : {1, 2, 4, 8}) {
    const seam::VcpuExit exit = machine.next();
    EXPECT_EQ(exit.kind, Kind::kMmio);
    EXPECT_FALSE(exit.write);
    EXPECT_EQ(exit.phys_addr, kDevice);
    EXPECT_EQ(exit.size, size);
    machine.vcpu().set_read_data(0x1122334455667788);
    EXPECT_EQ(machine.report(), 0x1122334455667788 & (~uint64_t{0} >> (64 - 8 * size)));
  }
}

TYPED_TEST_P(Exits, PortsAreReadAndWrittenInEverySize) {
  if (!kHasPorts) GTEST_SKIP() << "this architecture has no ports";
  Machine<TypeParam> machine;
  machine.load(PROGRAM(ports), {0x44332211});
  for (const uint8_t size : {1, 2, 4}) {
    const seam::VcpuExit exit = machine.next();
    EXPECT_EQ(exit.kind, Kind::kIo);
    EXPECT_TRUE(exit.write);
    EXPECT_EQ(exit.port, 0x1234);
    EXPECT_EQ(exit.size, size);
    EXPECT_EQ(exit.data, 0x44332211 & (~uint64_t{0} >> (64 - 8 * size)));
  }
  for (const uint8_t size : {1, 2, 4}) {
    const seam::VcpuExit exit = machine.next();
    EXPECT_EQ(exit.kind, Kind::kIo);
    EXPECT_FALSE(exit.write);
    EXPECT_EQ(exit.size, size);
    machine.vcpu().set_read_data(0x1122334455667788);
    EXPECT_EQ(machine.report(), 0x1122334455667788 & (~uint64_t{0} >> (64 - 8 * size)));
  }
}

TYPED_TEST_P(Exits, StringsGoThroughPortsItemByItem) {
  if (!kHasPorts) GTEST_SKIP() << "this architecture has no ports";
  Machine<TypeParam> machine;
  constexpr std::string_view kText = "12345678";
  ASSERT_TRUE(machine.memory->write(Gpa{kData}, std::as_bytes(std::span(kText))));
  machine.load(PROGRAM(port_strings), {kData, kText.size()});
  for (const char c : kText) {
    const seam::VcpuExit exit = machine.next();
    ASSERT_EQ(exit.kind, Kind::kIo) << exit.raw;
    EXPECT_TRUE(exit.write);
    EXPECT_EQ(exit.size, 1);
    EXPECT_EQ(exit.data, static_cast<uint8_t>(c));
  }
  for (uint8_t i = 0; i < kText.size(); ++i) {
    const seam::VcpuExit exit = machine.next();
    ASSERT_EQ(exit.kind, Kind::kIo) << exit.raw;
    EXPECT_FALSE(exit.write);
    machine.vcpu().set_read_data(0xa0 + i);
  }
  EXPECT_EQ(machine.report(), 0xa7a6a5a4a3a2a1a0);
}

TYPED_TEST_P(Exits, ATripleFaultShutsDown) {
  if (!kHasPorts) GTEST_SKIP() << "this architecture has no triple fault";
  Machine<TypeParam> machine;
  machine.load(PROGRAM(triple_fault));
  EXPECT_EQ(machine.next().kind, Kind::kShutdown);
}

TYPED_TEST_P(Exits, MemoryThatIsReadOnlyIsReadButWritesAreDeviceAccesses) {
  Machine<TypeParam> machine;
  alignas(4096) static std::array<std::byte, 4096> rom;
  rom.fill(std::byte{0x5a});
  ASSERT_TRUE(machine.vm->map_ram(rom.data(), kDevice, rom.size(), seam::Prot::kRead));
  machine.load(PROGRAM(store), {kDevice + 8, 0x1111});
  const seam::VcpuExit exit = machine.next();
  EXPECT_EQ(exit.kind, Kind::kMmio);
  EXPECT_TRUE(exit.write);
  EXPECT_EQ(exit.phys_addr, kDevice + 8);
  EXPECT_EQ(machine.report(), 0x5a5a5a5a5a5a5a5a);
}

REGISTER_TYPED_TEST_SUITE_P(Exits, DeviceSpaceIsWrittenInEverySize, DeviceSpaceIsReadInEverySize,
                            PortsAreReadAndWrittenInEverySize, StringsGoThroughPortsItemByItem,
                            ATripleFaultShutsDown,
                            MemoryThatIsReadOnlyIsReadButWritesAreDeviceAccesses);

}  // namespace husk::contract_tests
