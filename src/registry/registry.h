// The machines of one user on this host: a directory with a folder for each, for any number of
// processes at once. Folders appear whole and go whole: kill -9 at any moment leaves nothing that
// the next call does not put right.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "husk/error.h"

#include "base/fd.h"
#include "registry/machine_folder.h"
#include "registry/record.h"

namespace husk::registry {

struct Machine {
  MachineFolder folder;
  Record record;
};

class Registry {
 public:
  // HUSK_STATE, else /var/lib/husk for root, else husk in XDG_STATE_HOME or ~/.local/state.
  [[nodiscard]] static Result<Registry> open_default();
  // Makes the directory (mode 0700) where there is none.
  [[nodiscard]] static Result<Registry> open(const std::string& directory);

  // A machine of this process's, in state created. It gets an id, and a name where `record` has
  // none; kState: the name is taken; kInvalidArgument: it is none.
  [[nodiscard]] Result<Machine> create(Record record) const;

  // All, the youngest first. One whose process is gone without a word reads as exited with
  // kKilledCode, and is recorded so, or is removed if it was to be; a record that cannot be read
  // gives a machine that is dead. Warns about what belongs to no machine.
  [[nodiscard]] Result<std::vector<Machine>> list() const;
  // By id, by name, or by the beginning of an id. kNotFound; kInvalidArgument: several ids begin
  // so.
  [[nodiscard]] Result<Machine> find(std::string_view name) const;

  // kState: its process lives and has not recorded the end. Nothing when it is gone already.
  [[nodiscard]] Result<void> remove(const Machine& machine) const;

 private:
  explicit Registry(std::string directory) : directory_(std::move(directory)) {}
  [[nodiscard]] std::string machines() const { return directory_ + "/machines"; }
  // Exclusive among processes; held as long as the descriptor is open, and goes with its process.
  [[nodiscard]] Result<base::Fd> lock() const;
  [[nodiscard]] Result<void> claim_name(Record& record) const;
  [[nodiscard]] Result<Machine> make_folder(const Record& record) const;
  [[nodiscard]] Result<std::vector<Machine>> read_all() const;
  [[nodiscard]] std::vector<Machine> bury(std::vector<Machine> machines) const;
  [[nodiscard]] bool settle(Machine& machine) const;
  [[nodiscard]] Result<void> take_away(const Machine& machine) const;
  void sweep() const;

  std::string directory_;
};

}  // namespace husk::registry
