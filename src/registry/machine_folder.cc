#include "registry/machine_folder.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <span>

#include "base/try.h"

namespace husk::registry {
namespace {

constexpr const char* kRecord = "machine.json";
constexpr const char* kNewRecord = "machine.json.new";

// In one step, either way. ext4 writes a file to the disk that replaces another one (ext4(5),
// auto_da_alloc), which who needs nothing durable does not wait for: there the two change places.
bool put_in_place(int folder, bool durable) {
  if (!durable && ::renameat2(folder, kNewRecord, folder, kRecord, RENAME_EXCHANGE) == 0)
    return ::unlinkat(folder, kNewRecord, 0) == 0;
  return ::renameat(folder, kNewRecord, folder, kRecord) == 0;
}

}  // namespace

Result<MachineFolder> MachineFolder::open(std::string path) {
  base::Fd fd =
      HUSK_TRY(base::open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, "the machine's folder"));
  return MachineFolder(std::move(path), std::move(fd));
}

std::string MachineFolder::at(const std::string& file) const {
  return fmt::format("/proc/self/fd/{}/{}", fd_.get(), file);
}

// Whatever stands there under that name: it is not waited for, and not followed elsewhere.
Result<Record> MachineFolder::read() const {
  const std::string subject = path_ + "/" + kRecord;
  const base::Fd fd(::openat(fd_.get(), kRecord, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat st{};
  if (!fd.valid() || ::fstat(fd.get(), &st) != 0)
    return fail_errno(subject, "cannot open the machine's record");
  if (!S_ISREG(st.st_mode)) return fail(ErrorKind::kCorrupt, subject, "is not a file");
  if (static_cast<uint64_t>(st.st_size) > api::kMaxJsonBytes)
    return fail(ErrorKind::kLimit, subject, "is too large for a record");
  std::string text(static_cast<size_t>(st.st_size), '\0');
  HUSK_TRY(base::read_exact(fd.get(), std::as_writable_bytes(std::span(text)), 0, subject));
  return parse_record(text, subject);
}

Result<void> MachineFolder::write(const Record& record, bool durable) const {
  const std::string subject = path_ + "/" + kRecord;
  const std::string text = to_json(record).dump(2, ' ', false, api::Json::error_handler_t::replace);
  const base::Fd fd(
      ::openat(fd_.get(), kNewRecord, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) return fail_errno(subject, "cannot write the machine's record");
  HUSK_TRY(base::write_exact(fd.get(), std::as_bytes(std::span(text)), 0, subject));
  if (durable && ::fsync(fd.get()) != 0) return fail_errno(subject, "cannot write to the disk");
  if (!put_in_place(fd_.get(), durable))
    return fail_errno(subject, "cannot replace the machine's record");
  if (durable && ::fsync(fd_.get()) != 0) return fail_errno(path_, "cannot write to the disk");
  return {};
}

}  // namespace husk::registry
