// One command of an image in a machine of its own: what `husk run` does, for any caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "husk/cpu_model.h"
#include "husk/error.h"
#include "husk/lifecycle.h"

#include "runtime/capture_request.h"
#include "runtime/container_record.h"

namespace husk::runtime {

struct ContainerOptions {
  std::string image;                 // "oci:DIR[:TAG]", "oci-archive:FILE", "docker-archive:FILE"
  std::vector<std::string> command;  // replaces the image's Cmd
  std::optional<std::string> entrypoint;
  std::vector<std::string> environment;  // KEY=VALUE, over the image's
  std::string working_directory, user;   // empty: the image's
  std::string name;                      // empty: one is made
  std::string kernel;                    // empty: the default one
  std::string backend = "auto";
  CpuModel cpu_model = CpuModel::kHost;
  bool cold = false;            // boot, in place of going on from a base snapshot
  std::string vsock;            // where the guest's vsock ports are reached; empty: it has none
  bool kernel_irqchip = false;  // see machine::VmConfig
  uint64_t memory_bytes = 0;    // whole MiB
  uint32_t vcpus = 1;
  bool terminal = false;
  bool input = false;
  uint32_t rows = 0, columns = 0;
};

struct RestoreOptions {
  snapshot::Location from;
  std::string name;      // empty: one is made
  std::string hostname;  // empty: as it was
  std::string backend;   // empty: the one that it was captured on
  uint32_t rows = 0, columns = 0;
};

struct ContainerExit {
  int code = 0;
  std::string reason;  // why it could not be executed, for 126 and 127
};

// The callbacks run on a thread of the container's.
struct ContainerOutput {
  std::function<void(std::string_view)> out, err, serial;
  std::function<void(const lifecycle::VmState&)> state;  // every change of it
};

class Container {
 public:
  // Prepares the image, builds the machine and starts it.
  [[nodiscard]] static Result<std::unique_ptr<Container>> start(const ContainerOptions& options,
                                                                ContainerOutput output);
  // Goes on from a snapshot of one, in a machine of its own: of one snapshot there may be any
  // number at once.
  [[nodiscard]] static Result<std::unique_ptr<Container>> restore(const RestoreOptions& options,
                                                                  ContainerOutput output);
  virtual ~Container() = default;

  // Any thread.
  virtual size_t send_input(
      std::span<const std::byte> data) = 0;  // how much was taken; 0: none now
  virtual void close_input() = 0;
  virtual void send_signal(int number) = 0;  // before the command runs: ends the machine
  virtual void resize(uint32_t rows, uint32_t columns) = 0;
  // What it is; has `config`.
  [[nodiscard]] virtual const ContainerRecord& record() const = 0;
  // It goes on meanwhile or afterwards, whatever comes of it.
  [[nodiscard]] virtual Result<CaptureReport> capture(const CaptureRequest& request) = 0;

  // Until the command has ended and the machine is off.
  [[nodiscard]] virtual Result<ContainerExit> wait() = 0;
};

}  // namespace husk::runtime
