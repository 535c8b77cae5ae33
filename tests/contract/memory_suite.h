// Mapping, windows of files, and what guests wrote.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <set>
#include <thread>

#include "base/fd.h"
#include "suite.h"

namespace husk::contract_tests {

template <class Vm>
class Memory : public BackendTest<Vm> {};
TYPED_TEST_SUITE_P(Memory);

TYPED_TEST_P(Memory, WhatIsMappedIsTheHostsMemory) {
  Machine<TypeParam> machine;
  machine.load(PROGRAM(store), {kData, 0x0123456789abcdef});
  EXPECT_EQ(machine.report(), 0x0123456789abcdefU);
  EXPECT_EQ(*machine.memory->template load<uint64_t>(Gpa{kData}), 0x0123456789abcdefU);
  machine.load(PROGRAM(load), {kData});
  EXPECT_EQ(machine.report(), 0x0123456789abcdefU);
  ASSERT_TRUE(machine.memory->template store<uint64_t>(Gpa{kData}, 42));
  EXPECT_EQ(machine.report(), 42U);
}

TYPED_TEST_P(Memory, MapsAndUnmapsBetweenSteps) {
  Machine<TypeParam> machine;
  alignas(4096) static std::array<std::byte, 8192> extra;
  extra.fill(std::byte{7});
  ASSERT_TRUE(machine.vm->map_ram(extra.data(), kDevice, extra.size(), seam::Prot::kReadWriteExec));
  machine.load(PROGRAM(load), {kDevice + 4096});
  EXPECT_EQ(machine.report(), 0x0707070707070707U);
  ASSERT_TRUE(machine.vm->unmap_ram(kDevice, extra.size()));
  const seam::VcpuExit exit = machine.next();
  EXPECT_EQ(exit.phys_addr, kDevice + 4096) << "it is device space now";
  EXPECT_FALSE(exit.write);
  machine.vcpu().set_read_data(5);
  EXPECT_EQ(machine.report(), 5U);
}

TYPED_TEST_P(Memory, RefusesWhatCannotBeMapped) {
  Machine<TypeParam> machine;
  alignas(4096) static std::array<std::byte, 8192> extra;
  const auto map = [&](uint64_t gpa, uint64_t length) {
    const auto result = machine.vm->map_ram(extra.data(), gpa, length, seam::Prot::kReadWriteExec);
    return result ? "mapped" : result.error().message();
  };
  for (const auto& [gpa, length] : {std::pair{kDevice + 1, uint64_t{4096}},
                                    {kDevice, uint64_t{100}},
                                    {kDevice, uint64_t{0}},
                                    {kRamBase + kRamSize - 4096, uint64_t{8192}},
                                    {~uint64_t{4095}, uint64_t{8192}}})
    EXPECT_NE(map(gpa, length), "mapped") << std::hex << gpa << "+" << length;
  EXPECT_FALSE(machine.vm->unmap_ram(kDevice, 4096)) << "was never mapped";
  EXPECT_EQ(machine.vm->unmap_ram(kDevice, 4096).error().kind, ErrorKind::kNotFound);
  machine.load(PROGRAM(store), {kData, 1});
  EXPECT_EQ(machine.report(), 1U) << "and nothing is lost by it";
}

TYPED_TEST_P(Memory, FilesAreSeenThroughAWindow) {
  Machine<TypeParam> machine;
  base::Fd file(::memfd_create("contract", MFD_CLOEXEC));
  const uint64_t content = 0x1122334455667788;
  ASSERT_EQ(::ftruncate(file.get(), 4096), 0);
  ASSERT_EQ(::pwrite(file.get(), &content, 8, 0), 8);
  auto window = machine.vm->dax_mapper(kDevice, 8 * 4096);
  ASSERT_TRUE(window) << window.error().message();
  machine.load(PROGRAM(load), {kDevice + 4096});
  EXPECT_EQ(machine.report(), 0U) << "what is not mapped reads as zeroes";
  ASSERT_TRUE((*window)->map_file(4096, file.get(), 0, 4096, true));
  EXPECT_EQ(machine.report(), content);
  machine.load(PROGRAM(store), {kDevice + 4096, 99});
  EXPECT_EQ(machine.report(), 99U);
  uint64_t written = 0;
  ASSERT_EQ(::pread(file.get(), &written, 8, 0), 8);
  EXPECT_EQ(written, 99U) << "a shared window writes to the file";
  ASSERT_TRUE((*window)->unmap(4096, 4096));
  machine.load(PROGRAM(load), {kDevice + 4096});
  EXPECT_EQ(machine.report(), 0U);
}

constexpr uint64_t kPages = 2048;  // that a guest may touch
constexpr uint64_t kFirstPage = kData + 0x400000;
constexpr uint64_t kList = kData;  // where the guest finds their addresses

// Has the guest write to these pages, each as often as it is listed.
template <class M>
void touch(M& machine, const std::vector<uint64_t>& pages) {
  for (size_t i = 0; i < pages.size(); ++i)
    ASSERT_TRUE(machine.memory->template store<uint64_t>(Gpa{kList + i * 8}, pages[i]));
  machine.load(PROGRAM(touch), {kList, pages.size()});
  EXPECT_EQ(machine.report(), pages.size());
}

// The pages among those that guests touch.
inline std::set<uint64_t> touched(const std::vector<Gpa>& pages) {
  std::set<uint64_t> result;
  for (const Gpa page : pages) {
    if (page.value >= kFirstPage && page.value < kFirstPage + kPages * 4096)
      result.insert(page.value);
  }
  return result;
}

TYPED_TEST_P(Memory, DirtyPagesAreThoseThatTheGuestWrote) {
  Machine<TypeParam> machine;
  std::mt19937_64 random(1);
  touch(machine, {kFirstPage});
  ASSERT_TRUE(machine.memory->enable_dirty_tracking());
  EXPECT_TRUE(touched(machine.memory->take_dirty_pages().value()).empty()) << "from before";
  for (int round = 0; round < 30; ++round) {
    std::vector<uint64_t> pages;
    std::set<uint64_t> expected;
    for (uint64_t i = random() % 300 + 1; i > 0; --i) {
      pages.push_back(kFirstPage + random() % kPages * 4096 + random() % 4096);
      expected.insert(pages.back() & ~uint64_t{4095});
    }
    touch(machine, pages);
    ASSERT_EQ(touched(machine.memory->take_dirty_pages().value()), expected) << "round " << round;
  }
  EXPECT_TRUE(touched(machine.memory->take_dirty_pages().value()).empty()) << "each is told once";
  ASSERT_TRUE(machine.memory->disable_dirty_tracking());
  touch(machine, {kFirstPage});
  ASSERT_TRUE(machine.memory->enable_dirty_tracking());
  EXPECT_TRUE(touched(machine.memory->take_dirty_pages().value()).empty()) << "while it was off";
}

// What of `all` is not in `some`.
inline std::vector<uint64_t> missing_from(const std::set<uint64_t>& some,
                                          const std::set<uint64_t>& all) {
  std::vector<uint64_t> result;
  std::ranges::set_difference(all, some, std::back_inserter(result));
  return result;
}

// A million writes while another thread takes what is dirty: together they are all.
TYPED_TEST_P(Memory, NoPageIsLostWhileTrackingIsRead) {
  if (const std::string why = limits<TypeParam>(); !why.empty()) GTEST_SKIP() << why;
  Machine<TypeParam> machine;
  std::mt19937_64 random(2);
  std::vector<uint64_t> pages(1000);
  ASSERT_TRUE(machine.memory->enable_dirty_tracking());
  std::atomic<bool> done{false};
  std::set<uint64_t> found;
  const auto read = [&] {
    while (!done) {
      found.merge(touched(machine.memory->take_dirty_pages().value()));
      ::usleep(20000);
    }
  };
  std::thread reader(read);
  std::set<uint64_t> expected;
  constexpr int kRounds = 1000;
  for (int round = 0; round < kRounds; ++round) {
    // Few at first, so that pages stay clean for long; every round writes a thousand times.
    const uint64_t among = static_cast<uint64_t>(round * static_cast<int>(kPages) / kRounds + 1);
    for (uint64_t& page : pages) page = kFirstPage + random() % among * 4096;
    for (const uint64_t page : pages) expected.insert(page);
    touch(machine, pages);
    if (round % (kRounds / 10) != 0) continue;
    // Whatever has been written by now has been told or will be.
    done = true;
    reader.join();
    found.merge(touched(machine.memory->take_dirty_pages().value()));
    EXPECT_EQ(missing_from(found, expected), std::vector<uint64_t>{}) << "lost, round " << round;
    ASSERT_EQ(missing_from(expected, found), std::vector<uint64_t>{}) << "made up";
    found.clear();
    expected.clear();
    done = false;
    reader = std::thread(read);
  }
  done = true;
  reader.join();
}

REGISTER_TYPED_TEST_SUITE_P(Memory, WhatIsMappedIsTheHostsMemory, MapsAndUnmapsBetweenSteps,
                            RefusesWhatCannotBeMapped, FilesAreSeenThroughAWindow,
                            DirtyPagesAreThoseThatTheGuestWrote, NoPageIsLostWhileTrackingIsRead);

}  // namespace husk::contract_tests
