#include "backend/soft/soft_vm.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "backend/soft/interp/known_code.h"
#include "base/fd.h"

namespace husk::soft {
namespace {

constexpr uint64_t kPage = 4096, kCode = 0x1000, kWindow = 0x20000;

// A vCPU in real mode that runs what lies at 0000:1000, in 64 KiB of RAM below a window for files.
class SoftVmTest : public ::testing::Test {
 protected:
  SoftVmTest() {
    EXPECT_TRUE(vm->map_ram(ram.data(), 0, ram.size(), seam::Prot::kReadWriteExec));
    dax = std::move(*vm->dax_mapper(kWindow, 4 * kPage));
    vcpu = std::move(*vm->create_vcpu(0));
  }
  void load(std::initializer_list<uint8_t> code) {
    std::ranges::transform(code, ram.begin() + kCode, [](uint8_t b) { return std::byte{b}; });
    auto state = *vcpu->capture_snapshot();
    state.segments[contract::x86::kCs].selector = 0;
    state.segments[contract::x86::kCs].base = 0;
    state.rip = kCode;
    state.gpr[contract::x86::kRsp] = 0x8000;
    ASSERT_TRUE(vcpu->restore_snapshot(state));
  }
  // What the guest writes to port 0x80 next.
  uint64_t next_output() {
    const seam::VcpuExit exit = vcpu->step();
    EXPECT_EQ(exit.kind, seam::VcpuExit::Kind::kIo);
    EXPECT_EQ(exit.port, 0x80);
    return exit.data;
  }
  static base::Fd file_of(std::string_view bytes) {
    base::Fd file(::memfd_create("dax-test", MFD_CLOEXEC));
    EXPECT_EQ(::ftruncate(file.get(), kPage), 0);
    EXPECT_EQ(::pwrite(file.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
    return file;
  }

  alignas(kPage) static inline std::array<std::byte, 0x10000> ram{};
  std::unique_ptr<SoftVm> vm = std::move(*SoftVm::create(1));
  std::unique_ptr<DaxMapper> dax;
  std::unique_ptr<SoftVcpu> vcpu;
};

TEST_F(SoftVmTest, FilesAreSeenThroughTheDaxWindowWhileTheGuestRuns) {
  load({0xb8, 0x00, 0x20, 0x8e, 0xd8,  // mov ax, 2000h; mov ds, ax
        0xa0, 0x00, 0x00,              // again: mov al, [0]
        0xe6, 0x80,                    // out 80h, al
        0xeb, 0xf9});                  // jmp again
  EXPECT_EQ(next_output(), 0u) << "empty";
  ASSERT_TRUE(dax->map_file(0, file_of("A").get(), 0, kPage, false));
  EXPECT_EQ(next_output(), 'A');
  ASSERT_TRUE(dax->map_file(0, file_of("B").get(), 0, kPage, false));
  EXPECT_EQ(next_output(), 'B');
  ASSERT_TRUE(dax->unmap(0, kPage));
  EXPECT_EQ(next_output(), 0u);
}

TEST_F(SoftVmTest, ARestoreLeavesMemoryAsItIs) {
  ram.fill(std::byte{0x5a});
  ASSERT_TRUE(vcpu->restore_snapshot(*vcpu->capture_snapshot()));
  EXPECT_TRUE(std::ranges::all_of(ram, [](std::byte b) { return b == std::byte{0x5a}; }));
}

TEST_F(SoftVmTest, WritesThroughTheWindowReachSharedFilesOnly) {
  load({0xb8, 0x00, 0x20, 0x8e, 0xd8,  // mov ax, 2000h; mov ds, ax
        0xb0, 0x77, 0xa2, 0x00, 0x00,  // again: mov al, 77h; mov [0], al
        0xe6, 0x80, 0xeb, 0xf7});      // out 80h, al; jmp again
  const base::Fd kept = file_of("k"), changed = file_of("c");
  const auto first = [](const base::Fd& file) {
    char c = 0;
    EXPECT_EQ(::pread(file.get(), &c, 1, 0), 1);
    return c;
  };
  ASSERT_TRUE(dax->map_file(0, kept.get(), 0, kPage, false));
  next_output();
  EXPECT_EQ(first(kept), 'k');
  ASSERT_TRUE(dax->map_file(0, changed.get(), 0, kPage, true));
  next_output();
  EXPECT_EQ(first(changed), 0x77);
}

TEST_F(SoftVmTest, CodeInTheWindowIsTheFilesThatIsShown) {
  load({0x9a, 0x00, 0x00, 0x00, 0x20,  // again: call 2000:0000
        0xe6, 0x80, 0xeb, 0xf7});      // out 80h, al; jmp again
  const base::Fd one = file_of("\xb0\x01\xcb"), two = file_of("\xb0\x02\xcb");  // mov al, n; retf
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(dax->map_file(0, one.get(), 0, kPage, false));
    for (int i = 0; i < 5; ++i) EXPECT_EQ(next_output(), 1u);
    ASSERT_TRUE(dax->map_file(0, two.get(), 0, kPage, false));
    for (int i = 0; i < 5; ++i) EXPECT_EQ(next_output(), 2u);
  }
}

TEST_F(SoftVmTest, KnownCodeIsExecutedAndOtherCodeInItsPlaceToo) {
  auto& known = interp::KnownCode::of_process();
  const auto run = [&](uint8_t value) {
    vcpu.reset();
    vm = std::move(*SoftVm::create(1));
    ASSERT_TRUE(vm->map_ram(ram.data(), 0, ram.size(), seam::Prot::kReadWriteExec));
    vcpu = std::move(*vm->create_vcpu(0));
    load({0xb0, value, 0xe6, 0x80, 0xeb, 0xfa});  // again: mov al, value; out 80h, al; jmp again
    for (int i = 0; i < 3; ++i) EXPECT_EQ(next_output(), value);
  };
  known.learn(true);
  run(1);
  known.learn(false);
  const std::span code(reinterpret_cast<const uint8_t*>(ram.data()) + kCode, 64);
  EXPECT_NE(known.find(kCode << 2 | static_cast<uint64_t>(decode::CodeSize::k16), code), nullptr);
  run(1);
  run(2);
}

TEST_F(SoftVmTest, AWindowMustNotLieOnRam) {
  EXPECT_FALSE(vm->dax_mapper(0, kPage));
  EXPECT_FALSE(vm->dax_mapper(kWindow, kPage));
  EXPECT_FALSE(vm->dax_mapper(0x100000, 100));
}

}  // namespace
}  // namespace husk::soft
