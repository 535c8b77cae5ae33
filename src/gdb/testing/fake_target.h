// A machine that executes nothing: memory, registers of x86-64, and stops that a test makes up.
#pragma once

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "gdb/target.h"
#include "gdb/x86_64/registers.h"

namespace husk::gdb::testing {

class FakeTarget final : public Target {
 public:
  static constexpr uint64_t kMemory = uint64_t{1} << 20;  // bytes, from 0; not paged

  explicit FakeTarget(uint32_t vcpus)
      : states(vcpus),
        memory_(*memory::GuestMemory::create(std::array{memory::RegionSpec{Gpa{0}, kMemory}})) {}

  uint32_t vcpus() const override { return static_cast<uint32_t>(states.size()); }
  const Architecture& architecture() const override { return x86_64::architecture(); }
  Result<void> halt() override {
    ++halts;
    running = false;
    if (ended) return fail(ErrorKind::kState, "VM", "has ended");
    return {};
  }
  Result<void> go(std::span<const Action> chosen, const Points& given) override {
    actions.assign(chosen.begin(), chosen.end());
    points = given;
    running = true;
    return {};
  }
  Result<void> check(const Points&) override { return {}; }
  void leave() override {
    left = true;
    running = true;
  }
  void kill() override { killed = true; }
  std::optional<Stop> take_stop() override {
    if (stop) running = false;
    return std::exchange(stop, std::nullopt);
  }
  std::optional<End> end() override { return ended; }
  Result<Bytes> registers(uint32_t vcpu) override {
    return read_all(x86_64::features(states[vcpu]));
  }
  Result<void> set_registers(uint32_t vcpu, const Bytes& bytes) override {
    auto features = x86_64::features(states[vcpu]);
    write_all(features, bytes);
    return {};
  }
  Result<Gpa> translate(uint32_t vcpu, uint64_t linear) override {
    return x86_64::translate(states[vcpu], *memory_, linear);
  }
  memory::GuestMemory& memory() override { return *memory_; }

  std::vector<x86_64::VcpuState> states;
  std::vector<Action> actions;  // of the last go()
  Points points;
  std::optional<Stop> stop;
  std::optional<End> ended;
  int halts = 0;
  bool running = true, left = false, killed = false;

 private:
  std::unique_ptr<memory::GuestMemory> memory_;
};

}  // namespace husk::gdb::testing
