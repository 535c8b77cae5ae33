#include "oci/archive_reader.h"

#include <archive.h>
#include <archive_entry.h>

#include <exception>
#include <functional>

#include "base/try.h"

namespace husk::oci {
namespace {

constexpr size_t kBufferSize = size_t{256} << 10;

// libarchive converts the UTF-8 names of pax headers to the locale's character set and damages what
// does not fit; in this locale the conversion keeps every byte.
class LocaleScope {
 public:
  explicit LocaleScope(locale_t wanted) : saved_(wanted ? ::uselocale(wanted) : nullptr) {}
  ~LocaleScope() {
    if (saved_ != nullptr) ::uselocale(saved_);
  }
  LocaleScope(const LocaleScope&) = delete;
  LocaleScope& operator=(const LocaleScope&) = delete;

 private:
  locale_t saved_;
};

}  // namespace

ArchiveReader::ArchiveReader(ByteSource& source, std::string subject)
    : source_(source), subject_(std::move(subject)), buffer_(kBufferSize) {}

ArchiveReader::~ArchiveReader() {
  if (handle_ != nullptr) ::archive_read_free(handle_);
  if (utf8_ != nullptr) ::freelocale(utf8_);
}

Result<std::unique_ptr<ArchiveReader>> ArchiveReader::open(ByteSource& source, Content content,
                                                           std::string subject) {
  std::unique_ptr<ArchiveReader> reader(new ArchiveReader(source, std::move(subject)));
  if (!reader->start(content)) return reader->failure();
  if (content != Content::kTar) HUSK_TRY(reader->check_single_filter());
  return reader;
}

bool ArchiveReader::start(Content content) {
  content_ = content;
  utf8_ = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  handle_ = ::archive_read_new();
  if (handle_ == nullptr) return false;
  ::archive_read_support_format_empty(handle_);
  if (content == Content::kTar) ::archive_read_support_format_tar(handle_);
  if (content != Content::kTar) ::archive_read_support_format_raw(handle_);
  if (content == Content::kGzip) ::archive_read_support_filter_gzip(handle_);
  if (content == Content::kZstd) ::archive_read_support_filter_zstd(handle_);
  ::archive_read_set_read_callback(handle_, on_read);
  ::archive_read_set_skip_callback(handle_, on_skip);
  ::archive_read_set_callback_data(handle_, this);
  return ::archive_read_open1(handle_) == ARCHIVE_OK;
}

// libarchive applies a filter for as long as it recognises its own output; a stream compressed
// twice is not what the media type says.
Result<void> ArchiveReader::check_single_filter() {
  const int wanted = content_ == Content::kGzip ? ARCHIVE_FILTER_GZIP : ARCHIVE_FILTER_ZSTD;
  if (::archive_filter_count(handle_) == 2 && ::archive_filter_code(handle_, 0) == wanted)
    return {};
  return fail(ErrorKind::kCorrupt, subject_, "not one plain gzip or zstd stream");
}

std::unexpected<Error> ArchiveReader::failure() {
  if (source_error_) return std::unexpected(std::move(*source_error_));
  const char* text = handle_ == nullptr ? nullptr : ::archive_error_string(handle_);
  return fail(ErrorKind::kCorrupt, subject_, text == nullptr ? "cannot be read" : text);
}

Result<archive_entry*> ArchiveReader::next() {
  const LocaleScope scope(utf8_);
  archive_entry* entry = nullptr;
  const int status = ::archive_read_next_header(handle_, &entry);
  if (status == ARCHIVE_EOF) return nullptr;
  // A warning is about a name's character set or an unknown pax key; the entry itself is complete.
  if (status == ARCHIVE_OK || status == ARCHIVE_WARN) return entry;
  return failure();
}

Result<size_t> ArchiveReader::read(std::span<std::byte> buffer) {
  const la_ssize_t n = ::archive_read_data(handle_, buffer.data(), buffer.size());
  if (n < 0) return failure();
  return static_cast<size_t>(n);
}

Result<std::optional<ArchiveReader::Piece>> ArchiveReader::next_piece() {
  const void* data = nullptr;
  size_t size = 0;
  la_int64_t offset = 0;
  const int status = ::archive_read_data_block(handle_, &data, &size, &offset);
  if (status == ARCHIVE_EOF) return std::nullopt;
  if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return failure();
  if (size != 0 && is_padding(data))
    return fail(ErrorKind::kCorrupt, subject_, "ends within a file");
  if (offset < 0) return fail(ErrorKind::kCorrupt, subject_, "data at a negative offset");
  return Piece{{static_cast<const std::byte*>(data), size}, static_cast<uint64_t>(offset)};
}

size_t ArchiveReader::missing_padding() {
  const size_t partial = delivered_ % padding_.size();
  return content_ != Content::kTar || partial == 0 ? 0 : padding_.size() - partial;
}

bool ArchiveReader::is_padding(const void* data) const {
  const std::less<> before;
  return !before(data, static_cast<const void*>(padding_.data())) &&
         before(data, static_cast<const void*>(padding_.data() + padding_.size()));
}

uint64_t ArchiveReader::header_position() const {
  return static_cast<uint64_t>(::archive_read_header_position(handle_));
}

// Called from C: nothing may be thrown out of the two below.
la_ssize_t ArchiveReader::on_read(archive* handle, void* self, const void** data) {
  auto& reader = *static_cast<ArchiveReader*>(self);
  try {
    auto count = reader.source_.read(reader.buffer_);
    if (count) {
      *data = *count == 0 ? reader.padding_.data() : reader.buffer_.data();
      if (*count == 0) *count = reader.missing_padding();
      reader.delivered_ += *count;
      return static_cast<la_ssize_t>(*count);
    }
    reader.source_error_ = std::move(count.error());
  } catch (const std::exception&) {
    reader.source_error_ = Error{ErrorKind::kLimit, "image", "out of memory", 0};
  }
  ::archive_set_error(handle, -1, "the source failed");
  return -1;
}

la_int64_t ArchiveReader::on_skip(archive* handle, void* self, la_int64_t count) {
  auto& reader = *static_cast<ArchiveReader*>(self);
  if (count <= 0) return 0;
  auto passed = reader.source_.skip(static_cast<uint64_t>(count));
  if (passed) {
    reader.delivered_ += *passed;
    return static_cast<la_int64_t>(*passed);
  }
  reader.source_error_ = std::move(passed.error());
  ::archive_set_error(handle, -1, "the source failed");
  return ARCHIVE_FATAL;
}

}  // namespace husk::oci
