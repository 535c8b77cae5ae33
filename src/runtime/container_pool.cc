#include "runtime/container_pool.h"

#include <fmt/core.h>
#include <unistd.h>

#include <atomic>

#include "base/try.h"

namespace husk::runtime {
namespace {

ContainerOutput output_to(const CommandOutput& output) {
  ContainerOutput made;
  made.out = [&output](std::string_view text) { output.out(text); };
  made.err = [&output](std::string_view text) { output.err(text); };
  return made;
}

}  // namespace

Result<std::unique_ptr<ReadyContainer>> ReadyContainer::create(const ContainerOptions& options) {
  auto ready = std::make_unique<ReadyContainer>();
  ready->container_ = HUSK_TRY(Container::ready(options, output_to(ready->output_)));
  return ready;
}

Result<void> ReadyContainer::run(const ContainerOptions& command, CommandOutput output) {
  output_ = std::move(output);
  return container_->run(command);
}

Result<ContainerPool> make_container_pool(const ContainerOptions& options,
                                          const pool::Options& pool) {
  auto number = std::make_shared<std::atomic<unsigned>>(0);
  return ContainerPool::create(pool, [options, number] {
    ContainerOptions one = options;
    const std::string name =
        options.name.empty() ? fmt::format("husk-{}", ::getpid()) : options.name;
    one.name = fmt::format("{}-{}", name, ++*number);
    return ReadyContainer::create(one);
  });
}

}  // namespace husk::runtime
