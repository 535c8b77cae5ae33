// A hostile agent's stream, as the host reads it. The stream is cut at every place the fuzzer
// likes; the frames must be those of the uncut stream, and the client must tell of it what a plain
// reading of the frames says. Besides, two honest ends over connections that the fuzzer cuts: each
// frame arrives once, in order.
#include <sys/socket.h>

#include <algorithm>
#include <string>

#include "agent/host/client.h"
#include "agent/protocol/link.h"
#include "input.h"

namespace {

using namespace husk::agent;  // NOLINT(google-build-using-namespace)
using husk::fuzz::Input;
using husk::fuzz::require;

struct Reading {
  std::vector<Frame> frames;
  size_t used = 0;  // bytes of the stream that are those frames
};

Reading read_at_once(std::string_view stream, bool& broken) {
  FrameParser parser;
  parser.feed(stream);
  Reading reading;
  while (auto frame = parser.next()) {
    reading.used += kHeaderSize + frame->payload.size();
    reading.frames.push_back(*frame);
  }
  broken = parser.broken();
  require(broken ? parser.held() == 0 : parser.held() == stream.size() - reading.used);
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
      require(frame->type == expected.type && frame->payload == expected.payload &&
              frame->sequence == expected.sequence);
    }
    require(parser.held() < kHeaderSize + kMaxRunPayload);
  }
  require(frames == whole.frames.size());
}

// What can be decoded says the same when it is encoded again.
void check_requests(const Reading& whole) {
  for (const Frame& frame : whole.frames) {
    const auto moment = decode_moment(frame.payload);
    require(!moment || encode_moment(*moment) == frame.payload);
    const auto request = decode_run(frame.payload);
    if (!request) continue;
    const std::string again = encode_run(*request);
    require(again.size() == frame.payload.size() && !request->argv.empty());
    const auto second = decode_run(again);
    require(second && second->argv == request->argv && encode_run(*second) == again);
  }
}

// A position that can be decoded says the same when it is encoded again.
void check_position(std::string_view bytes) {
  const auto position = decode_position(bytes);
  if (!position) return;
  require(encode_position(*position) == bytes);
  require(Link(position->link).can_go_on(position->link.first));
}

// What a plain reading says, to a host that has said one frame.
struct Story {
  std::string out, err;
  RunResult result;
  bool started = false, over = false;
};

void end(Story& story, RunResult result) {
  story.result = std::move(result);
  story.over = true;
}

void tell(Story& story, const Frame& frame) {
  const auto number = decode_number(frame.payload);
  if (frame.type == Type::kStdout) story.out += frame.payload;
  if (frame.type == Type::kStderr) story.err += frame.payload;
  if (frame.type == Type::kStarted) story.started = true;
  if (frame.type == Type::kFailed || frame.type == Type::kRefused)
    end(story, {true, true, 0, frame.payload});
  if (frame.type == Type::kExited && number)
    end(story, {true, false, static_cast<int>(number->number % 256), std::string(number->text)});
}

Story tell(const Reading& whole, bool broken) {
  const RunResult breach{false, false, 0, "the guest's agent does not keep to its protocol"};
  Story story;
  uint64_t wanted = 1, host_first = 1;
  for (const Frame& frame : whole.frames) {
    if (story.over) return story;
    const bool answer = frame.type == Type::kAck || frame.type == Type::kAttached;
    const bool good = answer ? frame.sequence >= host_first && frame.sequence <= 2
                             : frame.type == Type::kRefused || frame.sequence == wanted;
    if (!good) {
      end(story, breach);
    } else if (answer) {
      host_first = frame.sequence;
    } else {
      ++wanted;
      tell(story, frame);
    }
  }
  if (!story.over)
    end(story, broken ? breach
                      : RunResult{false, false, 0, "the connection to the guest's agent is lost"});
  return story;
}

void converse(std::string_view stream, const Reading& whole, bool broken, size_t piece) {
  const Story story = tell(whole, broken);
  int ends[2];
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  husk::base::Fd host(ends[0]), agent(ends[1]);
  std::string out, err;
  int finishes = 0;
  Client client(
      SessionKind::kExec,
      [&](const husk::base::Fd&) -> husk::Result<husk::base::Fd> { return std::move(host); },
      {.out = [&](std::string_view text) { out += text; },
       .err = [&](std::string_view text) { err += text; },
       .finished = [&] { ++finishes; }});
  RunRequest request;
  request.argv = {"sh"};
  client.run(request);
  client.begin();
  for (std::string_view rest = stream; !rest.empty();) {
    const size_t n = std::min(piece, rest.size());
    if (::send(agent.get(), rest.data(), n, MSG_NOSIGNAL) != static_cast<ssize_t>(n)) break;
    rest.remove_prefix(n);
  }
  ::shutdown(agent.get(), SHUT_WR);
  const RunResult result = client.wait();
  require(result.finished == story.result.finished && result.failed == story.result.failed &&
          result.code == story.result.code && result.reason == story.result.reason);
  require(client.started() == story.started && finishes == 1);
  require(out == story.out && err == story.err);
}

// What one of two honest ends has said and heard.
struct End {
  Link link;
  uint64_t said = 0, heard = 0;

  void say(size_t size) {
    link.send(Type::kStdout, std::to_string(said++) + std::string(size, ' '));
  }
  void hear(const Frame& frame) {
    require(std::stoull(frame.payload) == heard++);
    link.delivered(frame);
  }
  void connect(End& other) {
    link.begin(encode(Type::kAttached, {}, link.wanted()));
    require(link.can_go_on(other.link.wanted()));
    link.go_on(other.link.wanted());
  }
  void move(End& to, size_t most) {
    const std::string_view bytes = link.outgoing().substr(0, most);
    to.link.feed(bytes);
    link.wrote(bytes.size());
    while (const auto frame = to.link.next()) {
      if (frame->type != Type::kAttached) to.hear(*frame);
    }
    require(!to.link.broken());
  }
};

void talk(Input& input) {
  End ends[2];
  const auto connect = [&] {
    ends[0].connect(ends[1]);
    ends[1].connect(ends[0]);
  };
  connect();
  while (!input.empty()) {
    const auto what = input.take<uint8_t>();
    const size_t size = input.take<uint8_t>();
    End& one = ends[what & 1];
    End& other = ends[~what & 1];
    switch (what >> 1 & 3) {
      case 0:
        one.say(size * size);
        break;
      case 1:
        one.move(other, size);
        break;
      case 2:
        one.link.acknowledge();
        break;
      default:
        if ((what & 8) != 0) one.link = Link(one.link.position());
        connect();
    }
  }
  connect();
  while (ends[0].link.has_outgoing() || ends[1].link.has_outgoing()) {
    ends[0].move(ends[1], ~size_t{0});
    ends[1].move(ends[0], ~size_t{0});
  }
  require(ends[0].heard == ends[1].said && ends[1].heard == ends[0].said);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  const size_t piece = 1 + size_t{input.take<uint8_t>()};
  if ((input.take<uint8_t>() & 1) != 0) {
    talk(input);
    return 0;
  }
  const auto bytes = input.take_bytes(size);
  const std::string_view stream(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  bool broken = false;
  const Reading whole = read_at_once(stream, broken);
  check_cuts(stream, whole, piece);
  check_requests(whole);
  check_position(stream);
  converse(stream, whole, broken, piece);
  return 0;
}
