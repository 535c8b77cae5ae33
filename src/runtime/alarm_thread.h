// The machine's I/O thread as far as timers go: runs devices' alarms when they are due.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>

#include "contract/alarm.h"

namespace husk::runtime {

class AlarmThread : public contract::AlarmFactory {
 public:
  AlarmThread();
  ~AlarmThread() override;
  AlarmThread(const AlarmThread&) = delete;
  AlarmThread& operator=(const AlarmThread&) = delete;

  std::unique_ptr<contract::Alarm> create_alarm(std::function<void()> callback) override;

 private:
  class Entry;
  void run();
  void set(Entry& entry, uint64_t deadline_ns);
  void remove(Entry& entry);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable idle_;
  std::multimap<uint64_t, Entry*> queue_;  // by deadline
  Entry* running_ = nullptr;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace husk::runtime
