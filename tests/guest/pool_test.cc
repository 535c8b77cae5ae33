// A pool of ready containers with real guests. $HUSK_GUEST_DIR has the kernel, $HUSK_TEST_IMAGES the
// images.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <thread>

#include "base/testing/temp_directory.h"
#include "runtime/bake.h"
#include "runtime/container_pool.h"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMemory = uint64_t{96} << 20;

class GuestPool : public ::testing::Test {
 protected:
  GuestPool() {
    ::setenv("HUSK_CACHE", (directory_ / "cache").c_str(), 1);
    ::setenv("HUSK_SNAPSHOTS", (directory_ / "snapshots").c_str(), 1);
    options_.image = std::string("oci:") + std::getenv("HUSK_TEST_IMAGES") + "/busybox";
    options_.memory_bytes = kMemory;
    options_.name = "pooled";
  }
  // What the command writes, run in a machine of the pool's.
  static std::string run(ContainerPool& pool, const std::string& command, int code = 0) {
    auto machine = pool.acquire();
    EXPECT_TRUE(machine) << (machine ? "" : machine.error().message());
    if (!machine) return {};
    std::string text;
    const auto take = [&](std::string_view more) { text += more; };
    ContainerOptions options;
    options.command = {"sh", "-c", command};
    EXPECT_TRUE((*machine)->run(options, {take, take}));
    EXPECT_FALSE((*machine)->run(options, {take, take})) << "one command each";
    const auto exit = (*machine)->container().wait();
    EXPECT_TRUE(exit) << (exit ? "" : exit.error().message());
    EXPECT_EQ(exit ? exit->code : -1, code);
    return text;
  }

  base::testing::TempDirectory directory_;
  ContainerOptions options_;
};

TEST_F(GuestPool, HandsOutMachinesThatAreAsTheyWereBaked) {
  const auto nothing = [](std::string_view) {};
  ASSERT_TRUE(bake({options_, {"sh", "-c", "echo baked >/warm"}, {}}, {nothing, nothing}));
  auto pool = make_container_pool(options_, {.min = 2, .max = 3, .acquire_timeout = 100s});
  ASSERT_TRUE(pool) << pool.error().message();
  std::set<std::string> names, random;
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(run(*pool, "cat /warm /mark 2>/dev/null; echo >/mark"), "baked\n");
    names.insert(run(*pool, "hostname"));
    random.insert(run(*pool, "cat /proc/sys/kernel/random/uuid"));
  }
  EXPECT_EQ(names.size(), 4U);
  EXPECT_EQ(random.size(), 4U);
  EXPECT_EQ(run(*pool, "exit 7", 7), "");
}

TEST_F(GuestPool, WaitsWhereAllAreInUseAndSaysWhenItWasTooLong) {
  auto pool = make_container_pool(options_, {.min = 0, .max = 1, .acquire_timeout = 100s});
  ASSERT_TRUE(pool);
  auto first = pool->acquire();
  ASSERT_TRUE(first) << first.error().message();
  std::thread later([&] {
    std::this_thread::sleep_for(300ms);
    first->release();
  });
  EXPECT_EQ(run(*pool, "echo served"), "served\n");
  later.join();
  auto impatient = make_container_pool(options_, {.min = 1, .max = 1, .acquire_timeout = 0ns});
  ASSERT_TRUE(impatient);
  const auto refused = impatient->acquire();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kTimeout);
}

TEST_F(GuestPool, TellsWhyThereCanBeNone) {
  options_.image = "oci:/nowhere";
  auto pool = make_container_pool(options_, {.min = 0, .max = 1, .acquire_timeout = 100s});
  ASSERT_TRUE(pool);
  const auto refused = pool->acquire();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("/nowhere"));
}

}  // namespace
}  // namespace husk::runtime
