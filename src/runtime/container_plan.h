// From what a user asks for to what is to be built: the image prepared, the kernel found, the
// machine described. The same for a container that runs and for one that is baked.
#pragma once

#include "husk/error.h"
#include "husk/image.h"

#include "base/fd.h"
#include "runtime/container.h"
#include "runtime/container_machine.h"
#include "runtime/container_record.h"

namespace husk::runtime {

struct PlannedContainer {
  ContainerRecord record;
  ContainerPlan plan;
  image::ImageConfig image;
  base::Fd root;  // holds the root image (base/held_file.h)
};

[[nodiscard]] Result<PlannedContainer> plan_container(const ContainerOptions& options);

}  // namespace husk::runtime
