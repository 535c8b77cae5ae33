// Machines that are ready before anybody wants one. A pool makes them ahead (as a rule by restoring
// a snapshot, see runtime/container_pool.h), hands them out, and never takes one back into use:
// what was released is thrown away and another one made, so that everybody gets one as it was made.
//
//   auto pool = HUSK_TRY(pool::Pool<Machine>::create({.min = 2, .max = 8}, make_machine));
//   auto machine = HUSK_TRY(pool.acquire());   // waits for one, within acquire_timeout
//   machine->run(...);
//                                              // goes with `machine`; another one is being made
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "husk/error.h"

namespace husk::pool {

struct Options {
  size_t min = 1;  // ready ones that wait, as far as `max` lets them
  size_t max = 8;  // in all: ready, handed out, being made and being brought down
  // A ready one beyond `min` goes when nobody has wanted it for so long.
  std::chrono::nanoseconds idle_timeout = std::chrono::minutes(5);
  std::chrono::nanoseconds acquire_timeout = std::chrono::seconds(30);
  unsigned makers = 1;  // that make and bring down at once, a thread each
};

struct Counts {
  size_t ready = 0, making = 0, out = 0, ending = 0;
  size_t waiting = 0;  // callers of acquire()
  bool operator==(const Counts&) const = default;
};

// What time it is, and waiting for it. Tests have one of their own.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual uint64_t now_ns() const = 0;  // never goes back
  // Returns when `changed` is notified or the time has come, or earlier.
  virtual void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                    uint64_t until_ns) = 0;
};

namespace detail {

// The pool of anything; thread-safe.
class Core {
 public:
  using Machine = std::shared_ptr<void>;
  using Factory = std::function<Result<Machine>()>;
  [[nodiscard]] static Result<std::shared_ptr<Core>> create(const Options& options, Factory factory,
                                                            std::shared_ptr<Clock> clock);
  virtual ~Core() = default;
  [[nodiscard]] virtual Result<Machine> acquire() = 0;
  virtual void release(Machine machine) = 0;
  virtual void close() = 0;
  [[nodiscard]] virtual Counts counts() const = 0;
};

}  // namespace detail

// One that was handed out; released when it goes, which does not wait for it to be brought down.
// May outlive the pool: then it is brought down where it goes. Move-only.
template <class Machine>
class Lease {
 public:
  Lease(std::shared_ptr<detail::Core> core, std::shared_ptr<void> machine)
      : core_(std::move(core)), machine_(std::move(machine)) {}
  Lease(Lease&&) noexcept = default;
  Lease& operator=(Lease&& other) noexcept {
    release();
    core_ = std::move(other.core_);
    machine_ = std::move(other.machine_);
    return *this;
  }
  ~Lease() { release(); }

  [[nodiscard]] Machine& operator*() const { return *static_cast<Machine*>(machine_.get()); }
  [[nodiscard]] Machine* operator->() const { return &**this; }
  void release() {
    if (machine_ != nullptr) core_->release(std::exchange(machine_, nullptr));
  }

 private:
  std::shared_ptr<detail::Core> core_;
  std::shared_ptr<void> machine_;
};

template <class Machine>
class Pool {
 public:
  // Makes a machine; on threads of the pool's, several at once if there are several makers.
  using Factory = std::function<Result<std::unique_ptr<Machine>>()>;

  // Begins to make them at once. kInvalidArgument for options that make no sense.
  [[nodiscard]] static Result<Pool> create(const Options& options, Factory factory,
                                           std::shared_ptr<Clock> clock = nullptr) {
    auto any = [factory = std::move(factory)]() -> Result<std::shared_ptr<void>> {
      auto made = factory();
      if (!made) return std::unexpected(std::move(made.error()));
      return std::shared_ptr<Machine>(std::move(*made));
    };
    auto core = detail::Core::create(options, std::move(any), std::move(clock));
    if (!core) return std::unexpected(std::move(core.error()));
    return Pool(std::move(*core));
  }
  Pool(Pool&&) noexcept = default;
  Pool& operator=(Pool&&) = delete;
  // Who still waits gets an error; machines that are ready or being made are brought down before it
  // returns, those handed out are not.
  ~Pool() {
    if (core_ != nullptr) core_->close();
  }

  // Any thread; who came first is served first. kTimeout: none became ready within acquire_timeout.
  // What the factory says, where it failed meanwhile. kState: the pool goes.
  [[nodiscard]] Result<Lease<Machine>> acquire() {
    auto machine = core_->acquire();
    if (!machine) return std::unexpected(std::move(machine.error()));
    return Lease<Machine>(core_, std::move(*machine));
  }
  [[nodiscard]] Counts counts() const { return core_->counts(); }

 private:
  explicit Pool(std::shared_ptr<detail::Core> core) : core_(std::move(core)) {}
  std::shared_ptr<detail::Core> core_;
};

}  // namespace husk::pool
