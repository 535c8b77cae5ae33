// Getting vCPUs out of the guest, from any thread, in every moment.
#pragma once

#include <algorithm>
#include <array>
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

// Eight vCPUs that spin in the guest.
template <class Vm>
class SpinningVcpus {
 public:
  SpinningVcpus() : machine_(kCount) {
    for (uint32_t id = 0; id < kCount; ++id) {
      machine_.load(PROGRAM(spin), {}, id);
      handles_.push_back(machine_.vcpu(id).exit_token());
    }
  }
  bool spin(uint32_t id) { return machine_.vcpu(id).step().kind == kCanceled; }
  void force_exit() { Vm::Vcpu::Handle::force_exit(handles_); }

  static constexpr uint32_t kCount = 8;

 private:
  Machine<Vm> machine_;
  std::vector<typename Vm::Vcpu::Handle> handles_;
};

// The same without a guest: what is the scheduler's in the time that force_exit takes.
class SpinningThreads {
 public:
  bool spin(uint32_t id) {
    while (!asked_[id].exchange(false)) {
    }
    return true;
  }
  void force_exit() {
    for (auto& asked : asked_) asked = true;
  }

  static constexpr uint32_t kCount = 8;

 private:
  std::array<std::atomic<bool>, kCount> asked_{};
};

// A thread each; all come out together, and go in again together.
template <class Spinning>
class Spinners {
 public:
  Spinners() : all_(Spinning::kCount + 1) {
    for (uint32_t id = 0; id < Spinning::kCount; ++id)
      threads_.emplace_back([this, id] {
        while (!done_) {
          if (!spinning_.spin(id)) failed_ = true;
          out_.release();
          all_.arrive_and_wait();
        }
      });
  }
  ~Spinners() {
    (void)round(true);
    for (auto& thread : threads_) thread.join();
  }

  // All out: how long that took, in ns; 0: one did not within ten seconds, and was asked again.
  uint64_t round(bool last = false) {
    // Sometimes they spin by then, sometimes they are on their way in.
    const uint64_t moment = base::monotonic_ns() + random_() % 300'000;
    while (base::monotonic_ns() < moment) std::this_thread::yield();
    const uint64_t start = base::monotonic_ns();
    spinning_.force_exit();
    bool lost = false;
    for (size_t i = 0; i < threads_.size(); ++i) {
      while (!out_.try_acquire_for(std::chrono::seconds(10))) {
        lost = true;
        spinning_.force_exit();
      }
    }
    const uint64_t took = base::monotonic_ns() - start;
    done_ = last;
    all_.arrive_and_wait();
    return lost ? 0 : took;
  }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  Spinning spinning_;
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

template <class Spinning>
void bring_out_every_time(const char* what) {
  constexpr uint64_t kLimitNs = 10'000'000;
  Spinners<Spinning> spinners;
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
  const auto late = times.end() - std::ranges::upper_bound(times, kLimitNs);
  std::printf(
      "8 spinning %s brought out %zu times: median %.2f ms, 99%% %.2f ms, worst %.2f ms, %td above "
      "10 ms\n",
      what, times.size(), ms(0.5), ms(0.99), ms(1), late);
}

// Where there are fewer processors than vCPUs, some of the time is the host's scheduler's: threads
// without a guest tell how much.
TYPED_TEST_P(ForceExit, BringsEightSpinningVcpusOutEveryTime) {
  bring_out_every_time<SpinningVcpus<TypeParam>>("vCPUs");
  bring_out_every_time<SpinningThreads>("threads");
}

REGISTER_TYPED_TEST_SUITE_P(ForceExit, BeforeAStepItEndsThatStep, LosesNothingOfADevicesAnswer,
                            BringsEightSpinningVcpusOutEveryTime);

}  // namespace husk::contract_tests
