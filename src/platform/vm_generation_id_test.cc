#include "platform/vm_generation_id.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace husk::platform {
namespace {

constexpr Gpa kPlace{0x1230};
using Id = std::array<std::byte, VmGenerationId::kSize>;

struct Rig {
  std::unique_ptr<memory::GuestMemory> memory =
      memory::GuestMemory::create(std::array{memory::RegionSpec{Gpa{0}, 0x2000}}).value();
  std::vector<bool> levels;
  VmGenerationId generation{*memory, kPlace,
                            contract::IrqLine(
                                [](void* heard, uint32_t, bool level) {
                                  static_cast<std::vector<bool>*>(heard)->push_back(level);
                                },
                                &levels, 5)};
  Id id() {
    Id bytes{};
    EXPECT_TRUE(memory->read(kPlace, bytes));
    return bytes;
  }
};

TEST(VmGenerationId, IsThereBeforeTheGuestWhichHearsNothingOfIt) {
  Rig rig;
  ASSERT_TRUE(rig.generation.set());
  EXPECT_NE(rig.id(), Id{});
  EXPECT_TRUE(rig.levels.empty());
}

TEST(VmGenerationId, IsAnotherEachTimeAndTheGuestIsTold) {
  Rig rig;
  ASSERT_TRUE(rig.generation.set());
  const Id first = rig.id();
  ASSERT_TRUE(rig.generation.renew());
  EXPECT_NE(rig.id(), first);
  EXPECT_EQ(rig.levels, (std::vector{true, false}));
}

TEST(VmGenerationId, WritesNothingBesideItself) {
  Rig rig;
  ASSERT_TRUE(rig.generation.renew());
  std::array<std::byte, 0x2000> all{};
  ASSERT_TRUE(rig.memory->read(Gpa{0}, all));
  for (uint64_t at = 0; at < all.size(); ++at) {
    const bool beside = at < kPlace.value || at >= kPlace.value + VmGenerationId::kSize;
    if (beside) {
      ASSERT_EQ(all[at], std::byte{0}) << at;
    }
  }
}

TEST(VmGenerationId, SaysSoWhereThereIsNoMemoryForIt) {
  Rig rig;
  VmGenerationId nowhere(*rig.memory, Gpa{0x5000}, {});
  EXPECT_FALSE(nowhere.renew());
}

}  // namespace
}  // namespace husk::platform
