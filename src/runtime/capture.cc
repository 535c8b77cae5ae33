#include "runtime/capture.h"

#include <algorithm>
#include <filesystem>

#include "husk/serialize.h"

#include "base/clock.h"
#include "base/try.h"

namespace husk::runtime {
namespace {

constexpr size_t kFewPages = 1024;   // copied within a pause, in a few milliseconds
constexpr uint32_t kMostRounds = 8;  // of a guest that writes faster than it is copied

// A machine that stands still while this lives. One that somebody has paused stays so; pauses and
// captures of a machine come from one thread.
class Pause {
 public:
  [[nodiscard]] static Result<Pause> of(ManagedMachine& machine, uint64_t& longest_ns) {
    const uint64_t start = base::monotonic_ns();
    const bool paused_before = machine.state() == machine::VmState::kPaused;
    if (!paused_before) HUSK_TRY(machine.pause());
    return Pause(machine, longest_ns, start, !paused_before);
  }
  ~Pause() {
    if (machine_ == nullptr) return;
    if (resume_) (void)machine_->resume();  // refused by a machine that has ended, which is as well
    longest_ns_ = std::max(longest_ns_, base::monotonic_ns() - start_);
  }
  Pause(Pause&& other) noexcept
      : machine_(std::exchange(other.machine_, nullptr)),
        longest_ns_(other.longest_ns_),
        start_(other.start_),
        resume_(other.resume_) {}
  Pause& operator=(Pause&&) = delete;

 private:
  Pause(ManagedMachine& machine, uint64_t& longest_ns, uint64_t start, bool resume)
      : machine_(&machine), longest_ns_(longest_ns), start_(start), resume_(resume) {}

  ManagedMachine* machine_;
  uint64_t& longest_ns_;
  uint64_t start_;
  bool resume_;
};

Result<void> refuse_written_disks(const ManagedMachine& machine) {
  for (const DeviceSnapshot& device : HUSK_TRY(machine.snapshot_devices())) {
    if (device.device_type != VirtioDeviceType::kBlock) continue;
    const std::string_view text(reinterpret_cast<const char*>(device.state.data()),
                                device.state.size());
    const auto disk = HUSK_TRY(from_json<VirtioDeviceConfig>(text));
    if (!disk.read_only)
      return fail(ErrorKind::kUnsupported, disk.path.value_or(device.name),
                  "is a disk that the guest may write to; no snapshot can keep it yet");
  }
  return {};
}

}  // namespace

SnapshotLink link_of(const snapshot::Location& location, const snapshot::Sha256& id) {
  return {location.directory(), {id, location.file()}};
}

Result<void> Capturer::check(const CaptureRequest& request) const {
  HUSK_TRY(refuse_written_disks(machine_));
  if (!request.diff) return {};
  if (!last_)
    return fail(ErrorKind::kState, request.to.text(),
                "a diff needs a snapshot of this machine to build on; there is none yet");
  std::error_code error;
  if (!std::filesystem::equivalent(last_->directory, request.to.directory(), error) || error)
    return fail(ErrorKind::kInvalidArgument, request.to.text(),
                "a diff lies beside the snapshot that it builds on, in " + last_->directory);
  return {};
}

Result<CaptureReport> Capturer::capture(const CaptureRequest& request, const Describe& describe) {
  const std::lock_guard lock(mutex_);
  HUSK_TRY(check(request));
  return request.live ? capture_live(request, describe) : capture_still(request, describe);
}

Result<std::vector<Gpa>> Capturer::take_written() {
  memory::GuestMemory& memory = machine_.guest_memory();
  if (!memory.dirty_tracking()) {
    HUSK_TRY(memory.enable_dirty_tracking());
    return std::vector<Gpa>();
  }
  auto taken = memory.take_dirty_pages();
  if (!taken) {
    last_.reset();  // some of the log may be lost: only a full snapshot can follow
    return taken;
  }
  written_.insert(written_.end(), taken->begin(), taken->end());
  std::ranges::sort(written_, {}, &Gpa::value);
  const auto again = std::ranges::unique(written_);
  written_.erase(again.begin(), again.end());
  return taken;
}

Result<void> Capturer::write(const CaptureRequest& request, const snapshot::Contents& contents,
                             const memory::GuestMemory& memory, CaptureReport& report) {
  report.id = request.diff ? HUSK_TRY(request.to.write_diff(last_->parent, contents, memory,
                                                            written_, request.write))
                           : HUSK_TRY(request.to.write_full(contents, memory, request.write));
  report.memory_bytes = request.diff ? written_.size() * kPageSize : memory.size();
  last_ = link_of(request.to, report.id);
  written_.clear();
  return {};
}

Result<CaptureReport> Capturer::capture_still(const CaptureRequest& request,
                                              const Describe& describe) {
  CaptureReport report;
  {
    const Pause pause = HUSK_TRY(Pause::of(machine_, report.paused_ns));
    HUSK_TRY(take_written());
    const snapshot::Contents contents = HUSK_TRY(describe());
    HUSK_TRY(write(request, contents, machine_.guest_memory(), report));
  }
  return report;
}

// The log is read while the machine stands: a vCPU that runs may write to a page once more before
// it sees that the page has to be marked again.
Result<CaptureReport> Capturer::capture_live(const CaptureRequest& request,
                                             const Describe& describe) {
  CaptureReport report;
  LiveCopy copy = HUSK_TRY(LiveCopy::create(machine_.guest_memory()));
  {
    const Pause pause = HUSK_TRY(Pause::of(machine_, report.paused_ns));
    HUSK_TRY(take_written());
  }
  if (request.diff)
    copy.copy(written_);
  else
    HUSK_TRY(copy.copy_all());
  std::optional<snapshot::Contents> contents;
  while (!contents) {
    ++report.rounds;
    std::vector<Gpa> fresh;
    {
      const Pause pause = HUSK_TRY(Pause::of(machine_, report.paused_ns));
      fresh = HUSK_TRY(take_written());
      report.copied_again += fresh.size();
      if (fresh.size() <= kFewPages || report.rounds == kMostRounds) {
        copy.copy(fresh);
        contents = HUSK_TRY(describe());
      }
    }
    if (!contents) copy.copy(fresh);
  }
  HUSK_TRY(write(request, *contents, copy.memory(), report));
  return report;
}

}  // namespace husk::runtime
