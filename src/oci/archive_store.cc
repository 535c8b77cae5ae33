// The blob store inside a tar file; declared in blob_store.h.
#include <archive.h>
#include <archive_entry.h>

#include <unordered_map>

#include "base/temp_file.h"
#include "base/try.h"
#include "oci/archive_reader.h"
#include "oci/blob_store.h"
#include "oci/decompress.h"
#include "oci/entry_path.h"
#include "oci/file_source.h"
#include "oci/limits.h"
#include "oci/verified_source.h"

namespace husk::oci {
namespace {

constexpr int kMaxLinkHops = 8;

struct Member {
  std::string link;       // another member's name; empty: a file
  uint64_t position = 0;  // of its header
};

// One member, read by a tar reader that starts at the member's own header.
class MemberSource final : public ByteSource {
 public:
  static Result<std::unique_ptr<ByteSource>> open(int fd, uint64_t position,
                                                  const std::string& subject) {
    auto source = std::make_unique<MemberSource>();
    source->file_ = std::make_unique<FileSource>(fd, position, subject);
    source->reader_ =
        HUSK_TRY(ArchiveReader::open(*source->file_, ArchiveReader::Content::kTar, subject));
    if (HUSK_TRY(source->reader_->next()) == nullptr)
      return fail(ErrorKind::kCorrupt, subject, "changed while it was read");
    return source;
  }

  [[nodiscard]] Result<size_t> read(std::span<std::byte> buffer) override {
    return reader_->read(buffer);
  }

 private:
  std::unique_ptr<FileSource> file_;
  std::unique_ptr<ArchiveReader> reader_;
};

class ArchiveStore final : public BlobStore {
 public:
  ArchiveStore(base::Fd fd, std::string subject)
      : fd_(std::move(fd)), subject_(std::move(subject)) {}

  [[nodiscard]] Result<void> list();
  [[nodiscard]] Result<std::unique_ptr<ByteSource>> open(const std::string& name) override;

 private:
  [[nodiscard]] Result<void> add(archive_entry* entry, uint64_t position);

  base::Fd fd_;
  std::string subject_;
  std::unordered_map<std::string, Member> members_;
};

Result<void> ArchiveStore::list() {
  FileSource file(fd_.get(), 0, subject_);
  auto reader = HUSK_TRY(ArchiveReader::open(file, ArchiveReader::Content::kTar, subject_));
  for (size_t count = 0;; ++count) {
    archive_entry* entry = HUSK_TRY(reader->next());
    if (entry == nullptr) return {};
    if (count == kMaxArchiveMembers)
      return fail(ErrorKind::kLimit, subject_, "the archive has too many members");
    HUSK_TRY(add(entry, reader->header_position()));
  }
}

Result<void> ArchiveStore::add(archive_entry* entry, uint64_t position) {
  const char* raw = ::archive_entry_pathname(entry);
  auto name = clean_entry_path(raw == nullptr ? "" : raw);
  if (!name) return fail(ErrorKind::kCorrupt, subject_, "bad member: " + name.error().message());
  Member member{{}, position};
  if (const char* target = ::archive_entry_hardlink(entry)) {
    const auto link = clean_entry_path(target);
    if (!link) return {};
    member.link = *link;
  } else if (::archive_entry_filetype(entry) == AE_IFLNK) {
    const char* symlink = ::archive_entry_symlink(entry);
    const auto link = clean_entry_path(std::string(parent_path(*name)) + "/" +
                                       (symlink == nullptr ? "" : symlink));
    if (!link) return {};
    member.link = *link;
  } else if (::archive_entry_filetype(entry) != AE_IFREG) {
    return {};
  }
  members_[std::move(*name)] = std::move(member);
  return {};
}

Result<std::unique_ptr<ByteSource>> ArchiveStore::open(const std::string& name) {
  auto found = members_.find(name);
  for (int hops = 0; found != members_.end(); ++hops) {
    if (found->second.link.empty())
      return MemberSource::open(fd_.get(), found->second.position,
                                subject_ + ": " + printable(name));
    if (hops == kMaxLinkHops) break;
    found = members_.find(found->second.link);
  }
  return fail(ErrorKind::kNotFound, subject_, "has no " + printable(name));
}

Result<base::Fd> decompress_to_scratch(std::unique_ptr<ByteSource> source,
                                       const std::string& scratch_directory) {
  base::Fd scratch = HUSK_TRY(base::open_scratch_file(scratch_directory));
  std::vector<std::byte> buffer(size_t{256} << 10);
  uint64_t offset = 0;
  while (const size_t n = HUSK_TRY(source->read(buffer))) {
    HUSK_TRY(
        base::write_exact(scratch.get(), std::span(buffer).first(n), offset, scratch_directory));
    offset += n;
  }
  return scratch;
}

}  // namespace

Result<std::unique_ptr<BlobStore>> open_archive(const std::string& path, const std::string& subject,
                                                const std::string& scratch_directory,
                                                uint64_t limit) {
  auto file = open_regular_file(path, "image archive");
  if (!file && file.error().os_errno == ENOENT)
    return fail(ErrorKind::kNotFound, subject, "no such image: there is no file " + path);
  if (!file) return std::unexpected(std::move(file.error()));

  auto content =
      HUSK_TRY(decompress(std::make_unique<FileSource>(file->get(), 0, subject), subject));
  if (content.compression != Compression::kNone) {
    auto limited = std::make_unique<LimitedSource>(std::move(content.source), limit, subject);
    *file = HUSK_TRY(decompress_to_scratch(std::move(limited), scratch_directory));
  }
  auto store = std::make_unique<ArchiveStore>(std::move(*file), subject);
  HUSK_TRY(store->list());
  return store;
}

}  // namespace husk::oci
