// What a snapshot says of the container in it: enough to build the same machine again, on a host
// that has the same image.
#pragma once

#include <string>

#include "husk/error.h"
#include "husk/lifecycle.h"

#include "agent/host/position.h"
#include "snapshot/contents.h"

namespace husk::runtime {

struct ContainerRecord {
  lifecycle::VmConfig config;  // with root_disk
  std::string backend;
  std::string image;        // its digest
  std::string stop_signal;  // by which the image wants to be stopped; empty: SIGTERM
  bool kernel_irqchip = false;
  bool terminal = false;
  bool input = false;
};

// Into `contents`, which has vCPUs and tells memory later. An error: the root image cannot be read.
[[nodiscard]] Result<void> put_record(const ContainerRecord& record, snapshot::Contents& contents);

// Not trusted; `subject` names the snapshot. kCorrupt for what is missing or wrong; kUnsupported
// for another architecture; kNotFound or kState where the root image is gone or is another one.
[[nodiscard]] Result<ContainerRecord> get_record(const snapshot::Contents& contents,
                                                 const std::string& subject);

// The host's place in the conversation with the agent, beside it.
void put_position(const agent::Position& position, snapshot::Contents& contents);
[[nodiscard]] Result<agent::Position> take_position(snapshot::Contents& contents);

}  // namespace husk::runtime
