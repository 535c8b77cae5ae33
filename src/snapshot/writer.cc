#include "snapshot/writer.h"

#include <fmt/core.h>

#include <filesystem>
#include <set>

#include "base/temp_file.h"
#include "base/try.h"
#include "snapshot/header.h"
#include "snapshot/manifest.h"
#include "snapshot/manifest_check.h"
#include "snapshot/memory_writer.h"

namespace husk::snapshot {
namespace {

struct Task {
  const std::string& path;
  const Contents& contents;
  MemorySource& source;
  const WriteOptions& options;
  const Parent* parent = nullptr;
  std::span<const Range> dirty{};  // with a parent
};

// Appends bytes to a file and remembers them as parts.
class PartWriter {
 public:
  PartWriter(int file, const std::string& subject, uint64_t end)
      : file_(file), subject_(subject), end_(end) {}

  Result<void> add(std::string name, std::span<const std::byte> bytes) {
    HUSK_TRY(base::write_exact(file_, bytes, end_, subject_));
    parts_.push_back({std::move(name), end_, bytes.size(), sha256(bytes)});
    end_ += bytes.size();
    return {};
  }
  [[nodiscard]] const std::vector<Part>& parts() const { return parts_; }
  [[nodiscard]] uint64_t end() const { return end_; }

 private:
  int file_;
  const std::string& subject_;
  uint64_t end_;
  std::vector<Part> parts_;
};

Result<void> check_names(Contents& contents) {
  std::set<std::string> names;
  for (const StatePart& part : state_parts(contents)) {
    if (!names.insert(part.name).second)
      return fail(ErrorKind::kInvalidArgument, "snapshot", "has two of " + part.name);
  }
  return {};
}

VmSnapshot describe(const Task& task) {
  VmSnapshot machine = task.contents.machine;
  machine.version = kFormatVersion;
  machine.compressed = task.options.compress;
  machine.compression.reset();
  if (machine.compressed) machine.compression = kZstd;
  machine.parent_id.reset();
  if (task.parent != nullptr) machine.parent_id = to_hex(task.parent->id);
  for (VcpuSnapshot& vcpu : machine.vcpus) vcpu.extra_state.clear();
  for (DeviceSnapshot& device : machine.devices) device.state.clear();
  return machine;
}

Result<void> write_memory(MemoryWriter& memory, const Task& task) {
  return task.parent != nullptr ? memory.write_ranges(task.dirty) : memory.write_all();
}

Result<void> write_parts(PartWriter& parts, const MemoryWriter& memory, const Task& task) {
  HUSK_TRY(parts.add(std::string(kRunTable), encode_runs(memory.runs())));
  HUSK_TRY(parts.add(std::string(kDigestTable), encode_digests(memory.digests())));
  Contents contents = task.contents;  // state_parts() gives access for both directions
  for (const StatePart& part : state_parts(contents)) HUSK_TRY(parts.add(part.name, *part.bytes));
  return {};
}

// The manifest behind all parts, then the header, which makes it a snapshot.
Result<Sha256> seal(int file, const Manifest& manifest, uint64_t at, const std::string& subject) {
  HUSK_TRY(check_manifest(manifest, at, subject));
  const std::string text = HUSK_TRY(encode(manifest));
  if (text.size() > kMaxManifest) return fail(ErrorKind::kLimit, subject, "too large a manifest");
  const auto bytes = std::as_bytes(std::span(text));
  HUSK_TRY(base::write_exact(file, bytes, at, subject));
  const Sha256 id = sha256(bytes);
  const HeaderPage page = HUSK_TRY(encode(Header{at + text.size(), at, text.size(), id}));
  HUSK_TRY(base::write_exact(file, page, 0, subject));
  return id;
}

Result<Sha256> build(int file, const Task& task) {
  std::optional<Packer> packer;
  if (task.options.compress) packer = HUSK_TRY(Packer::create(task.options.level));
  MemoryWriter memory(file, task.path, task.source, std::move(packer));
  HUSK_TRY(write_memory(memory, task));
  PartWriter parts(file, task.path, memory.end());
  HUSK_TRY(write_parts(parts, memory, task));
  Manifest manifest{describe(task), task.contents.origin, std::nullopt, memory.end(),
                    parts.parts()};
  if (task.parent != nullptr) manifest.parent_file = task.parent->file;
  return seal(file, manifest, parts.end(), task.path);
}

std::unexpected<Error> exists(const std::string& path) {
  return fail(ErrorKind::kState, path, "exists; a snapshot never replaces another");
}

std::string directory_of(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  return directory.empty() ? "." : directory;
}

Result<Sha256> write(const Task& task) {
  Contents names = task.contents;
  HUSK_TRY(check_names(names));
  std::error_code ignored;
  if (!task.options.replace && std::filesystem::exists(task.path, ignored))
    return exists(task.path);  // before all the work
  base::TempFile file = HUSK_TRY(base::TempFile::create(directory_of(task.path)));
  const Sha256 id = HUSK_TRY(build(file.fd(), task));
  if (task.options.replace) {
    HUSK_TRY(file.replace(task.path));
  } else if (!HUSK_TRY(file.publish(task.path))) {
    return exists(task.path);
  }
  return id;
}

Contents with_regions(const Contents& contents, const memory::GuestMemory& memory) {
  Contents complete = contents;
  complete.machine.total_memory = memory.size();
  complete.machine.memory_regions.clear();
  for (const memory::Region& region : memory.regions())
    complete.machine.memory_regions.push_back(
        {region.start.value, region.size, false, region.file_offset});
  return complete;
}

}  // namespace

Result<Sha256> write_from(const std::string& path, const Contents& contents, MemorySource& source,
                          const WriteOptions& options) {
  return write({path, contents, source, options});
}

Result<Sha256> write_full(const std::string& path, const Contents& contents,
                          const memory::GuestMemory& memory, const WriteOptions& options) {
  GuestMemorySource source(memory);
  return write_from(path, with_regions(contents, memory), source, options);
}

Result<Sha256> write_diff(const std::string& path, const Parent& parent, const Contents& contents,
                          const memory::GuestMemory& memory, std::span<const Gpa> dirty,
                          const WriteOptions& options) {
  GuestMemorySource source(memory);
  const Contents complete = with_regions(contents, memory);
  const auto ranges = HUSK_TRY(ranges_of(dirty, memory.regions()));
  return write({path, complete, source, options, &parent, ranges});
}

unsigned prune(const std::string& directory) { return base::sweep_temp_files(directory); }

}  // namespace husk::snapshot
