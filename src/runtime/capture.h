// Snapshots of a running machine: full ones, those of what was written since the last one, and
// either with the pause kept short.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "husk/error.h"

#include "runtime/capture_request.h"
#include "runtime/live_copy.h"
#include "runtime/managed_machine.h"

namespace husk::runtime {

// Which snapshot a machine goes on from: the last one that it was captured to or restored from.
struct SnapshotLink {
  std::string directory;
  snapshot::Parent parent;
};
[[nodiscard]] SnapshotLink link_of(const snapshot::Location& location, const snapshot::Sha256& id);

// One for a machine, which it does not outlive. Writes are logged from the first snapshot on, or
// from the start of a machine that was restored with MachineExtras::track_writes. Thread-safe.
class Capturer {
 public:
  explicit Capturer(ManagedMachine& machine) : machine_(machine) {}

  void set_last(SnapshotLink last) { last_ = std::move(last); }
  // `describe` is called while the machine is paused and tells all but memory. The machine goes on
  // whatever happens, unless it has ended. kUnsupported, naming it, for a disk that the guest may
  // write to: it would go on changing under the snapshot.
  using Describe = std::function<Result<snapshot::Contents>()>;
  [[nodiscard]] Result<CaptureReport> capture(const CaptureRequest& request,
                                              const Describe& describe);

 private:
  [[nodiscard]] Result<void> check(const CaptureRequest& request) const;
  [[nodiscard]] Result<CaptureReport> capture_still(const CaptureRequest& request,
                                                    const Describe& describe);
  [[nodiscard]] Result<CaptureReport> capture_live(const CaptureRequest& request,
                                                   const Describe& describe);
  // While paused: the pages that were written since the last call, which also are in written_.
  [[nodiscard]] Result<std::vector<Gpa>> take_written();
  [[nodiscard]] Result<void> write(const CaptureRequest& request,
                                   const snapshot::Contents& contents,
                                   const memory::GuestMemory& memory, CaptureReport& report);

  std::mutex mutex_;
  ManagedMachine& machine_;
  std::optional<SnapshotLink> last_;
  std::vector<Gpa> written_;  // since last_, ascending
};

}  // namespace husk::runtime
