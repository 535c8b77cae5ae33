#include "runtime/bake.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>

#include <algorithm>

#include "agent/host/client.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/try.h"
#include "cache/prune.h"
#include "runtime/agent_wait.h"
#include "runtime/container_command.h"
#include "runtime/container_plan.h"
#include "runtime/warm_start.h"

namespace husk::runtime {
namespace {

constexpr int kHangUpMs = 2000;

// From the base where there can be one.
Result<void> start(const ContainerPlan& plan, const ContainerMachine& made, AgentWait& agent) {
  auto warm = warm_start(plan);
  if (warm) return made.machine().start_from(warm->state, std::move(warm->memory));
  base::log(base::LogLevel::kWarn, "{}; the machine boots instead", warm.error().message());
  HUSK_TRY(boot_container_machine(plan, made, agent.serial()));
  return agent.wait();
}

Result<agent::RunRequest> request_for(const BakeOptions& options, const image::ImageConfig& image) {
  ContainerOptions command = options.container;
  command.entrypoint = "";
  command.command = options.warm_up;
  if (command.command.empty()) command.command = {""};  // none is no error here
  agent::RunRequest request = HUSK_TRY(runtime::request_for(command, image));
  request.argv = options.warm_up;
  request.realtime_ns = base::realtime_ns();
  request.entropy = HUSK_TRY(base::random_bytes(kEntropyBytes));
  return request;
}

// The connection is over at both ends before the machine is frozen, so that no copy of it has to be
// told that it lost one.
void wait_for_hang_up(const base::Fd& connection) {
  pollfd end{connection.get(), POLLRDHUP, 0};
  ::poll(&end, 1, kHangUpMs);
}

Result<void> warm_up(const BakeOptions& options, const agent::RunRequest& request,
                     ManagedMachine& machine, CommandOutput output) {
  base::Fd connection = HUSK_TRY(machine.connect_vsock(agent::kPort));
  const base::Fd copy(::fcntl(connection.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return fail_errno("warm-up", "cannot duplicate a descriptor");
  agent::Client client(agent::SessionKind::kWarmUp,
                       [&](const base::Fd&) -> Result<base::Fd> { return std::move(connection); },
                       {.out = std::move(output.out), .err = std::move(output.err)});
  client.run(request);
  client.begin();
  const agent::RunResult result = client.wait();
  if (result.failed || !result.finished)
    return fail(ErrorKind::kBackend, options.container.image, result.reason);
  if (result.code != 0)
    return fail(ErrorKind::kBackend, options.container.image,
                fmt::format("its warm-up ended with {}{}{}", result.code,
                            result.reason.empty() ? "" : ": ", result.reason));
  wait_for_hang_up(copy);
  return {};
}

}  // namespace

Result<void> bake(const BakeOptions& options, CommandOutput output) {
  const PlannedContainer planned = HUSK_TRY(plan_container(options.container));
  const auto request = HUSK_TRY(request_for(options, planned.image));
  AgentWait agent;
  const ContainerMachine made = HUSK_TRY(build_container_machine(planned.plan, agent.serial()));
  HUSK_TRY(start(planned.plan, made, agent));
  HUSK_TRY(warm_up(options, request, made.machine(), std::move(output)));
  const auto baked = HUSK_TRY(FrozenMachines::open(FrozenKind::kBaked));
  const std::string& label = options.name.empty() ? options.container.image : options.name;
  const std::string name = HUSK_TRY(baked.name_for(planned.plan));
  HUSK_TRY(baked.keep(name, made, planned.plan, label));
  cache::keep_within_limit();
  return {};
}

}  // namespace husk::runtime
