#include "runtime/container_plan.h"

#include <fmt/core.h>
#include <unistd.h>

#include "base/phases.h"
#include "base/try.h"
#include "cache/prune.h"
#include "guest.h"
#include "oci/prepare.h"
#include "runtime/hypervisor.h"

namespace husk::runtime {
namespace {

// The operator's view of the machine; building goes by it.
Result<ContainerRecord> describe(const ContainerOptions& options, const oci::PreparedImage& image,
                                 const GuestKernel& kernel) {
  ContainerRecord record;
  record.config.name = options.name.empty() ? fmt::format("husk-{}", ::getpid()) : options.name;
  record.config.namespace_name = "default";
  record.config.kernel = kernel.path;
  record.config.root_disk = image.root_path;
  record.config.cpus = options.vcpus;
  record.config.cpu_model = options.cpu_model;
  record.config.vsock = !options.vsock.empty();
  record.config.memory_mb = options.memory_bytes >> 20;
  record.config.cmdline = container_command_line();
  record.image = image.digest;
  record.stop_signal = image.config.stop_signal;
  record.kernel_irqchip = options.kernel_irqchip;
  record.terminal = options.terminal;
  record.input = options.input;
  HUSK_TRY(record.config.validate());
  record.backend = HUSK_TRY(resolve_backend(options.backend));
  return record;
}

}  // namespace

Result<PlannedContainer> plan_container(const ContainerOptions& options) {
  (void)HUSK_TRY(cache::limit());  // told of before all the work
  const auto reference = HUSK_TRY(oci::parse_reference(options.image));
  oci::PrepareOptions preparation;
  preparation.architecture = kImageArchitecture;
  oci::PreparedImage image = HUSK_TRY(oci::prepare(reference, preparation));
  if (!image.from_cache) cache::keep_within_limit();
  base::end_phase("image");
  const GuestKernel kernel = HUSK_TRY(find_guest_kernel(options.kernel));
  ContainerRecord record = HUSK_TRY(describe(options, image, kernel));
  ContainerPlan plan{record.backend, record.config, kernel, options.kernel_irqchip, options.vsock};
  return PlannedContainer{std::move(record), std::move(plan), std::move(image.config),
                          std::move(image.root)};
}

}  // namespace husk::runtime
