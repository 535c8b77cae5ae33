// Containers of one image that are ready before anybody wants one (include/husk/pool.h): machines
// restored from what was baked of the image, or from the base, that wait for their command.
//
//   auto pool = HUSK_TRY(make_container_pool({.image = image}, {.min = 2}));
//   auto ready = HUSK_TRY(pool.acquire());
//   HUSK_TRY(ready->run({.command = {"true"}}, {.out = print, .err = print}));
//   const ContainerExit exit = HUSK_TRY(ready->container().wait());
#pragma once

#include <memory>

#include "husk/error.h"
#include "husk/pool.h"

#include "runtime/container.h"

namespace husk::runtime {

// A container that waits, and then runs one command. Stays where it is, and is of no use after
// that.
class ReadyContainer {
 public:
  [[nodiscard]] static Result<std::unique_ptr<ReadyContainer>> create(
      const ContainerOptions& options);
  // Once; as Container::run. The output's callbacks are on a thread of the container's.
  [[nodiscard]] Result<void> run(const ContainerOptions& command, CommandOutput output);
  [[nodiscard]] Container& container() { return *container_; }

 private:
  CommandOutput output_;                  // nothing comes before run()
  std::unique_ptr<Container> container_;  // goes before what it writes to
};

using ContainerPool = pool::Pool<ReadyContainer>;
[[nodiscard]] Result<ContainerPool> make_container_pool(const ContainerOptions& options,
                                                        const pool::Options& pool);

}  // namespace husk::runtime
