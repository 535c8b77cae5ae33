#include "backend/kvm/aarch64/kvm_vm.h"

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/kvm/aarch64/probe.h"
#include "backend/kvm/aarch64/testing/bare_vm.h"

namespace husk::kvm::testing {
namespace {

using ::testing::HasSubstr;

class Vm : public KvmTest {};

// Adds one to the word at [x2 + 4096 n] for n from 0 to 7, and says so, again and again.
HUSK_GUEST(toucher, R"(
    mov  w7, #1
    mov  x2, #0x40100000
1:  mov  x3, #0
2:  lsl  x4, x3, #12
    add  x4, x4, x2
    ldr  w5, [x4]
    add  w5, w5, w7
    str  w5, [x4]
    add  x3, x3, #1
    cmp  x3, #8
    b.lo 2b
    str  w3, [x1]
    b    1b
)")
constexpr uint64_t kTouched = 0x4010'0000;

TEST_F(Vm, TheDirtyLogHasWhatTheGuestWrote) {
  BareVm bare(toucher());
  EXPECT_EQ(bare.written(), 8u);
  ASSERT_TRUE(bare.memory->enable_dirty_tracking());
  EXPECT_THAT(bare.memory->take_dirty_pages().value(), ::testing::IsEmpty());
  EXPECT_EQ(bare.written(), 8u);
  std::vector<Gpa> expected;
  for (uint64_t page = 0; page < 8; ++page) expected.push_back(Gpa{kTouched + page * 4096});
  EXPECT_EQ(bare.memory->take_dirty_pages().value(), expected);
  EXPECT_THAT(bare.memory->take_dirty_pages().value(), ::testing::IsEmpty());
  EXPECT_EQ(bare.written(), 8u);
  EXPECT_EQ(bare.memory->take_dirty_pages().value(), expected);
  ASSERT_TRUE(bare.memory->disable_dirty_tracking());
  EXPECT_EQ(bare.memory->load<uint32_t>(Gpa{kTouched}).value(), 3u);
}

// Tells the first byte of the window, and writes behind it what it is told.
HUSK_GUEST(windowed, R"(
    mov  x2, #0x80000000
1:  ldrb w3, [x2]
    str  w3, [x1]
    ldr  w4, [x1]
    strb w4, [x2, #1]
    b    1b
)")

TEST_F(Vm, AWindowShowsAFile) {
  BareVm bare(windowed());
  const auto window = bare.vm->dax_mapper(0x8000'0000, 1 << 20).value();
  const base::Fd file(::memfd_create("window", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), 4096), 0);
  ASSERT_EQ(::pwrite(file.get(), "A", 1, 0), 1);
  EXPECT_EQ(bare.written(), 0u) << "nothing is shown yet";
  (void)bare.next();
  bare.vcpu().set_read_data(0);
  ASSERT_TRUE(window->map_file(0, file.get(), 0, 4096, true));
  EXPECT_EQ(bare.written(), uint64_t{'A'});
  (void)bare.next();
  bare.vcpu().set_read_data('B');
  EXPECT_EQ(bare.written(), uint64_t{'A'});
  char second = 0;
  ASSERT_EQ(::pread(file.get(), &second, 1, 1), 1);
  EXPECT_EQ(second, 'B');
}

TEST_F(Vm, RefusesWhatItCannotBe) {
  EXPECT_FALSE(KvmVm::create(0));
  const uint32_t most = KvmVm::most_vcpus(System::open().value());
  EXPECT_GE(most, 1u);
  const auto many = KvmVm::create(most + 1);
  ASSERT_FALSE(many);
  EXPECT_THAT(many.error().message(), HasSubstr("must be 1 to"));
  const auto vm = KvmVm::create(2).value();
  EXPECT_FALSE(vm->create_vcpu(1)) << "0 comes first";
  EXPECT_TRUE(vm->create_vcpu(0));
  EXPECT_FALSE(vm->create_vcpu(0));
  EXPECT_TRUE(vm->create_vcpu(1));
  EXPECT_FALSE(vm->create_vcpu(2));
}

TEST_F(Vm, TheProbeMeasures) {
  const auto found = probe();
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_THAT(*found, HasSubstr("million instructions a second"));
}

}  // namespace
}  // namespace husk::kvm::testing
