// One command of an image in a machine of its own: what `husk run` does, for any caller.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "husk/cpu_model.h"
#include "husk/error.h"
#include "husk/lifecycle.h"

#include "runtime/capture_request.h"
#include "runtime/container_record.h"
#include "runtime/exec.h"
#include "runtime/running_command.h"

namespace husk::runtime {

struct ContainerOptions {
  std::string image;                 // "oci:DIR[:TAG]", "oci-archive:FILE", "docker-archive:FILE"
  std::vector<std::string> command;  // replaces the image's Cmd
  std::optional<std::string> entrypoint;
  std::vector<std::string> environment;  // KEY=VALUE, over the image's
  std::string working_directory, user;   // empty: the image's
  std::string name;                      // empty: one is made
  std::string hostname;                  // empty: the name
  std::string machine_id;                // see resolve_machine_id
  std::string kernel;                    // empty: the default one
  std::string backend = "auto";
  CpuModel cpu_model = CpuModel::kHost;
  bool cold = false;            // boot, in place of going on from a snapshot
  bool baked = true;            // go on from what bake() kept of the image, if it did
  std::string vsock;            // where the guest's vsock ports are reached; empty: nowhere
  bool kernel_irqchip = false;  // see machine::VmConfig
  uint64_t memory_bytes = 0;    // whole MiB
  uint32_t vcpus = 1;
  bool terminal = false;
  bool input = false;
  uint32_t rows = 0, columns = 0;
};

struct RestoreOptions {
  snapshot::Location from;
  std::shared_ptr<const snapshot::Chain> chain{};  // `from`, opened; null: not yet
  std::string name{};
  std::string hostname{};    // empty: as it was
  std::string machine_id{};  // see resolve_machine_id
  std::string backend{};     // empty: the one that it was captured on
  std::string vsock{};       // where the guest's vsock ports are reached; empty: nowhere
  uint32_t rows = 0, columns = 0;
  bool transient = false;  // the snapshot is not kept: no diff can build on it
};

// The callbacks run on a thread of the container's.
struct ContainerOutput {
  std::function<void(std::string_view)> out, err, serial;
  std::function<void(const lifecycle::VmState&)> state;  // every change of it
  std::function<void()> started = [] {};                 // the command runs
};

class Container : public RunningCommand {
 public:
  // Prepares the image, builds the machine and starts it.
  [[nodiscard]] static Result<std::unique_ptr<Container>> start(const ContainerOptions& options,
                                                                ContainerOutput output);
  // The same without a command, which run() gives it: a machine that waits. What options say of a
  // command is of no interest.
  [[nodiscard]] static Result<std::unique_ptr<Container>> ready(const ContainerOptions& options,
                                                                ContainerOutput output);
  // Goes on from a snapshot of one, in a machine of its own: of one snapshot there may be any
  // number at once.
  [[nodiscard]] static Result<std::unique_ptr<Container>> restore(const RestoreOptions& options,
                                                                  ContainerOutput output);

  // Gives the command to one that waits for it, once: of `command`, what says how it is run, and
  // the name, which is the guest's from here on. Until then the other members are not to be called,
  // but for wait() and kill(). kState: it has one.
  [[nodiscard]] virtual Result<void> run(const ContainerOptions& command) = 0;

  // RunningCommand is the container's first command. A signal before it runs ends the machine;
  // wait() returns when the machine is off, too.

  // A further command, once the first one runs; see exec.h. It goes before the container.
  [[nodiscard]] virtual Result<std::unique_ptr<RunningCommand>> exec(const ExecOptions& options,
                                                                     CommandOutput output) = 0;

  [[nodiscard]] virtual const ContainerRecord& record() const = 0;
  // Of the cache, that it uses and nobody removes meanwhile.
  [[nodiscard]] virtual std::vector<std::string> files() const = 0;
  [[nodiscard]] const lifecycle::VmConfig& config() const { return record().config; }

  // Any thread. Ends the machine, whatever it does: wait() says 137.
  virtual void kill() = 0;
  [[nodiscard]] virtual Result<void> pause() = 0;
  [[nodiscard]] virtual Result<void> resume() = 0;
  // Lets debuggers connect at `where` (gdb/listener.h), unless they may already; returns what GDB
  // calls that place. From the thread that pauses and resumes it.
  [[nodiscard]] virtual Result<std::string> open_debugger(const std::string& where) = 0;
  // A snapshot of it, from the thread that pauses and resumes it. It goes on as it was, whatever
  // comes of that.
  [[nodiscard]] virtual Result<CaptureReport> capture(const CaptureRequest& request) = 0;
};

}  // namespace husk::runtime
