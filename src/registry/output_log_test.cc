#include "registry/output_log.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/testing/temp_directory.h"

namespace husk::registry {
namespace {

using base::testing::read_whole_file;
using base::testing::write_file;

class OutputLog : public ::testing::Test {
 protected:
  [[nodiscard]] std::vector<OutputPiece> pieces() const {
    std::vector<OutputPiece> all;
    auto reader = OutputReader::open(path_);
    EXPECT_TRUE(reader);
    for (;;) {
      const auto piece = reader->next();
      EXPECT_TRUE(piece) << piece.error().message();
      if (!piece || !*piece) return all;
      all.push_back(**piece);
    }
  }
  [[nodiscard]] std::string text(Stream stream) const {
    std::string text;
    for (const OutputPiece& piece : pieces())
      if (piece.stream == stream) text += piece.text;
    return text;
  }
  base::testing::TempDirectory directory_;
  std::string path_ = directory_ / "output";
};

TEST_F(OutputLog, ComesBackByLines) {
  auto writer = OutputWriter::create(path_);
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->append(Stream::kOut, "one\ntw", 7));
  ASSERT_TRUE(writer->append(Stream::kError, "wrong\n", 8));
  ASSERT_TRUE(writer->append(Stream::kOut, "o\n\n", 9));
  ASSERT_TRUE(writer->append(Stream::kOut, "", 10));
  const auto all = pieces();
  ASSERT_EQ(all.size(), 5U);
  const auto is = [&](size_t i, Stream stream, uint64_t time, const char* text, bool starts) {
    return all[i].stream == stream && all[i].time_ns == time && all[i].text == text &&
           all[i].starts_line == starts;
  };
  EXPECT_TRUE(is(0, Stream::kOut, 7, "one\n", true));
  EXPECT_TRUE(is(1, Stream::kOut, 7, "tw", true));
  EXPECT_TRUE(is(2, Stream::kError, 8, "wrong\n", true));
  EXPECT_TRUE(is(3, Stream::kOut, 9, "o\n", false));
  EXPECT_TRUE(is(4, Stream::kOut, 9, "\n", true));
}

TEST_F(OutputLog, AnyBytesOfAnyLength) {
  std::string bytes;
  for (size_t i = 0; i < 3 * kLongestPiece; ++i) bytes += static_cast<char>(i * 7 % 9 == 0 ? 0 : i);
  bytes += std::string(2 * kLongestPiece + 1, 'x');
  auto writer = OutputWriter::create(path_);
  ASSERT_TRUE(writer->append(Stream::kError, bytes, 1));
  EXPECT_EQ(text(Stream::kError), bytes);
}

TEST_F(OutputLog, AReaderSeesWhatIsAddedLater) {
  auto writer = OutputWriter::create(path_);
  auto reader = OutputReader::open(path_);
  EXPECT_FALSE(*reader->next());
  ASSERT_TRUE(writer->append(Stream::kOut, "a\n", 1));
  EXPECT_EQ((*reader->next())->text, "a\n");
  EXPECT_FALSE(*reader->next());
  ASSERT_TRUE(writer->append(Stream::kOut, "b\n", 1));
  EXPECT_EQ((*reader->next())->text, "b\n");
  reader->rewind();
  EXPECT_EQ((*reader->next())->text, "a\n");
}

// Cut at every byte, as a kill may: the whole frames before the cut are there.
TEST_F(OutputLog, ATornEndCostsNoMoreThanItsFrame) {
  {
    auto writer = OutputWriter::create(path_);
    ASSERT_TRUE(writer->append(Stream::kOut, "first\nsecond\n", 1));
  }
  const std::string whole = read_whole_file(path_);
  const size_t first = 16 + 6;
  for (size_t length = 0; length < whole.size(); ++length) {
    write_file(path_, whole.substr(0, length));
    EXPECT_EQ(pieces().size(), length >= first ? 1U : 0U) << length;
  }
}

TEST_F(OutputLog, DamageIsSaidNotRead) {
  const std::string zero(16, '\0'), wild(64, '\xee');
  for (const std::string& bytes : {zero, wild}) {
    write_file(path_, bytes);
    auto reader = OutputReader::open(path_);
    const auto piece = reader->next();
    ASSERT_FALSE(piece);
    EXPECT_EQ(piece.error().kind, ErrorKind::kCorrupt);
  }
  EXPECT_EQ(OutputReader::open(directory_.path()).error().kind, ErrorKind::kCorrupt);
}

// A full disk takes some bytes of an append: none of them stay, and the next one fits in again.
TEST_F(OutputLog, WhatDoesNotFitLeavesNothingOfItself) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100, 100};  // setrlimit(2): a write beyond it is short, then fails
    ::setrlimit(RLIMIT_FSIZE, &limit);
    auto writer = OutputWriter::create(path_);
    const bool ok = writer && writer->append(Stream::kOut, "fits\n", 1) &&
                    !writer->append(Stream::kOut, std::string(200, 'x') + "\n", 2) &&
                    writer->append(Stream::kOut, "again\n", 3);
    ::_exit(ok ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(text(Stream::kOut), "fits\nagain\n");
}

}  // namespace
}  // namespace husk::registry
