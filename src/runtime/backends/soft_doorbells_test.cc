// Doorbells of a whole run, on a VM whose bells the test itself rings: what KVM does is not needed
// to see what the machine does with it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <chrono>
#include <latch>
#include <map>
#include <thread>

#include "backend/soft/soft_vm.h"
#include "base/clock.h"
#include "runtime/machine_run.h"
#include "runtime/testing/tiny_kernels.h"

namespace husk::runtime {
namespace {

using namespace testing;               // NOLINT(google-build-using-namespace)
using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

// The built-in CPU's, with bells in front of it that no guest rings.
class RingableVm {
 public:
  using Vcpu = soft::SoftVcpu;
  struct Bell {
    uint32_t size = 0;
    int eventfd = -1;
  };
  using Place = std::pair<uint64_t, uint64_t>;  // address, value
  static inline std::map<Place, Bell> bells;    // of the last VM
  static inline size_t limit = 0;
  static inline bool supported = true;

  static Result<std::unique_ptr<RingableVm>> create(uint32_t vcpus, CpuModel model) {
    bells.clear();
    auto vm = std::make_unique<RingableVm>();
    vm->vm_ = HUSK_TRY(soft::SoftVm::create(vcpus, model));
    return vm;
  }
  Result<void> ring_on_write(uint64_t gpa, uint32_t size, uint64_t value, int eventfd) {
    if (!supported) return fail(ErrorKind::kUnsupported, "bells", "none here");
    if (bells.size() == limit) return fail(ErrorKind::kLimit, "bells", "no more");
    bells[{gpa, value}] = {size, eventfd};
    return {};
  }

  void attach_memory(memory::GuestMemory& memory) { vm_->attach_memory(memory); }
  Result<void> map_ram(std::byte* host, uint64_t gpa, uint64_t length, seam::Prot prot) {
    return vm_->map_ram(host, gpa, length, prot);
  }
  Result<void> unmap_ram(uint64_t gpa, uint64_t length) { return vm_->unmap_ram(gpa, length); }
  auto dax_mapper(uint64_t gpa, uint64_t length) { return vm_->dax_mapper(gpa, length); }
  Result<std::unique_ptr<Vcpu>> create_vcpu(uint32_t id) { return vm_->create_vcpu(id); }
  void set_irq(uint32_t gsi, bool level) { vm_->set_irq(gsi, level); }
  contract::IrqLine irq_line(uint32_t gsi) { return vm_->irq_line(gsi); }
  void attach_controller(contract::InterruptController& chips) { vm_->attach_controller(chips); }
  contract::InterruptSink& interrupt_sink() { return vm_->interrupt_sink(); }
  Result<std::vector<std::byte>> capture_intc() { return vm_->capture_intc(); }
  Result<void> restore_intc(std::span<const std::byte> state) { return vm_->restore_intc(state); }
  static uint64_t host_monotonic_ticks() { return soft::SoftVm::host_monotonic_ticks(); }

 private:
  std::unique_ptr<soft::SoftVm> vm_;
};
static_assert(seam::HasDoorbells<RingableVm> && !seam::HasDoorbells<soft::SoftVm>);

// Two queues; a notification writes a number to guest memory.
constexpr Gpa kNotified{0x30000};

class Counting : public virtio::Device {
 public:
  explicit Counting(memory::GuestMemory& memory) : memory_(memory) {}
  [[nodiscard]] uint32_t id() const override { return 4; }
  [[nodiscard]] uint64_t features() const override { return 0; }
  [[nodiscard]] uint32_t queue_count() const override { return 2; }
  [[nodiscard]] uint8_t read_config(uint64_t) const override { return 0; }
  void activate(uint64_t, std::vector<virtio::Queue>&, virtio::Notifier&) override {}
  void reset() override {}
  Result<void> notified(uint32_t queue) override {
    if (within) within();
    const Gpa at = kNotified + queue * 4u;
    return memory_.store<uint32_t>(at, *memory_.load<uint32_t>(at) + 1);
  }

