// What a machine's command writes, kept in its folder: a file of frames that only grows, so that a
// process killed in the middle of one costs that frame alone.
//
// A frame: length of the text (u32), stream (u32: 1 standard output, 2 standard error), time (u64,
// nanoseconds since the Unix epoch), all little-endian, then the text: a line with its newline, or
// a piece of one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "husk/error.h"

#include "base/fd.h"

namespace husk::registry {

enum class Stream : uint8_t { kOut = 1, kError = 2 };

struct OutputPiece {
  Stream stream = Stream::kOut;
  uint64_t time_ns = 0;
  std::string text;
  bool starts_line = true;
};

inline constexpr size_t kLongestPiece = size_t{64} << 10;

// One thread at a time.
class OutputWriter {
 public:
  [[nodiscard]] static Result<OutputWriter> create(const std::string& path);
  // All of it or nothing of it is in the file.
  [[nodiscard]] Result<void> append(Stream stream, std::string_view text, uint64_t time_ns);

 private:
  explicit OutputWriter(base::Fd fd) : fd_(std::move(fd)) {}

  base::Fd fd_;
  uint64_t end_ = 0;
};

// Reads while it is written. The file is not trusted.
class OutputReader {
 public:
  [[nodiscard]] static Result<OutputReader> open(const std::string& path);
  // The next piece; nothing: no more is there yet. kCorrupt: the file is not one of frames.
  [[nodiscard]] Result<std::optional<OutputPiece>> next();
  void rewind();

 private:
  explicit OutputReader(base::Fd fd) : fd_(std::move(fd)) {}
  // False: the file has not so many bytes behind offset_.
  [[nodiscard]] Result<bool> fill(size_t count);

  base::Fd fd_;
  uint64_t offset_ = 0;  // of what buffer_ holds
  std::string buffer_;
  size_t used_ = 0;                   // of buffer_
  bool in_line_[2] = {false, false};  // by stream
};

}  // namespace husk::registry
