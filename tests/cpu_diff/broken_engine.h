// An engine with a fault of a known kind, to prove that runs find it.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "cpu_diff/engine.h"

namespace husk::cpu_diff {

class BrokenEngine final : public Engine {
 public:
  using Fault = std::function<void(const CpuCase&, CpuOutcome&)>;

  BrokenEngine(Engine& sound, Fault fault) : sound_(sound), fault_(std::move(fault)) {}

  [[nodiscard]] std::string name() const override { return "broken"; }
  [[nodiscard]] bool has_segment_bases() const override { return sound_.has_segment_bases(); }
  void clear_code() override { sound_.clear_code(); }
  void run(const CpuCase& test, CpuOutcome& outcome) override {
    sound_.run(test, outcome);
    fault_(test, outcome);
  }

 private:
  Engine& sound_;
  Fault fault_;
};

}  // namespace husk::cpu_diff
