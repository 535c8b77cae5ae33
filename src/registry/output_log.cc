#include "registry/output_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "base/try.h"

namespace husk::registry {
namespace {

struct Header {
  uint32_t length;
  uint32_t stream;
  uint64_t time_ns;
};
static_assert(sizeof(Header) == 16 && std::endian::native == std::endian::little);

constexpr const char* kSubject = "recorded output";
constexpr size_t kReadAhead = size_t{128} << 10;

// Up to its newline, or as much as a frame takes.
std::string_view first_piece(std::string_view text) {
  const size_t newline = text.find('\n');
  const size_t length = newline == std::string_view::npos ? text.size() : newline + 1;
  return text.substr(0, std::min(length, kLongestPiece));
}

}  // namespace

Result<OutputWriter> OutputWriter::create(const std::string& path) {
  return OutputWriter(HUSK_TRY(base::open_file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
                                               "a file for the output", 0600)));
}

Result<void> OutputWriter::append(Stream stream, std::string_view text, uint64_t time_ns) {
  std::string frames;
  while (!text.empty()) {
    const std::string_view piece = first_piece(text);
    const Header header{static_cast<uint32_t>(piece.size()), static_cast<uint32_t>(stream),
                        time_ns};
    frames.append(reinterpret_cast<const char*>(&header), sizeof(header));
    frames += piece;
    text.remove_prefix(piece.size());
  }
  auto written = base::write_exact(fd_.get(), std::as_bytes(std::span(frames)), end_, kSubject);
  if (written) {
    end_ += frames.size();
  } else if (::ftruncate(fd_.get(), static_cast<off_t>(end_)) != 0) {
    return fail_errno(kSubject, "cannot take back what was written in part");
  }
  return written;
}

Result<OutputReader> OutputReader::open(const std::string& path) {
  base::Fd fd =
      HUSK_TRY(base::open_file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, "the recorded output"));
  struct stat st{};
  if (::fstat(fd.get(), &st) != 0) return fail_errno(path, "cannot stat");
  if (!S_ISREG(st.st_mode)) return fail(ErrorKind::kCorrupt, kSubject, "is not a file");
  return OutputReader(std::move(fd));
}

void OutputReader::rewind() {
  offset_ = 0;
  buffer_.clear();
  used_ = 0;
  in_line_[0] = in_line_[1] = false;
}

Result<bool> OutputReader::fill(size_t count) {
  if (buffer_.size() - used_ >= count) return true;
  offset_ += used_;
  buffer_.erase(0, std::exchange(used_, 0));
  while (buffer_.size() < count) {
    const size_t old = buffer_.size();
    buffer_.resize(old + kReadAhead);
    const ssize_t n =
        ::pread(fd_.get(), buffer_.data() + old, kReadAhead, static_cast<off_t>(offset_ + old));
    const int error = errno;
    buffer_.resize(old + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (n == 0) return false;
    errno = error;
    if (n < 0 && error != EINTR) return fail_errno(kSubject, "cannot read");
  }
  return true;
}

Result<std::optional<OutputPiece>> OutputReader::next() {
  Header header;
  if (!HUSK_TRY(fill(sizeof(header)))) return std::nullopt;
  std::memcpy(&header, buffer_.data() + used_, sizeof(header));
  if (header.length == 0 || header.length > kLongestPiece || header.stream < 1 || header.stream > 2)
    return fail(ErrorKind::kCorrupt, kSubject,
                "is damaged at byte " + std::to_string(offset_ + used_));
  if (!HUSK_TRY(fill(sizeof(header) + header.length))) return std::nullopt;
  OutputPiece piece{static_cast<Stream>(header.stream), header.time_ns,
                    buffer_.substr(used_ + sizeof(header), header.length)};
  used_ += sizeof(header) + header.length;
  bool& in_line = in_line_[header.stream - 1];
  piece.starts_line = !in_line;
  in_line = piece.text.back() != '\n';
  return piece;
}

}  // namespace husk::registry
