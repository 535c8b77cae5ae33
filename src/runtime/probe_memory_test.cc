#include "runtime/probe_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

class ProbeMemory : public ::testing::Test {
 protected:
  ProbeMemory() {
    std::string name = fs::temp_directory_path() / "husk-probe-XXXXXX";
    cache = ::mkdtemp(name.data());
    device = cache + "/device";
    std::ofstream(device) << "1";
  }
  ~ProbeMemory() override { fs::remove_all(cache); }

  Result<std::string> ask(const Result<std::string>& answer) {
    return probe_once(cache, device, [&] {
      ++probed;
      return answer;
    });
  }
  std::string kept() {
    for (const auto& entry : fs::directory_iterator(cache + "/probe")) return entry.path();
    return {};
  }

  std::string cache, device;
  int probed = 0;
};

TEST_F(ProbeMemory, AsksOnce) {
  EXPECT_EQ(ask("fine"), "fine");
  EXPECT_EQ(ask("other"), "fine");
  EXPECT_EQ(probed, 1);
}

TEST_F(ProbeMemory, ANoIsRememberedWithItsReason) {
  const Result<std::string> no = fail(ErrorKind::kUnsupported, "the device", "is none: at all");
  for (int i = 0; i < 2; ++i) {
    const auto answer = ask(no);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, ErrorKind::kUnsupported);
    EXPECT_EQ(answer.error().message(), "the device: is none: at all");
  }
  EXPECT_EQ(probed, 1);
}

TEST_F(ProbeMemory, WhatMayPassIsNot) {
  EXPECT_FALSE(ask(fail(ErrorKind::kIo, "the device", "is busy")));
  EXPECT_EQ(ask("fine"), "fine");
}

TEST_F(ProbeMemory, AnotherDeviceIsAskedAgainAndTakesItsPlace) {
  EXPECT_EQ(ask("fine"), "fine");
  std::ofstream(device) << "12";
  EXPECT_EQ(ask("new"), "new");
  EXPECT_EQ(std::distance(fs::directory_iterator(cache + "/probe"), fs::directory_iterator()), 1);
}

TEST_F(ProbeMemory, WhatIsDamagedIsAskedAgain) {
  EXPECT_EQ(ask("fine"), "fine");
  const std::string file = kept();
  fs::remove(file);
  std::ofstream(file) << "nonsense";
  EXPECT_EQ(ask("new"), "new");
  EXPECT_EQ(ask("other"), "new");
}

TEST_F(ProbeMemory, WithoutADeviceOrACacheThereIsNothingToRemember) {
  EXPECT_EQ(probe_once("", device, [] { return "a"; }), "a");
  fs::remove(device);
  EXPECT_EQ(ask("fine"), "fine");
  EXPECT_EQ(ask("other"), "other");
}

}  // namespace
}  // namespace husk::runtime