  std::function<void()> within;

 private:
  memory::GuestMemory& memory_;
};

class RunWithDoorbells : public ::testing::Test {
 protected:
  static constexpr uint64_t kLong = 20'000'000'000;
  struct Dropped : contract::ByteSink {
    void write(std::span<const std::byte>) override {}
  };

  void SetUp() override {
    RingableVm::limit = 100;
    RingableVm::supported = true;
    BoardOptions options;
    options.vcpus = 2;
    run_ = *MachineRunOn<RingableVm>::create(options, *memory_, serial_);
    for (size_t i = 0; i < 2; ++i) {
      auto device = std::make_unique<Counting>(*memory_);
      devices_[i] = device.get();
      ASSERT_TRUE(run_->board().attach_virtio(std::make_unique<virtio::MmioTransport>(
          std::move(device), *memory_, run_->board().next_virtio_line())));
    }
    const auto image = boot::testing::elf32(std::as_bytes(std::span(kSpin)),
                                            static_cast<uint32_t>(boot::testing::kLoadAddress));
    KernelRequest request;
    request.name = "spin";
    request.kernel = image;
    ASSERT_TRUE(run_->load(request));
  }
  void start() {
    ASSERT_TRUE(run_->start([this] { finished_.count_down(); }));
    started_ = true;
  }
  ~RunWithDoorbells() override {
    if (!started_) return;
    run_->end().reach(EndReason::kStopped, 0);
    run_->join();
  }

  void write(uint32_t slot, uint64_t reg, uint32_t value) {
    run_->board().mmio().write(kVirtioBase + slot * kVirtioStride + reg, 4, value);
  }
  // Negotiates and sets queue 1 up, and not queue 0.
  void drive(uint32_t slot) {
    write(slot, 0x70, 3);
    write(slot, 0x24, 1);
    write(slot, 0x20, 1);
    write(slot, 0x70, 11);
    write(slot, 0x30, 1);
    write(slot, 0x38, 16);
    write(slot, 0x80, 0x40000);
    write(slot, 0x90, 0x40400);
    write(slot, 0xa0, 0x40800);
    write(slot, 0x44, 1);
    write(slot, 0x70, 15);
  }
  static void ring(uint32_t slot, uint32_t queue) {
    const auto bell = RingableVm::bells.at({kVirtioBase + slot * kVirtioStride + 0x50, queue});
    EXPECT_EQ(bell.size, 4U);
    EXPECT_EQ(::eventfd_write(bell.eventfd, 1), 0);
  }
  uint32_t notified(uint32_t queue = 1) { return *memory_->load<uint32_t>(kNotified + queue * 4u); }
  bool comes(uint32_t count) {
    for (const uint64_t until = base::monotonic_ns() + kLong; base::monotonic_ns() < until;) {
      if (notified() == count) return true;
      std::this_thread::sleep_for(1ms);
    }
    return false;
  }

