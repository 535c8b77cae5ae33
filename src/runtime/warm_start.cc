#include "runtime/warm_start.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/try.h"
#include "cache/prune.h"
#include "runtime/agent_wait.h"

namespace husk::runtime {
namespace {

// Boots a machine with no disk until its agent listens, keeps it, and goes on from what was kept.
Result<WarmStart> make(const ContainerPlan& plan, const FrozenMachines& bases,
                       const std::string& name) {
  const uint64_t start = base::monotonic_ns();
  AgentWait agent;
  const ContainerMachine made = HUSK_TRY(build_container_machine(plan, agent.serial()));
  HUSK_TRY(boot_container_machine(plan, made, agent.serial()));
  HUSK_TRY(agent.wait());
  bases.trim(kMostBases - 1);
  const base::Fd held = HUSK_TRY(bases.hold_all());
  HUSK_TRY(bases.keep(name, made, plan, {}));
  base::log(base::LogLevel::kDebug, "made base snapshot {} in {} ms", name,
            (base::monotonic_ns() - start) / 1'000'000);
  return bases.find(name);
}

// One that cannot be used goes.
Result<WarmStart> find(const FrozenMachines& machines, const std::string& name,
                       std::string_view consequence) {
  auto warm = machines.find(name);
  if (!warm && warm.error().kind != ErrorKind::kNotFound) {
    base::log(base::LogLevel::kWarn, "{}; {}", warm.error().message(), consequence);
    machines.drop(name);
  }
  return warm;
}

Result<WarmStart> find_baked(const ContainerPlan& plan) {
  const auto baked = HUSK_TRY(FrozenMachines::open(FrozenKind::kBaked));
  return find(baked, HUSK_TRY(baked.name_for(plan)), "the image is not baked any more");
}

}  // namespace

Result<WarmStart> warm_start(const ContainerPlan& plan) {
  ContainerPlan base = plan;
  base.config.root_disk.reset();
  base.vsock.clear();
  const auto bases = HUSK_TRY(FrozenMachines::open(FrozenKind::kBase));
  const std::string name = HUSK_TRY(bases.name_for(base));
  auto warm = find(bases, name, "it is made anew");
  if (warm) return warm;
  warm = make(base, bases, name);
  if (warm) cache::keep_within_limit();
  return warm;
}

std::optional<WarmStart> baked_start(const ContainerPlan& plan) {
  auto warm = find_baked(plan);
  if (!warm) return std::nullopt;
  return std::move(*warm);
}

}  // namespace husk::runtime
