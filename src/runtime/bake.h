// Baked images: a machine with an image's root mounted, warmed up by a command of it, and frozen
// before any other command. `husk run` of the image goes on from there.
#pragma once

#include <string>
#include <vector>

#include "husk/error.h"

#include "runtime/container.h"
#include "runtime/running_command.h"

namespace husk::runtime {

struct BakeOptions {
  // Image, kernel, backend, processor and memory count; a run has to want the same ones.
  ContainerOptions container;
  std::vector<std::string> warm_up;  // run in the image as its own command would be; empty: none
  std::string name;                  // for people; empty: the image as the user wrote it
};

// Replaces what was baked for the same image and machine before, at its end and in one step. What
// the warm-up wrote stays, its processes do not. kBackend, telling its exit code, where it fails:
// then nothing has changed. `output` is the warm-up's.
[[nodiscard]] Result<void> bake(const BakeOptions& options, CommandOutput output);

}  // namespace husk::runtime
