#include "snapshot/snapshot_file.h"

#include <fcntl.h>
#include <fmt/core.h>

#include "base/try.h"
#include "snapshot/frame.h"
#include "snapshot/header.h"

namespace husk::snapshot {

Result<base::Fd> open_snapshot(const std::string& path) {
  return base::open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, "the snapshot");
}

Result<Identified> read_manifest(int fd, const std::string& path) {
  const Header header = HUSK_TRY(read_header(fd, path));
  std::string text(header.manifest_size, '\0');
  HUSK_TRY(
      base::read_exact(fd, std::as_writable_bytes(std::span(text)), header.manifest_offset, path));
  if (sha256(std::as_bytes(std::span(text))) != header.id)
    return fail(ErrorKind::kCorrupt, path, "its manifest is damaged");
  return Identified{header.id, HUSK_TRY(decode_manifest(text, header.manifest_offset, path))};
}

Result<Identified> read_manifest(const std::string& path) {
  const base::Fd fd = HUSK_TRY(open_snapshot(path));
  return read_manifest(fd.get(), path);
}

Result<SnapshotFile> SnapshotFile::open(const std::string& path) {
  SnapshotFile file;
  file.path_ = path;
  file.fd_ = HUSK_TRY(open_snapshot(path));
  Identified identified = HUSK_TRY(read_manifest(file.fd(), path));
  file.id_ = identified.id;
  file.manifest_ = std::move(identified.manifest);
  HUSK_TRY(file.load_tables());
  HUSK_TRY(file.load_states());
  return file;
}

Result<void> SnapshotFile::load_tables() {
  const VmSnapshot& machine = manifest_.machine;
  const RunRules rules{machine.total_memory, manifest_.memory_end, !is_diff(), machine.compressed};
  const auto run_table = HUSK_TRY(load(manifest_.parts[0]));
  runs_ = HUSK_TRY(decode_runs(run_table, rules, path_));
  const auto digest_table = HUSK_TRY(load(manifest_.parts[1]));
  digests_ = HUSK_TRY(decode_digests(digest_table, runs_, path_));
  return {};
}

Result<void> SnapshotFile::load_states() {
  contents_.machine = manifest_.machine;
  contents_.origin = manifest_.origin;
  const size_t of_machine = 2 + contents_.machine.vcpus.size() + contents_.machine.devices.size();
  for (size_t i = of_machine; i < manifest_.parts.size(); ++i)
    contents_.states.push_back({manifest_.parts[i].name.substr(sizeof("state/") - 1), {}});
  auto part = manifest_.parts.begin() + 2;
  for (const StatePart& state : state_parts(contents_)) *state.bytes = HUSK_TRY(load(*part++));
  return {};
}

Result<std::vector<std::byte>> SnapshotFile::load(const Part& part) const {
  std::vector<std::byte> bytes(part.size);
  HUSK_TRY(base::read_exact(fd(), bytes, part.offset, path_));
  if (sha256(bytes) != part.digest)
    return fail(ErrorKind::kCorrupt, path_, fmt::format("part '{}' is damaged", part.name));
  return bytes;
}

Result<void> SnapshotFile::read(const Run& run, uint64_t at, std::span<std::byte> out,
                                Unpacked& unpacked) const {
  if (run.is_zero()) {
    std::memset(out.data(), 0, out.size());
    return {};
  }
  if (!run.is_compressed()) return base::read_exact(fd(), out, run.offset + (at - run.at), path_);
  if (unpacked.run != &run) {
    std::vector<std::byte> packed(run.stored);
    HUSK_TRY(base::read_exact(fd(), packed, run.offset, path_));
    unpacked.run = nullptr;
    unpacked.bytes.resize(run.length);
    HUSK_TRY(unpack(packed, unpacked.bytes,
                    fmt::format("{}: memory at {:#x}", path_, guest_address(run.at))));
    unpacked.run = &run;
  }
  std::memcpy(out.data(), unpacked.bytes.data() + (at - run.at), out.size());
  return {};
}

uint64_t SnapshotFile::guest_address(uint64_t at) const {
  for (const MemoryRegionSnapshot& region : manifest_.machine.memory_regions) {
    if (at - region.file_offset < region.size) return region.guest_addr + (at - region.file_offset);
  }
  return at;
}

}  // namespace husk::snapshot
