// Snapshots of machines that write all the time: what is in the files is what memory was, whether
// full, diff or live, and a diff costs what was written.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "runtime/capture.h"
#include "runtime/hypervisor.h"
#include "runtime/machine_snapshot.h"
#include "runtime/testing/tiny_kernels.h"
#include "snapshot/restore.h"
#include "snapshot/verify.h"

namespace husk::runtime {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using snapshot::Chain;
using snapshot::Location;
using snapshot::Sha256;

constexpr uint64_t kFirst = 20 << 20;
constexpr uint64_t kMuch = 16 << 20, kLittle = 2 << 20;  // to write
constexpr uint64_t kMemory = 40 << 20;

// Writes a number that grows into each page of so many bytes from kFirst on, for ever.
std::vector<uint8_t> writer(uint64_t bytes) {
  const uint64_t end = kFirst + bytes;
  const auto byte = [end](int n) { return static_cast<uint8_t>(end >> 8 * n); };
  return {0xbf, 0x00, 0x00,    0x40,    0x01,              // mov edi, kFirst
          0x40,                                            // inc eax
          0x89, 0x07,                                      // mov [edi], eax
          0x81, 0xc7, 0x00,    0x10,    0x00,    0x00,     // add edi, 0x1000
          0x81, 0xff, byte(0), byte(1), byte(2), byte(3),  // cmp edi, end
          0x72, 0xef,                                      // jb inc
          0xeb, 0xe8};                                     // jmp mov
}

class Capture : public ::testing::Test {
 protected:
  // A machine that has not started.
  ManagedMachine& make(uint64_t memory) {
    kernel_.emplace(writer(written_));
    auto vm = hypervisor_->create_vm(
        machine::VmConfig::builder().memory_bytes(memory).kernel(kernel_->path()).build().value());
    vm_ = std::move(vm).value();
    auto& machine = *vm_->as<ManagedMachine>();
    capturer_ = std::make_unique<Capturer>(machine);
    return machine;
  }
  ManagedMachine& start(uint64_t memory = kMemory) {
    ManagedMachine& machine = make(memory);
    EXPECT_TRUE(machine.start());
    return machine;
  }
  ManagedMachine& machine() { return *vm_->as<ManagedMachine>(); }
  // Returns when every page of the guest's was written once more.
  void let_it_write() {
    end_a_pass();
    end_a_pass();
  }
  void end_a_pass() {
    const uint32_t from = last_word();
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (last_word() == from && machine().state() == machine::VmState::kRunning &&
           std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ASSERT_NE(last_word(), from);
  }
  uint32_t last_word() {
    uint32_t word = 0;
    EXPECT_TRUE(vm_->memory().read(machine::GuestAddress{kFirst + written_ - kPageSize},
                                   std::as_writable_bytes(std::span(&word, 1))));
    return word;
  }
  [[nodiscard]] std::string path(const std::string& name) const { return directory_ / name; }
  [[nodiscard]] CaptureRequest request(const std::string& name) const {
    return {*Location::parse(path(name))};
  }
  Result<CaptureReport> take(const CaptureRequest& request) {
    return capturer_->capture(request, [this]() -> Result<snapshot::Contents> {
      if (digesting_) digest_ = snapshot::sha256(machine().guest_memory().bytes());
      return to_contents(HUSK_TRY(machine().capture()));
    });
  }
  static Sha256 digest_of(const std::string& path) {
    const auto chain = Chain::open(path);
    if (!chain) return {};
    return snapshot::sha256((*snapshot::restore_memory(*chain))->bytes());
  }

  std::unique_ptr<machine::Hypervisor> hypervisor_ = open_hypervisor("soft").value();
  uint64_t written_ = kLittle;
  std::optional<KernelFile> kernel_;
  oci::testing::TempDirectory directory_;
  std::unique_ptr<machine::VirtualMachine> vm_;
  std::unique_ptr<Capturer> capturer_;
  bool digesting_ = true;
  Sha256 digest_{};  // of memory, at the last capture while digesting_
};

template <class T>
std::string error_of(const Result<T>& result) {
  return result ? "no error" : result.error().message();
}

TEST_F(Capture, AChainOfFiftyIsWhatMemoryWas) {
  start();
  let_it_write();
  ASSERT_TRUE(take(request("0")));
  for (int link = 1; link < 50; ++link) {
    auto next = request(std::to_string(link));
    next.diff = true;
    digesting_ = link % 10 == 9;
    next.live = link % 5 == 0;
    next.write.compress = link % 7 == 0;
    const auto taken = take(next);
    ASSERT_TRUE(taken) << error_of(taken);
    if (digesting_) {
      EXPECT_EQ(digest_of(next.to.path()), digest_) << link;
    }
  }
  machine().halt();
  const auto chain = Chain::open(path("49"));
  ASSERT_TRUE(chain);
  EXPECT_EQ(chain->links().size(), 50U);
  EXPECT_TRUE(snapshot::verify(*chain).empty());
  ASSERT_TRUE(snapshot::flatten(*chain, path("flat")));
  EXPECT_EQ(digest_of(path("flat")), digest_);
}

TEST_F(Capture, ADiffCostsWhatWasWritten) {
  written_ = kMuch;
  start(512 << 20);
  let_it_write();
  digesting_ = false;
  ASSERT_TRUE(take(request("full")));
  digesting_ = true;
  let_it_write();
  auto diff = request("diff");
  diff.diff = true;
  const auto taken = take(diff);
  ASSERT_TRUE(taken) << error_of(taken);
  EXPECT_GE(std::filesystem::file_size(path("diff")), kMuch);
  EXPECT_LT(std::filesystem::file_size(path("diff")), kMuch * 3 / 2);
  EXPECT_EQ(digest_of(path("diff")), digest_);
}

// Whether the guest writes while it is copied is chance; that it sometimes does is seen to.
TEST_F(Capture, ALiveOneIsWhatMemoryWasWhenTheGuestStood) {
  start();
  let_it_write();
  uint64_t copied_again = 0;
  for (int number = 0; number < 200 && (number < 3 || copied_again == 0); ++number) {
    auto live = request(std::to_string(number));
    live.live = true;
    const auto taken = take(live);
    ASSERT_TRUE(taken) << error_of(taken);
    EXPECT_GE(taken->rounds, 1U);
    EXPECT_EQ(digest_of(live.to.path()), digest_);
    std::filesystem::remove(live.to.path());
    copied_again += taken->copied_again;
    let_it_write();  // it goes on
  }
  EXPECT_GT(copied_again, 0U);
}

TEST_F(Capture, ARestoredMachineGoesOnWithDiffs) {
  start();
  let_it_write();
  ASSERT_TRUE(take(request("first")));
  machine().halt();

  const auto chain = Chain::open(path("first"));
  ASSERT_TRUE(chain);
  ManagedMachine& again = make(kMemory);
  MachineExtras extras;
  extras.track_writes = true;
  ASSERT_TRUE(again.set_extras(std::move(extras)));
  const auto state = from_contents(chain->tip().contents());
  ASSERT_TRUE(state) << error_of(state);
  capturer_->set_last(link_of(request("first").to, chain->tip().id()));
  ASSERT_TRUE(again.start_from(*state, *snapshot::restore_memory(*chain)));
  let_it_write();
  auto diff = request("second");
  diff.diff = true;
  const auto taken = take(diff);
  ASSERT_TRUE(taken) << error_of(taken);
  EXPECT_LT(std::filesystem::file_size(path("second")), kLittle * 3 / 2);
  EXPECT_EQ(digest_of(path("second")), digest_);
}

TEST_F(Capture, AFailedOneLosesNothingOfTheNext) {
  start();
  let_it_write();
  ASSERT_TRUE(take(request("first")));
  let_it_write();
  auto taken_name = request("first");
  taken_name.diff = true;
  EXPECT_EQ(error_of(take(taken_name)),
            path("first") + ": exists; a snapshot never replaces another");
  auto next = request("next");
  next.diff = true;
  ASSERT_TRUE(take(next));
  EXPECT_EQ(digest_of(path("next")), digest_);
  let_it_write();  // it goes on
}

TEST_F(Capture, RefusesADiffThatHasNothingToBuildOn) {
  start();
  auto diff = request("diff");
  diff.diff = true;
  EXPECT_EQ(error_of(take(diff)), path("diff") + ": a diff needs a snapshot of this machine to " +
                                      "build on; there is none yet");
  ASSERT_TRUE(take(request("first")));
  std::filesystem::create_directory(path("other"));
  auto elsewhere = request("other/diff");
  elsewhere.diff = true;
  EXPECT_EQ(error_of(take(elsewhere)),
            path("other/diff") + ": a diff lies beside the snapshot that it builds on, in " +
                directory_.path());
}

TEST_F(Capture, RefusesADiskThatTheGuestMayWriteTo) {
  const std::string disk = path("disk");
  std::ofstream(disk) << std::string(4096, 'x');
  ManagedMachine& machine = make(kMemory);
  ASSERT_TRUE(machine.add_virtio_device(VirtioDeviceConfig::block(disk, false)));
  ASSERT_TRUE(machine.start());
  EXPECT_EQ(error_of(take(request("one"))),
            disk + ": is a disk that the guest may write to; no snapshot can keep it yet");
  EXPECT_FALSE(std::filesystem::exists(path("one")));
}

TEST_F(Capture, RefusesAMachineThatHasEnded) {
  start();
  machine().halt();
  EXPECT_FALSE(take(request("one")));
  EXPECT_FALSE(std::filesystem::exists(path("one")));
}

}  // namespace
}  // namespace husk::runtime
