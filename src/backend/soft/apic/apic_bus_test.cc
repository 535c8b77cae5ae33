#include "backend/soft/apic/apic_bus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "backend/soft/apic/apic_test_rig.h"

namespace husk::soft::apic::testing {
namespace {

using contract::DeliveryMode;
using contract::InterruptMessage;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Who has `vector` requested; the requests are taken.
std::vector<uint32_t> receivers(Machine& machine, uint8_t vector) {
  std::vector<uint32_t> ids;
  for (auto& apic : machine.apics) {
    if (apic->take_interrupt() != vector) continue;
    ids.push_back(apic->id());
    put(*apic, kEoi, 0);  // the page's registers are the same ones in either mode
  }
  return ids;
}

Machine& enabled(Machine& machine) {
  for (auto& apic : machine.apics) enable(*apic);
  return machine;
}

void send_xapic(LocalApic& apic, uint8_t destination, uint32_t low) {
  put(apic, kIcrHigh, uint32_t{destination} << 24);
  put(apic, kIcrLow, low);
}

TEST(ApicBus, PhysicalDestinationAndBroadcast) {
  Machine machine(3);
  enabled(machine);
  machine.bus.deliver({.destination = 1, .vector = 0x40});
  EXPECT_THAT(receivers(machine, 0x40), ElementsAre(1));
  machine.bus.deliver({.destination = 0xff, .vector = 0x41});
  EXPECT_THAT(receivers(machine, 0x41), ElementsAre(0, 1, 2));
  machine.bus.deliver({.destination = 9, .vector = 0x42});
  EXPECT_THAT(receivers(machine, 0x42), IsEmpty());
}

TEST(ApicBus, FlatLogicalDestination) {
  Machine machine(3);
  enabled(machine);
  for (uint32_t i = 0; i < 3; ++i) put(machine[i], kLdr, (1u << i) << 24);
  machine.bus.deliver({.destination = 0b101, .logical = true, .vector = 0x40});
  EXPECT_THAT(receivers(machine, 0x40), ElementsAre(0, 2));
}

TEST(ApicBus, ClusterLogicalDestination) {
  Machine machine(3);
  enabled(machine);
  const uint32_t ldr[] = {0x11, 0x12, 0x21};
  for (uint32_t i = 0; i < 3; ++i) {
    put(machine[i], kDfr, 0);
    put(machine[i], kLdr, ldr[i] << 24);
  }
  machine.bus.deliver({.destination = 0x13, .logical = true, .vector = 0x40});
  EXPECT_THAT(receivers(machine, 0x40), ElementsAre(0, 1));
  machine.bus.deliver({.destination = 0x21, .logical = true, .vector = 0x40});
  EXPECT_THAT(receivers(machine, 0x40), ElementsAre(2));
}

TEST(ApicBus, X2ApicLogicalDestinationAndBroadcast) {
  Machine machine(20);
  enabled(machine);
  for (auto& apic : machine.apics) ASSERT_TRUE(enter_x2apic(*apic));
  const uint64_t cluster_1_low_two = uint64_t{1} << 48 | uint64_t{3} << 32;
  ASSERT_TRUE(machine[0].write_msr(0x830, cluster_1_low_two | 1u << 11 | 0x40));
  EXPECT_THAT(receivers(machine, 0x40), ElementsAre(16, 17));
  ASSERT_TRUE(machine[0].write_msr(0x830, 0xffffffff00000041));
  EXPECT_EQ(receivers(machine, 0x41).size(), 20u);
}

TEST(ApicBus, ModesMayBeMixed) {
  Machine machine(2);
  enabled(machine);
  ASSERT_TRUE(enter_x2apic(machine[1]));
  send_xapic(machine[0], 1, 0x40);
  EXPECT_THAT(receivers(machine, 0x40), ElementsAre(1));
  ASSERT_TRUE(machine[1].write_msr(0x830, 0x41));
  EXPECT_THAT(receivers(machine, 0x41), ElementsAre(0));
}

TEST(ApicBus, Shorthands) {
  Machine machine(3);
  enabled(machine);
  send_xapic(machine[1], 0, 1u << 18 | 0x40);
  EXPECT_THAT(receivers(machine, 0x40), ElementsAre(1));
  send_xapic(machine[1], 0, 2u << 18 | 0x41);
  EXPECT_THAT(receivers(machine, 0x41), ElementsAre(0, 1, 2));
  send_xapic(machine[1], 0, 3u << 18 | 0x42);
  EXPECT_THAT(receivers(machine, 0x42), ElementsAre(0, 2));
}

TEST(ApicBus, IcrReadsBackWithoutDeliveryStatus) {
  Machine machine(2);
  enabled(machine);
  send_xapic(machine[0], 1, 0x5040);
  EXPECT_EQ(get(machine[0], kIcrLow), 0x4040u);
  EXPECT_EQ(get(machine[0], kIcrHigh), 1u << 24);
}

TEST(ApicBus, IllegalVectorIsTheSendersError) {
  Machine machine(2);
  enabled(machine);
  send_xapic(machine[0], 1, 0x0f);
  put(machine[0], kEsr, 0);
  EXPECT_EQ(get(machine[0], kEsr), kErrorSendIllegal);
  EXPECT_FALSE(machine[1].has_interrupt());
}

TEST(ApicBus, InitStartupAndNmi) {
  Machine machine(2);
  send_xapic(machine[0], 1, 0x4500);
  EXPECT_EQ(machine.signals[1].take(), kSignalInit);
  send_xapic(machine[0], 1, 0x8500);
  EXPECT_EQ(machine.signals[1].take(), 0u) << "the level de-assert does nothing";
  send_xapic(machine[0], 1, 0x0500);
  EXPECT_EQ(machine.signals[1].take(), kSignalInit)
      << "edge-triggered, the level bit has no meaning";
  send_xapic(machine[0], 1, 0x4698);
  EXPECT_EQ(machine.signals[1].take(), kSignalStartup);
  EXPECT_EQ(machine[1].startup_vector(), 0x98);
  send_xapic(machine[0], 1, 0x4400);
  EXPECT_EQ(machine.signals[1].take(), kSignalNmi);
  send_xapic(machine[0], 1, 0x4720);
  send_xapic(machine[0], 1, 0x4320);
  send_xapic(machine[0], 1, 0x4220);
  EXPECT_EQ(machine.signals[1].take(), 0u) << "ExtINT, reserved and SMI are no IPIs here";
}

TEST(ApicBus, LowestPriorityTakesTheLeastBusyAndEqualsInTurn) {
  Machine machine(3);
  enabled(machine);
  const InterruptMessage message{
      .destination = 0xff, .mode = DeliveryMode::kLowestPriority, .vector = 0x90};
  put(machine[0], kTpr, 0x40);
  put(machine[1], kTpr, 0x30);
  put(machine[2], kTpr, 0x40);
  machine.bus.deliver(message);
  EXPECT_THAT(receivers(machine, 0x90), ElementsAre(1));
  put(machine[1], kTpr, 0x40);
  std::vector<int> hits(3);
  for (int i = 0; i < 30; ++i) {
    machine.bus.deliver(message);
    const auto who = receivers(machine, 0x90);
    ASSERT_EQ(who.size(), 1u);
    ++hits[who[0]];
  }
  EXPECT_THAT(hits, ElementsAre(10, 10, 10));
  put(machine[0], kSpurious, 0xff);
  put(machine[1], kSpurious, 0xff);
  machine.bus.deliver(message);
  EXPECT_THAT(receivers(machine, 0x90), ElementsAre(2)) << "a disabled APIC takes no part";
}

TEST(ApicBus, WithoutAControllerAnExtintIsNotTaken) {
  Machine machine(1);
  machine.bus.set_controller(nullptr);
  machine.bus.set_extint(true);
  EXPECT_EQ(machine[0].take_interrupt(), std::nullopt);
  machine[0].accept(fixed(0x50, true));
  ASSERT_EQ(machine[0].take_interrupt(), 0x50);
  put(machine[0], kEoi, 0);
}

// Two vCPUs answer each other's IPIs, asleep in between, while a device thread sends to both: every
// IPI arrives, what the sender wrote before it is seen (a plain variable: ThreadSanitizer watches),
// and nothing hangs.
TEST(ApicBus, TwoVcpusExchangeIpis) {
  constexpr uint32_t kRounds = 20'000;
  Machine machine(2);
  enabled(machine);
  uint64_t baton = 0;
  std::atomic<uint64_t> device_interrupts{0};
  const auto run = [&](uint32_t self, bool starts) {
    LocalApic& apic = machine[self];
    const uint8_t other = static_cast<uint8_t>(1 - self);
    if (starts) send_xapic(apic, other, 0x40);
    for (uint32_t received = 0; received < kRounds;) {
      machine.signals[self].take();
      const auto vector = apic.take_interrupt();
      if (!vector) {
        machine.signals[self].wait(0);
        continue;
      }
      put(apic, kEoi, 0);
      if (*vector != 0x40) {
        device_interrupts.fetch_add(1, std::memory_order_relaxed);
        continue;
      }
      ++received;
      ++baton;
      send_xapic(apic, other, 0x40);
    }
  };
  std::atomic<bool> stop{false};
  std::thread device([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      machine.bus.deliver(
          {.destination = 0xff, .mode = DeliveryMode::kLowestPriority, .vector = 0x80});
      machine.bus.deliver({.destination = 1, .vector = 0x81, .level_triggered = false});
      std::this_thread::yield();
    }
  });
  std::thread second([&] { run(1, false); });
  run(0, true);
  second.join();
  stop = true;
  device.join();
  EXPECT_EQ(baton, 2u * kRounds);
  EXPECT_GT(device_interrupts.load(), 0u);
}

}  // namespace
}  // namespace husk::soft::apic::testing
