// The registers as a guest sees them: xAPIC page, x2APIC MSRs, IA32_APIC_BASE, and the saved page.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>

#include "backend/soft/apic/apic_test_rig.h"

namespace husk::soft::apic::testing {
namespace {

TEST(XApic, ShowsIdentityAndResetValues) {
  Machine machine(3);
  EXPECT_EQ(get(machine[2], kId), 2u << 24);
  EXPECT_EQ(get(machine[2], kVersion), 0x50014u);
  EXPECT_EQ(get(machine[2], kSpurious), 0xffu);
  EXPECT_EQ(get(machine[2], kDfr), ~0u);
  for (uint32_t reg = kLvtTimer; reg <= kLvtError; ++reg)
    EXPECT_EQ(get(machine[2], reg), kLvtMasked);
  EXPECT_EQ(machine[0].read_msr(kApicBaseMsr), 0xfee00900u);
  EXPECT_EQ(machine[2].read_msr(kApicBaseMsr), 0xfee00800u);
}

TEST(XApic, KeepsOnlyTheBitsThatExist) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  const std::pair<uint32_t, uint32_t> expected[] = {
      {kTpr, 0xff},
      {kLdr, 0xff000000},
      {kDfr, 0xffffffff},
      {kSpurious, 0x1ff},
      {kLvtTimer, 0x700ff},
      {kLvtThermal, 0x107ff},
      {kLvtLint0, 0x1a7ff},
      {kLvtError, 0x100ff},
      {kDivide, 0xb},
      {kIcrHigh, 0xff000000},
      {kId, 0},
      {kVersion, 0x50014},
  };
  for (const auto& [reg, value] : expected) {
    put(apic, reg, ~0u);
    EXPECT_EQ(get(apic, reg), value) << reg;
  }
}

TEST(XApic, DropsWritesThatAreNotAlignedWords) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  apic.write(kTpr * 16 + 1, 4, 0xff);
  apic.write(kTpr * 16 + 4, 4, 0xff);
  apic.write(kTpr * 16, 1, 0xff);
  apic.write(kTpr * 16, 2, 0xff);
  EXPECT_EQ(get(apic, kTpr), 0u);
}

TEST(XApic, ReadsPartsOfARegister) {
  Machine machine(1);
  EXPECT_EQ(machine[0].read(kVersion * 16, 1), 0x14u);
  EXPECT_EQ(machine[0].read(kVersion * 16 + 2, 2), 5u);
  EXPECT_EQ(machine[0].read(kVersion * 16, 8), 0x50014u);
  EXPECT_EQ(machine[0].read(kVersion * 16 + 4, 4), 0u);
}

TEST(XApic, ReservedRegistersAreErrors) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  for (const uint32_t offset : {0x000u, 0x040u, 0x2f0u, 0x3f0u, 0x400u, 0xff0u}) {
    apic.write(offset, 4, 1);
    put(apic, kEsr, 0);
    EXPECT_EQ(get(apic, kEsr), kErrorIllegalRegister) << offset;
    EXPECT_EQ(apic.read(offset, 4), 0u);
    put(apic, kEsr, 0);
    EXPECT_EQ(get(apic, kEsr), kErrorIllegalRegister) << offset;
  }
  apic.write(kVersion * 16, 4, 1);
  put(apic, kEsr, 0);
  EXPECT_EQ(get(apic, kEsr), 0u) << "a read-only register is not a reserved one";
}

TEST(ApicBase, ModesFollowTheTransitionDiagram) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  constexpr uint64_t kOff = 0xfee00100, kOn = 0xfee00900, kX2 = 0xfee00d00, kInvalid = 0xfee00500;
  EXPECT_FALSE(apic.write_msr(kApicBaseMsr, kInvalid));
  EXPECT_TRUE(apic.write_msr(kApicBaseMsr, kX2));
  EXPECT_EQ(apic.page(), std::nullopt);
  EXPECT_FALSE(apic.write_msr(kApicBaseMsr, kOn)) << "from x2APIC only to disabled";
  EXPECT_TRUE(apic.write_msr(kApicBaseMsr, kOff));
  EXPECT_FALSE(apic.write_msr(kApicBaseMsr, kX2)) << "from disabled only to xAPIC";
  EXPECT_TRUE(apic.write_msr(kApicBaseMsr, kOn));
  EXPECT_FALSE(apic.write_msr(kApicBaseMsr, kOn | 1));
  EXPECT_FALSE(apic.write_msr(kApicBaseMsr, kOn | uint64_t{1} << 48));
  EXPECT_TRUE(apic.write_msr(kApicBaseMsr, 0x12345900));
  EXPECT_EQ(apic.page(), 0x12345000u);
  EXPECT_TRUE(apic.write_msr(kApicBaseMsr, 0xfee00800));
  EXPECT_EQ(apic.read_msr(kApicBaseMsr), kOn) << "who boots is not the guest's choice";
}

