#include "snapshot/hash_thread.h"

#include <system_error>

namespace husk::snapshot {
namespace {

// Below, waking the other thread takes longer than hashing.
constexpr size_t kWorthwhile = size_t{64} << 10;

}  // namespace

HashThread::~HashThread() {
  if (!thread_.joinable()) return;
  {
    const std::scoped_lock lock(mutex_);
    phase_ = Phase::kEnd;
  }
  changed_.notify_one();
  thread_.join();
}

bool HashThread::is_worth_a_thread(std::span<const std::byte> bytes) {
  if (bytes.size() < kWorthwhile || refused_) return false;
  if (thread_.joinable()) return true;
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error&) {
    refused_ = true;  // the host has no thread to spare; it is slower without, no more
  }
  return !refused_;
}

void HashThread::start(std::span<const std::byte> bytes) {
  if (!is_worth_a_thread(bytes)) {
    digest_ = sha256(bytes);
    return;
  }
  {
    const std::scoped_lock lock(mutex_);
    bytes_ = bytes;
    phase_ = Phase::kStarted;
  }
  changed_.notify_one();
}

Sha256 HashThread::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return phase_ != Phase::kStarted; });
  phase_ = Phase::kIdle;
  return digest_;
}

void HashThread::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return phase_ == Phase::kStarted || phase_ == Phase::kEnd; });
    if (phase_ == Phase::kEnd) return;
    const auto bytes = bytes_;
    lock.unlock();
    const Sha256 digest = sha256(bytes);
    lock.lock();
    if (phase_ == Phase::kEnd) return;
    digest_ = digest;
    phase_ = Phase::kDone;
    changed_.notify_one();
  }
}

}  // namespace husk::snapshot