  std::unique_ptr<memory::GuestMemory> memory_ = *memory::GuestMemory::create(ram_layout(64 << 20));
  Dropped serial_;
  std::array<Counting*, 2> devices_{};
  std::unique_ptr<MachineRun> run_;
  std::latch finished_{1};
  bool started_ = false;
};

TEST_F(RunWithDoorbells, EveryQueueOfEveryDeviceHasOne) {
  start();
  std::vector<RingableVm::Place> places;
  for (const auto& [place, bell] : RingableVm::bells) places.push_back(place);
  EXPECT_THAT(places, ::testing::ElementsAre(std::pair{0xd0000050, 0}, std::pair{0xd0000050, 1},
                                             std::pair{0xd0001050, 0}, std::pair{0xd0001050, 1}));
}

TEST_F(RunWithDoorbells, ARingIsANotification) {
  start();
  drive(1);
  ring(1, 1);
  EXPECT_TRUE(comes(1));
}

TEST_F(RunWithDoorbells, WithoutADriverOrAQueueARingIsNothing) {
  start();
  ring(0, 1);
  drive(1);
  ring(1, 0);
  ring(1, 1);
  ASSERT_TRUE(comes(1));
  write(1, 0x70, 0);
  const uint32_t at_reset = notified();
  ring(1, 1);
  ASSERT_TRUE(run_->pause(kLong));
  EXPECT_EQ(notified(0), 0U);
  EXPECT_EQ(notified(), at_reset);
}

TEST_F(RunWithDoorbells, AResetThatOvertakesARingLosesNothing) {
  std::latch inside(1), go_on(1);
  devices_[0]->within = [&] {
    inside.count_down();
    go_on.wait();
  };
  start();
  drive(0);
  drive(1);
  ring(0, 1);
  inside.wait();  // the doorbells' thread is busy, with the other device
  ring(1, 1);
  write(1, 0x70, 0);
  EXPECT_EQ(notified(), 1U) << "served before the queue went";
  go_on.count_down();
  EXPECT_TRUE(comes(2)) << "the other device's own";
}

TEST_F(RunWithDoorbells, APausedMachinesMemoryStaysAsItIs) {
  start();
  drive(0);
  for (uint32_t round = 0; round < 20; ++round) {
    ring(0, 1);
    ASSERT_TRUE(run_->pause(kLong));
    EXPECT_EQ(notified(), 2 * round + 1) << "what rang before the pause is done";
    ring(0, 1);
    std::this_thread::sleep_for(5ms);
    EXPECT_EQ(notified(), 2 * round + 1);
    run_->resume();
    ASSERT_TRUE(comes(2 * round + 2));
  }
}

TEST_F(RunWithDoorbells, ADeviceThatIsNotDoneInTimeIsNoPause) {
  std::latch inside(1), go_on(1);
  devices_[0]->within = [&] {
    inside.count_down();
    go_on.wait();
  };
  start();
  drive(0);
  ring(0, 1);
  inside.wait();
  EXPECT_FALSE(run_->pause(50'000'000));
  const uint32_t count = *memory_->load<uint32_t>(Gpa{kCounter});
  std::this_thread::sleep_for(50ms);
  EXPECT_NE(*memory_->load<uint32_t>(Gpa{kCounter}), count) << "the vCPUs run on";
  go_on.count_down();
  EXPECT_TRUE(comes(1));
  EXPECT_TRUE(run_->pause(kLong));
}

TEST_F(RunWithDoorbells, AtTheEndWhatHasRungIsServedAndThenNothing) {
  start();
  drive(0);
  devices_[0]->within = [] { std::this_thread::sleep_for(20ms); };
  ring(0, 1);
  run_->end().reach(EndReason::kStopped, 0);
  finished_.wait();
  EXPECT_EQ(notified(), 1U);
  ring(0, 1);
  std::this_thread::sleep_for(30ms);
  EXPECT_EQ(notified(), 1U);
}

TEST_F(RunWithDoorbells, APausedMachineCanEnd) {
  start();
  drive(0);
  ASSERT_TRUE(run_->pause(kLong));
  run_->end().reach(EndReason::kStopped, 0);
  finished_.wait();
}

TEST_F(RunWithDoorbells, WhereTheHostHasNoneANotificationIsAnExit) {
  RingableVm::supported = false;
  start();
  EXPECT_TRUE(RingableVm::bells.empty());
  drive(1);
  write(1, 0x50, 1);
  EXPECT_EQ(notified(), 1U) << "served by the writer's thread";
  ASSERT_TRUE(run_->pause(kLong));
  run_->resume();
}

TEST_F(RunWithDoorbells, ABellThatCannotBeHungIsAnErrorAndNothingRuns) {
  RingableVm::limit = 2;
  const auto started = run_->start([] { FAIL(); });
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind, ErrorKind::kLimit);
  EXPECT_EQ(*memory_->load<uint32_t>(Gpa{kCounter}), 0U);
}

}  // namespace
}  // namespace husk::runtime
