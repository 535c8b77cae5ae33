// The wire between host and guest agent: frames over one byte stream, in both directions.
//
//   u32 payload length (at most max_payload()) | u8 type | 3 bytes zero | u64 sequence | payload
//
// Numbers are little-endian. What a frame's sequence is for says link.h. Shared by the static guest
// agent, so it uses nothing but plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace husk::agent {

constexpr uint32_t kProtocolVersion = 3;
constexpr uint32_t kPort = 1024;  // of the guest's vsock, where the agent listens
constexpr size_t kHeaderSize = 16;
constexpr size_t kMaxPayload = 64 * 1024;
constexpr size_t kMaxRunPayload =
    2 * 1024 * 1024;                        // argument and environment lists are longer than data
constexpr size_t kStdinWindow = 64 * 1024;  // bytes of input that may be on their way
constexpr std::string_view kRootDiskSerial = "husk-root";  // what GET_ID tells of the image's disk

enum class Type : uint8_t {
  // host to guest
  kRun = 1,
  kStdin = 2,
  kStdinClose = 3,
  kSignal = 4,      // u32 number
  kWindowSize = 5,  // u32 rows, u32 columns
  kResumed = 7,     // the moment that a guest goes on at from a snapshot: see Moment
  kAttach = 6,      // u32 protocol version, u32 SessionKind; a connection's first frame
  // guest to host
  kStdout = 17,
  kStderr = 18,
  kStarted = 19,   // u32 process id
  kExited = 20,    // u32 exit code, then a reason or nothing
  kFailed = 21,    // text: the command could not be begun
  kCredit = 22,    // u32 bytes of input taken
  kAttached = 23,  // the answer to kAttach
  kRefused = 24,   // the other answer: text; the connection ends
  // both
  kAck = 32,
};

// What a connection is for.
enum class SessionKind : uint32_t {
  kExec = 0,  // a further command, which ends with its connection
  kMain = 1,  // the command that the machine is there for; goes on over further connections
  kWarmUp =
      2,  // one that readies the machine for a main command later; none of its processes stays
};

struct Frame {
  Type type = Type::kRun;
  std::string payload;
  uint64_t sequence = 0;
};

[[nodiscard]] std::string encode(Type type, std::string_view payload, uint64_t sequence = 0);
[[nodiscard]] std::string number_payload(uint32_t number, std::string_view text = {});
[[nodiscard]] std::string encode_attach(SessionKind kind, uint64_t wanted);

// The number at the front of a payload, and what follows it. nullopt: too short.
struct Numbered {
  uint32_t number = 0;
  std::string_view text;
};
[[nodiscard]] std::optional<Numbered> decode_number(std::string_view payload);

// What to run.
struct RunRequest {
  std::vector<std::string> argv;         // empty: nothing; the guest is only readied for it
  std::vector<std::string> environment;  // KEY=VALUE
  std::string working_directory;
  std::string user;  // as in an image's configuration; empty: root
  std::string hostname;
  std::string machine_id;  // for /etc/machine-id; empty: what the image has there stays
  bool terminal = false;
  bool input = false;  // stdin stays open
  uint32_t rows = 0, columns = 0;
  // For a guest that goes on from a snapshot: the time of day as it is now, in nanoseconds since
  // the Unix epoch (0: leave the clock alone), and bytes that no other guest is given.
  uint64_t realtime_ns = 0;
  std::string entropy;
};
[[nodiscard]] std::string encode_run(const RunRequest& request);  // the payload
[[nodiscard]] std::optional<RunRequest> decode_run(std::string_view payload);

// What a guest that goes on from a snapshot has to learn at once, its command already running.
struct Moment {
  uint64_t realtime_ns = 0;  // as in RunRequest
  std::string entropy;
  std::string hostname;    // empty: it keeps its own
  std::string machine_id;  // the same
};
[[nodiscard]] std::string encode_moment(const Moment& moment);
[[nodiscard]] std::optional<Moment> decode_moment(std::string_view payload);

// Cuts a byte stream into frames, each in time proportional to its own size.
class FrameParser {
 public:
  void feed(std::span<const char> bytes);
  // The next whole frame, if there is one.
  [[nodiscard]] std::optional<Frame> next();
  // The peer sent something that is no frame; nothing comes any more.
  [[nodiscard]] bool broken() const { return broken_; }
  // Bytes held back: those fed and not yet part of a frame that was taken.
  [[nodiscard]] size_t held() const { return buffer_.size() - taken_; }

 private:
  std::string buffer_;
  size_t taken_ = 0;  // of the buffer, from its front
  bool broken_ = false;
};

}  // namespace husk::agent