TEST(ApicBase, DisablingLosesTheState) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  apic.accept(fixed(0x40));
  put(apic, kTpr, 0x20);
  ASSERT_TRUE(apic.write_msr(kApicBaseMsr, 0xfee00000));
  ASSERT_TRUE(apic.write_msr(kApicBaseMsr, 0xfee00800));
  EXPECT_EQ(get(apic, kTpr), 0u);
  EXPECT_EQ(get(apic, kSpurious), 0xffu);
  enable(apic);
  EXPECT_FALSE(apic.has_interrupt());
}

TEST(X2Apic, MsrsFaultOutsideOfTheMode) {
  Machine machine(1);
  EXPECT_EQ(machine[0].read_msr(0x802), std::nullopt);
  EXPECT_FALSE(machine[0].write_msr(0x808, 0));
}

TEST(X2Apic, IdentityIsWide) {
  Machine machine(20);
  ASSERT_TRUE(enter_x2apic(machine[18]));
  EXPECT_EQ(machine[18].read_msr(0x802), 18u);
  EXPECT_EQ(machine[18].read_msr(0x80d), 1u << 16 | 1u << 2);
}

TEST(X2Apic, FaultsWhereTheTableSaysSo) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  ASSERT_TRUE(enter_x2apic(apic));
  for (const uint32_t reg :
       {kId, kVersion, kPpr, kLdr, kIsr, kTmr, kIrr, kCurrentCount, kRemoteRead}) {
    EXPECT_FALSE(apic.write_msr(kX2apicFirst + reg, 0)) << reg << " is read-only";
  }
  for (const uint32_t reg : {kApr, kEoi, kRemoteRead, kDfr, kIcrHigh, kSelfIpi}) {
    EXPECT_EQ(apic.read_msr(kX2apicFirst + reg), std::nullopt) << reg;
  }
  for (const uint32_t reg : {0x00u, 0x04u, 0x2fu, 0x3au, 0x40u, 0xffu}) {
    EXPECT_EQ(apic.read_msr(kX2apicFirst + reg), std::nullopt) << reg;
    EXPECT_FALSE(apic.write_msr(kX2apicFirst + reg, 0)) << reg;
  }
  EXPECT_FALSE(apic.write_msr(0x808, 0x100));
  EXPECT_FALSE(apic.write_msr(0x80b, 1)) << "EOI";
  EXPECT_TRUE(apic.write_msr(0x80b, 0));
  EXPECT_FALSE(apic.write_msr(0x828, 1)) << "ESR";
  EXPECT_FALSE(apic.write_msr(0x80f, 0x1000));
  EXPECT_FALSE(apic.write_msr(0x832, 0x80000));
  EXPECT_FALSE(apic.write_msr(0x838, uint64_t{1} << 32));
  EXPECT_FALSE(apic.write_msr(0x83e, 4));
  EXPECT_FALSE(apic.write_msr(0x83f, 0x100));
  EXPECT_FALSE(apic.write_msr(0x830, 0x30 | 1u << 13));
  EXPECT_FALSE(apic.write_msr(0x830, 0x30 | 1u << 20));
}

TEST(X2Apic, SelfIpi) {
  Machine machine(2);
  ASSERT_TRUE(enter_x2apic(machine[0]));
  enable(machine[1]);
  ASSERT_TRUE(machine[0].write_msr(0x83f, 0x77));
  EXPECT_EQ(machine[0].take_interrupt(), 0x77);
  EXPECT_FALSE(machine[1].has_interrupt());
}

