// Getting vCPUs out of the guest, from any thread, in every moment.
#pragma once

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdlib>
#include <random>
#include <semaphore>
#include <thread>

#include "base/clock.h"
#include "suite.h"

namespace husk::contract_tests {

template <class Vm>
class ForceExit : public BackendTest<Vm> {};
TYPED_TEST_SUITE_P(ForceExit);

constexpr auto kCanceled = seam::VcpuExit::Kind::kCanceled;

TYPED_TEST_P(ForceExit, BeforeAStepItEndsThatStep) {
  Machine<TypeParam> machine;
  machine.load(PROGRAM(spin));
  const std::array handles{machine.vcpu().exit_token()};
  for (int i = 0; i < 100; ++i) {
    TypeParam::Vcpu::Handle::force_exit(handles);
    ASSERT_EQ(machine.vcpu().step().kind, kCanceled);
  }
}

TYPED_TEST_P(ForceExit, LosesNothingOfADevicesAnswer) {
  Machine<TypeParam> machine;
  machine.load(PROGRAM(mmio_read), {kDevice});
  const std::array handles{machine.vcpu().exit_token()};
  EXPECT_EQ(machine.next().size, 1);
  machine.vcpu().set_read_data(0x77);
  TypeParam::Vcpu::Handle::force_exit(handles);
  EXPECT_EQ(machine.report(), 0x77U);
}

// vCPUs that spin, each on a thread of its own; all come out together, and go in again together.
template <class Vm>
class Spinners {
 public:
  explicit Spinners(uint32_t count) : machine_(count), all_(count + 1) {
    for (uint32_t id = 0; id < count; ++id) {
      machine_.load(PROGRAM(spin), {}, id);
      handles_.push_back(machine_.vcpu(id).exit_token());
    }
    for (uint32_t id = 0; id < count; ++id)
      threads_.emplace_back([this, id] {
        while (!done_) {
          if (machine_.vcpu(id).step().kind != kCanceled) failed_ = true;
          out_.release();
          all_.arrive_and_wait();
        }
      });
  }
  ~Spinners() {
    (void)round(true);
    for (auto& thread : threads_) thread.join();
  }

  // All out of the guest: how long that took, in ns; 0: one did not within ten seconds, and was
  // asked again.
  uint64_t round(bool last = false) {
    // Sometimes they are in the guest by then, sometimes on their way in.
    const uint64_t moment = base::monotonic_ns() + random_() % 300'000;
    while (base::monotonic_ns() < moment) std::this_thread::yield();
    const uint64_t start = base::monotonic_ns();
    Vm::Vcpu::Handle::force_exit(handles_);
    bool lost = false;
    for (size_t i = 0; i < threads_.size(); ++i) {
      while (!out_.try_acquire_for(std::chrono::seconds(10))) {
        lost = true;
        Vm::Vcpu::Handle::force_exit(handles_);
      }
    }
    const uint64_t took = base::monotonic_ns() - start;
    done_ = last;
    all_.arrive_and_wait();
    return lost ? 0 : took;
  }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  Machine<Vm> machine_;
  std::vector<typename Vm::Vcpu::Handle> handles_;
  std::atomic<bool> done_{false}, failed_{false};
  std::counting_semaphore<> out_{0};
  std::barrier<> all_;
  std::mt19937_64 random_{3};
  std::vector<std::thread> threads_;
};

inline int rounds() {
  const char* text = std::getenv("HUSK_FORCE_EXIT_ROUNDS");
  return text != nullptr ? std::atoi(text) : 200;
}

// Where there are fewer processors than vCPUs, some of the time is the host's scheduler's.
TYPED_TEST_P(ForceExit, BringsEightSpinningVcpusOutEveryTime) {
  Spinners<TypeParam> spinners(8);
  std::vector<uint64_t> times;
  for (int i = 0; i < rounds(); ++i) {
    const uint64_t took = spinners.round();
    ASSERT_NE(took, 0U) << "round " << i << ": one was lost";
    times.push_back(took);
  }
  EXPECT_FALSE(spinners.failed());
  std::ranges::sort(times);
  const auto ms = [&](double part) {
    return static_cast<double>(
               times[static_cast<size_t>(part * static_cast<double>(times.size() - 1))]) /
           1e6;
  };
  std::printf(
      "force_exit of 8 spinning vCPUs, %zu times: median %.2f ms, 99%% %.2f ms, worst %.2f ms\n",
      times.size(), ms(0.5), ms(0.99), ms(1));
}

REGISTER_TYPED_TEST_SUITE_P(ForceExit, BeforeAStepItEndsThatStep, LosesNothingOfADevicesAnswer,
                            BringsEightSpinningVcpusOutEveryTime);

}  // namespace husk::contract_tests
