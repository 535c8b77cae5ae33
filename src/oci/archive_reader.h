// libarchive over a ByteSource, with exactly one format and one filter enabled. The only file that
// meets libarchive's reading handle; its errors become values here.
#pragma once

#include <locale.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "oci/byte_source.h"

struct archive;
struct archive_entry;

namespace husk::oci {

class ArchiveReader {
 public:
  enum class Content { kTar, kGzip, kZstd };  // the last two: one compressed stream, no archive

  // `source` outlives the reader. `subject` names the thing read, in every error.
  [[nodiscard]] static Result<std::unique_ptr<ArchiveReader>> open(ByteSource& source,
                                                                   Content content,
                                                                   std::string subject);
  ~ArchiveReader();
  ArchiveReader(const ArchiveReader&) = delete;
  ArchiveReader& operator=(const ArchiveReader&) = delete;

  // The next entry, valid until the next call; null at the end. A compressed stream is one entry.
  [[nodiscard]] Result<archive_entry*> next();
  // Data of the present entry, holes filled with zeros; 0 at its end.
  [[nodiscard]] Result<size_t> read(std::span<std::byte> buffer);
  // The present entry's next piece and its position in the file; holes are skipped, nothing at the
  // end.
  struct Piece {
    std::span<const std::byte> data;
    uint64_t offset = 0;
  };
  [[nodiscard]] Result<std::optional<Piece>> next_piece();
  // Where the present entry's header begins in the source; a reader opened there sees it first.
  [[nodiscard]] uint64_t header_position() const;

 private:
  ArchiveReader(ByteSource& source, std::string subject);
  [[nodiscard]] bool start(Content content);
  [[nodiscard]] std::unexpected<Error> failure();
  [[nodiscard]] Result<void> check_single_filter();
  [[nodiscard]] size_t missing_padding();
  [[nodiscard]] bool is_padding(const void* data) const;

  static ssize_t on_read(archive* handle, void* self, const void** data);
  static int64_t on_skip(archive* handle, void* self, int64_t count);

  ByteSource& source_;
  std::string subject_;
  Content content_ = Content::kTar;
  std::optional<Error> source_error_;  // why on_read failed
  archive* handle_ = nullptr;
  locale_t utf8_ = nullptr;
  std::vector<std::byte> buffer_;
  uint64_t delivered_ = 0;  // bytes of the source that libarchive has had
  // The end of a tar's last block, where the source lacks it: `umoci insert` does not write it, and
  // Go's tar reader, which the rest of the world uses, does not miss it.
  std::array<std::byte, 512> padding_{};
};

}  // namespace husk::oci
