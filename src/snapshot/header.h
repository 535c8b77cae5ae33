// The first page of a snapshot file: what it is, how long it is, where its manifest lies.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "husk/error.h"

#include "snapshot/format.h"
#include "snapshot/sha256.h"

namespace husk::snapshot {

struct Header {
  uint64_t file_size = 0;
  uint64_t manifest_offset = 0;
  uint64_t manifest_size = 0;
  Sha256 id{};  // the manifest's digest, which names the snapshot
};

using HeaderPage = std::array<std::byte, kHeaderSize>;

[[nodiscard]] Result<HeaderPage> encode(const Header& header);

// kCorrupt for what is no header, is damaged, or does not fit a file of this size; kUnsupported for
// another version of the format. `subject` names the file.
[[nodiscard]] Result<Header> decode_header(const HeaderPage& page, uint64_t file_size,
                                           const std::string& subject);

// Of an open file, whose size is read first.
[[nodiscard]] Result<Header> read_header(int fd, const std::string& subject);

}  // namespace husk::snapshot
