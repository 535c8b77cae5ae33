// A machine that runs in this process as others see it: its record, its output where nobody is
// there to read it, and the control socket.
//
//   auto hosted = HUSK_TRY(HostedMachine::create(record));   // from here on `ps` shows it
//   auto container = HUSK_TRY(Container::start(options, ...));
//   HUSK_TRY(hosted->started(*container));                   // it can be asked
//   hosted->ended(container->wait());
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "husk/error.h"

#include "control/server.h"
#include "registry/output_log.h"
#include "registry/registry.h"
#include "runtime/container.h"

namespace husk::cli {

class HostedMachine {
 public:
  // `record` says what is asked for; a detached machine's output is kept from here on.
  [[nodiscard]] static Result<std::unique_ptr<HostedMachine>> create(registry::Record record);
  // Without ended() before it: the machine never was.
  ~HostedMachine();
  HostedMachine(const HostedMachine&) = delete;
  HostedMachine& operator=(const HostedMachine&) = delete;

  [[nodiscard]] const std::string& id() const { return machine_.record.id; }
  [[nodiscard]] const std::string& name() const { return machine_.record.name; }
  [[nodiscard]] std::string path_of(const std::string& file) const {
    return machine_.folder.at(file);
  }

  // The command's output, for a detached machine. One thread at a time.
  void keep(registry::Stream stream, std::string_view text);

  // `container` lives until ended().
  [[nodiscard]] Result<void> started(runtime::Container& container);
  // It is not to stay, whatever was asked for: nobody knows of it.
  void forget();
  // Tells everybody, and takes the record away if it is not to stay. Once.
  void ended(const Result<runtime::ContainerExit>& exit);

 private:
  HostedMachine(registry::Registry registry, registry::Machine machine)
      : registry_(std::move(registry)), machine_(std::move(machine)) {}
  void add_verbs(control::Server& server, runtime::Container& container);
  [[nodiscard]] Result<api::Json> pause(runtime::Container& container);
  [[nodiscard]] Result<api::Json> unpause(runtime::Container& container);
  [[nodiscard]] Result<api::Json> debug(runtime::Container& container, const api::Json& request);
  [[nodiscard]] Result<api::Json> signal(runtime::Container& container, const api::Json& request);
  [[nodiscard]] registry::State state();
  // Records a change of it.
  template <class Change>
  [[nodiscard]] Result<void> record(Change change);

  registry::Registry registry_;
  std::mutex mutex_;  // for the record
  registry::Machine machine_;
  std::optional<registry::OutputWriter> output_;
  bool output_failed_ = false, ended_ = false;
  std::unique_ptr<control::Server> server_;
};

}  // namespace husk::cli
