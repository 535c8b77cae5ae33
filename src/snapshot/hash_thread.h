// Digests beside the writing: a second thread hashes what the first one writes meanwhile.
#pragma once

#include <condition_variable>
#include <mutex>
#include <span>
#include <thread>

#include "husk/error.h"

#include "snapshot/sha256.h"

namespace husk::snapshot {

// One job at a time: start(), then finish(), which yields the digest. Used by one thread.
class HashThread {
 public:
  HashThread() = default;
  ~HashThread();
  HashThread(const HashThread&) = delete;
  HashThread& operator=(const HashThread&) = delete;

  // The bytes stay as they are until finish().
  void start(std::span<const std::byte> bytes);
  [[nodiscard]] Sha256 finish();

 private:
  [[nodiscard]] bool is_worth_a_thread(std::span<const std::byte> bytes);
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::span<const std::byte> bytes_;
  Sha256 digest_{};
  enum class Phase { kIdle, kStarted, kDone, kEnd } phase_ = Phase::kIdle;
  std::thread thread_;
  bool refused_ = false;
};

}  // namespace husk::snapshot
