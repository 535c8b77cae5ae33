// What a container's agent is asked to run: the image's command and what the user says of it.
#pragma once

#include "husk/error.h"
#include "husk/image.h"

#include "agent/protocol/message.h"
#include "runtime/container.h"

namespace husk::runtime {

// What a guest is told of the host's randomness.
constexpr size_t kEntropyBytes = 64;

// kInvalidArgument where neither names a command.
[[nodiscard]] Result<agent::RunRequest> request_for(const ContainerOptions& options,
                                                    const image::ImageConfig& image);

}  // namespace husk::runtime
