// A hostile agent's stream, as the host reads it. The stream is cut at every place the fuzzer
// likes; the frames must be those of the uncut stream, and the client must tell of it what a plain
// reading of the frames says, while it answers into a port that takes what it likes.
#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <string>

#include "agent/host/client.h"
#include "input.h"

namespace {

using namespace husk::agent;  // NOLINT(google-build-using-namespace)
using husk::fuzz::Input;
using husk::fuzz::require;

struct Reading {
  std::vector<Frame> frames;
  size_t used = 0;  // bytes of the stream that are those frames
};

Reading read_at_once(std::string_view stream) {
  FrameParser parser;
  parser.feed(stream);
  Reading reading;
  while (auto frame = parser.next()) {
    reading.used += kHeaderSize + frame->payload.size();
    reading.frames.push_back(*frame);
  }
  require(parser.broken() ? parser.held() == 0 : parser.held() == stream.size() - reading.used);
  return reading;
}

void check_cuts(std::string_view stream, const Reading& whole, size_t piece) {
  FrameParser parser;
  size_t frames = 0;
  while (!stream.empty()) {
    const size_t n = std::min(piece, stream.size());
    parser.feed(stream.substr(0, n));
    stream.remove_prefix(n);
    while (auto frame = parser.next()) {
      require(frames < whole.frames.size());
      const Frame& expected = whole.frames[frames++];
      require(frame->type == expected.type && frame->payload == expected.payload);
    }
    require(parser.held() < kHeaderSize + kMaxRunPayload);
  }
  require(frames == whole.frames.size());
}

// What can be decoded says the same when it is encoded again.
void check_requests(const Reading& whole) {
  for (const Frame& frame : whole.frames) {
    const auto request = decode_run(frame.payload);
    if (!request) continue;
    const std::string again = encode_run(*request);
    require(again.size() == frame.payload.size() && !request->argv.empty());
    const auto second = decode_run(again);
    require(second && second->argv == request->argv && encode_run(*second) == again);
  }
}

// What a plain reading says.
struct Story {
  std::string out, err, release;
  RunResult result;
  bool hello = false, started = false;
};

Story tell(const Reading& whole) {
  Story story;
  for (const Frame& frame : whole.frames) {
    const auto number = decode_number(frame.payload);
    if (frame.type == Type::kStdout) story.out += frame.payload;
    if (frame.type == Type::kStderr) story.err += frame.payload;
    if (frame.type == Type::kStarted) story.started = true;
    if (frame.type == Type::kHello && number && !story.hello) {
      story.hello = true;
      story.release = number->text;
    }
    if (frame.type == Type::kFailed) story.result = {true, true, 0, frame.payload};
    if (frame.type == Type::kExited && number)
      story.result = {true, false, static_cast<int>(number->number % 256),
                      std::string(number->text)};
    if (story.result.finished) break;
  }
  return story;
}

// Takes `most` bytes at a time; what the host sends must be its own frames, the request first.
class Port : public husk::contract::ByteInput {
 public:
  explicit Port(size_t most) : most_(most) {}
  size_t push(std::span<const std::byte> data) override {
    const size_t n = std::min(most_, data.size());
    parser_.feed({reinterpret_cast<const char*>(data.data()), n});
    while (auto frame = parser_.next()) {
      require((frame->type == Type::kRun) == first_);
      require(frame->type <= Type::kWindowSize);
      first_ = false;
    }
    require(!parser_.broken());
    return n;
  }

 private:
  size_t most_;
  FrameParser parser_;
  bool first_ = true;
};

void converse(std::string_view stream, const Reading& whole, size_t piece, size_t room) {
  Story story = tell(whole);
  std::string out, err;
  std::mutex mutex;
  std::condition_variable changed;
  int ends = 0;
  Port port(room);
  Client client([&](std::string_view text) { out += text; },
                [&](std::string_view text) { err += text; });
  client.set_on_finished([&] {
    const std::lock_guard lock(mutex);
    ++ends;
    changed.notify_all();
  });
  client.attach(port);
  RunRequest request;
  request.argv = {"sh"};
  client.run(request);
  const std::string typed(300, 't');
  for (std::string_view rest = stream.substr(0, whole.used); !rest.empty();) {
    const size_t n = std::min(piece, rest.size());
    client.write(std::as_bytes(std::span(rest.substr(0, n))));
    rest.remove_prefix(n);
    require(client.send_input(std::as_bytes(std::span(typed))) <= typed.size());
  }
  if (!story.result.finished) {
    const std::string end = encode_number(Type::kExited, 77, "end");
    client.write(std::as_bytes(std::span(end)));
    story.result = {true, false, 77, "end"};
  }
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return ends > 0; });
  }
  const RunResult result = client.result();
  require(result.finished && result.failed == story.result.failed &&
          result.code == story.result.code && result.reason == story.result.reason);
  require(client.started() == story.started && client.guest_release() == story.release);
  client.write(std::as_bytes(std::span(stream.substr(whole.used))));
  require(out == story.out && err == story.err && ends == 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  const size_t piece = 1 + size_t{input.take<uint8_t>()};
  const size_t room = 1 + size_t{input.take<uint8_t>()};
  const auto bytes = input.take_bytes(size);
  const std::string_view stream(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const Reading whole = read_at_once(stream);
  check_cuts(stream, whole, piece);
  check_requests(whole);
  converse(stream, whole, piece, room);
  return 0;
}