TEST(SavedPage, HasKvmsLayout) {
  Machine machine(3);
  LocalApic& apic = machine[2];
  enable(apic);
  apic.accept(fixed(0x45, true));
  put(apic, kLvtTimer, 0x200ec);
  put(apic, kDivide, 0xb);
  put(apic, kInitialCount, 1'000'000);
  fake_now_ns += 400'000;
  std::array<uint8_t, 1024> page;
  apic.save(page);
  const auto word = [&](size_t offset) {
    uint32_t value;
    std::memcpy(&value, &page[offset], 4);
    return value;
  };
  EXPECT_EQ(word(0x20), 2u << 24);
  EXPECT_EQ(word(0x30), 0x50014u);
  EXPECT_EQ(word(0xf0), 0x1ffu);
  EXPECT_EQ(word(0x1a0), 1u << 5) << "TMR";
  EXPECT_EQ(word(0x220), 1u << 5) << "IRR";
  EXPECT_EQ(word(0x320), 0x200ecu);
  EXPECT_EQ(word(0x380), 1'000'000u);
  EXPECT_EQ(word(0x390), 600'000u);
  ASSERT_TRUE(enter_x2apic(apic));
  apic.save(page);
  EXPECT_EQ(word(0x20), 2u << 24) << "as KVM_GET_LAPIC has it without KVM_CAP_X2APIC_API";
}

TEST(SavedPage, ContinuesInAnotherMachine) {
  Machine from(2), to(2);
  enable(from[1]);
  from[1].accept(fixed(0x45, true));
  ASSERT_EQ(from[1].take_interrupt(), 0x45);
  from[1].accept(fixed(0x91));
  put(from[1], kTpr, 0x10);
  put(from[1], kLvtTimer, 0xec);
  put(from[1], kInitialCount, 1000);
  fake_now_ns += 500;
  std::array<uint8_t, 1024> page;
  from[1].save(page);

  fake_now_ns = 77'000'000;
  ASSERT_TRUE(to[1].load(page));
  EXPECT_EQ(to[1].timer_deadline(), fake_now_ns + 1500);
  EXPECT_NE(to.signals[1].take() & kSignalInterrupt, 0u);
  EXPECT_EQ(to[1].take_interrupt(), 0x91);
  put(to[1], kEoi, 0);
  put(to[1], kEoi, 0);
  EXPECT_EQ(to.controller.ended, std::vector<uint8_t>{0x45});
}

TEST(SavedPage, AnExpiryThatWasDueFiresAfterwards) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  put(apic, kLvtTimer, 0xec);
  put(apic, kInitialCount, 1000);
  fake_now_ns += 10'000;
  std::array<uint8_t, 1024> page;
  apic.save(page);
  ASSERT_TRUE(apic.load(page));
  fake_now_ns += 2;
  apic.update_timer(fake_now_ns);
  EXPECT_EQ(apic.take_interrupt(), 0xec);
}

TEST(SavedPage, ATimerThatStandsDoesNotStart) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  put(apic, kLvtTimer, 0xec);
  put(apic, kInitialCount, 1000);
  fake_now_ns += 10'000;
  apic.update_timer(fake_now_ns);
  put(apic, kLvtTimer, 0x200ec);
  std::array<uint8_t, 1024> page;
  apic.save(page);
  ASSERT_TRUE(apic.load(page));
  EXPECT_EQ(apic.timer_deadline(), 0u);
}

TEST(SavedPage, RefusesAnotherVcpus) {
  Machine machine(2);
  std::array<uint8_t, 1024> page;
  machine[1].save(page);
  EXPECT_FALSE(machine[0].load(page));
}

TEST(SavedPage, RestoresX2ApicOverXApicAndBack) {
  Machine machine(2);
  ASSERT_TRUE(machine[1].restore_base(0xfee00c00));
  EXPECT_EQ(machine[1].read_msr(0x802), 1u);
  ASSERT_TRUE(machine[1].restore_base(0xfee00800));
  EXPECT_EQ(machine[1].page(), 0xfee00000u);
  EXPECT_FALSE(machine[1].restore_base(0xfee00400));
  EXPECT_FALSE(machine[1].restore_base(~uint64_t{0}));
}

// Whatever bytes a snapshot holds, what is loaded is what a guest could have written.
TEST(SavedPage, RandomPagesLoadToAFixedPoint) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    Machine machine(1);
    std::array<uint8_t, 1024> page, once, twice;
    for (auto& byte : page) byte = static_cast<uint8_t>(random());
    std::memset(&page[0x20], 0, 4);
    ASSERT_TRUE(machine[0].load(page));
    machine[0].save(once);
    ASSERT_TRUE(machine[0].load(once));
    machine[0].save(twice);
    EXPECT_EQ(once, twice);
    EXPECT_EQ(get(machine[0], kIrr) & 0xffff, 0u);
    EXPECT_EQ(get(machine[0], kVersion), 0x50014u);
    for (int i = 0; i < 300; ++i) {
      fake_now_ns += 1'000'000;
      machine[0].update_timer(fake_now_ns);
      EXPECT_GE(machine[0].take_interrupt().value_or(kFirstVector), kFirstVector);
      put(machine[0], kEoi, 0);
    }
  }
}

}  // namespace
}  // namespace husk::soft::apic::testing
