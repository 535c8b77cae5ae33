// Runs the suites and counts, for each backend, what passed, failed and was left out, and why.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace {

class Counter : public ::testing::EmptyTestEventListener {
 public:
  void OnTestEnd(const ::testing::TestInfo& test) override {
    Count& count = counts_[backend_of(test)];
    if (test.result()->Skipped()) {
      std::string why;
      for (int i = 0; i < test.result()->total_part_count(); ++i)
        why = test.result()->GetTestPartResult(i).message();
      count.skipped.push_back(std::string(test.name()) + ": " + why);
    } else {
      ++(test.result()->Passed() ? count.passed : count.failed);
    }
  }
  void OnTestProgramEnd(const ::testing::UnitTest&) override {
    for (const auto& [backend, count] : counts_) {
      std::printf("contract: %s: %d passed, %d failed, %zu left out\n", backend.c_str(),
                  count.passed, count.failed, count.skipped.size());
      for (const std::string& reason : count.skipped) std::printf("  %s\n", reason.c_str());
    }
  }

 private:
  // "kvm/Exits/0.Name", or "Backends/Manual.Name/kvm".
  static std::string backend_of(const ::testing::TestInfo& test) {
    const std::string suite = test.test_suite_name(), name = test.name();
    const std::string instance = suite.substr(0, suite.find('/'));
    return instance == "Backends" ? name.substr(name.find('/') + 1) : instance;
  }

  struct Count {
    int passed = 0, failed = 0;
    std::vector<std::string> skipped;
  };
  std::map<std::string, Count> counts_;
};

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::UnitTest::GetInstance()->listeners().Append(new Counter);
  return RUN_ALL_TESTS();
}
