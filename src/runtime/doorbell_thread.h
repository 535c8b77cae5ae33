// The thread that answers doorbells: a guest's write that a backend turned into an eventfd's signal
// (seam::HasDoorbells) reaches its device here, as a vCPU's own write would have.
//
// Parked, it changes nothing, neither devices nor guest memory; it parks only after it has answered
// what rang before, so that nothing is left in the eventfds while all vCPUs are parked as well.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "husk/error.h"

#include "base/fd.h"
#include "contract/io_handler.h"

namespace husk::runtime {

// One thread calls add() and start(), another may call finish(); park() and unpark() any, one at a
// time.
class DoorbellThread {
 public:
  [[nodiscard]] static Result<std::unique_ptr<DoorbellThread>> create();
  // As finish().
  ~DoorbellThread();
  DoorbellThread(const DoorbellThread&) = delete;
  DoorbellThread& operator=(const DoorbellThread&) = delete;

  // A new bell's eventfd, which is this object's. However often it rings until the thread comes to
  // it, `handler`, which outlives this object, gets one write. Before start().
  [[nodiscard]] Result<int> add(contract::IoHandler& handler, uint64_t offset, uint32_t size,
                                uint64_t value);
  void start();

  // Returns when what had rung is answered and the thread waits for unpark(), or has finished.
  // False: not within `timeout_ns`, and it goes on.
  [[nodiscard]] bool park(uint64_t timeout_ns);
  void unpark();
  // Answers what has rung, and ends the thread, also a parked one. Once it has returned no handler
  // is called any more.
  void finish();

 private:
  struct Bell {
    base::Fd eventfd;
    contract::IoHandler* handler = nullptr;
    uint64_t offset = 0;
    uint32_t size = 0;
    uint64_t value = 0;
  };
  enum class Order : uint8_t { kRun, kPark, kFinish };

  DoorbellThread() = default;
  [[nodiscard]] Result<void> watch(int fd, uint64_t index);
  void give(Order order);
  void run();
  void answer(const Bell& bell);
  void answer_all();
  // Does as ordered. False: to finish.
  [[nodiscard]] bool obey();

  base::Fd epoll_, ordered_;
  std::vector<Bell> bells_;          // does not change while the thread runs
  uint64_t rings_ = 0, writes_ = 0;  // the thread's, for the log
  std::mutex mutex_;
  std::condition_variable changed_;
  Order order_ = Order::kRun;
  uint64_t orders_ = 0;  // how many were given
  bool running_ = false;
  bool parked_ = false;  // by the last order
  std::thread thread_;
};

}  // namespace husk::runtime
