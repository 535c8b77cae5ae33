#include "agent/protocol/message.h"

namespace husk::agent {
namespace {

void put_u32(std::string& out, uint32_t value) {
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>(value >> 8 * i));
}

void put_u64(std::string& out, uint64_t value) {
  put_u32(out, static_cast<uint32_t>(value));
  put_u32(out, static_cast<uint32_t>(value >> 32));
}

uint32_t get_u32(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value |= uint32_t{static_cast<uint8_t>(bytes[i])} << 8 * i;
  return value;
}

void put_text(std::string& out, std::string_view text) {
  put_u32(out, static_cast<uint32_t>(text.size()));
  out += text;
}

// Takes fields off the front of a payload; once one is missing, all are.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  uint32_t number() {
    if (rest_.size() < 4) {
      good_ = false;
      return 0;
    }
    const uint32_t value = get_u32(rest_);
    rest_.remove_prefix(4);
    return value;
  }
  uint64_t long_number() {
    const uint64_t low = number();
    return low | uint64_t{number()} << 32;
  }
  std::string text() {
    const uint32_t size = number();
    if (!good_ || size > rest_.size()) {
      good_ = false;
      return {};
    }
    std::string value(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return value;
  }
  std::vector<std::string> list() {
    std::vector<std::string> items;
    for (uint32_t left = number(); good_ && left != 0; --left) items.push_back(text());
    return items;
  }
  [[nodiscard]] bool complete() const { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

void put_list(std::string& out, const std::vector<std::string>& items) {
  put_u32(out, static_cast<uint32_t>(items.size()));
  for (const std::string& item : items) put_text(out, item);
}

}  // namespace

std::string encode(Type type, std::string_view payload) {
  std::string out;
  out.reserve(kHeaderSize + payload.size());
  put_u32(out, static_cast<uint32_t>(payload.size()));
  out.push_back(static_cast<char>(type));
  out.append(3, '\0');
  out += payload;
  return out;
}

std::string encode_number(Type type, uint32_t number, std::string_view text) {
  std::string payload;
  put_u32(payload, number);
  payload += text;
  return encode(type, payload);
}

std::optional<Numbered> decode_number(std::string_view payload) {
  if (payload.size() < 4) return std::nullopt;
  return Numbered{get_u32(payload), payload.substr(4)};
}

std::string encode_run(const RunRequest& request) {
  std::string out;
  put_list(out, request.argv);
  put_list(out, request.environment);
  put_text(out, request.working_directory);
  put_text(out, request.user);
  put_text(out, request.hostname);
  put_u32(out, (request.terminal ? 1u : 0u) | (request.input ? 2u : 0u));
  put_u32(out, request.rows);
  put_u32(out, request.columns);
  put_u64(out, request.realtime_ns);
  put_text(out, request.entropy);
  return out;
}

std::optional<RunRequest> decode_run(std::string_view payload) {
  Reader reader(payload);
  RunRequest request;
  request.argv = reader.list();
  request.environment = reader.list();
  request.working_directory = reader.text();
  request.user = reader.text();
  request.hostname = reader.text();
  const uint32_t flags = reader.number();
  request.terminal = (flags & 1) != 0;
  request.input = (flags & 2) != 0;
  request.rows = reader.number();
  request.columns = reader.number();
  request.realtime_ns = reader.long_number();
  request.entropy = reader.text();
  if (!reader.complete() || request.argv.empty()) return std::nullopt;
  return request;
}

std::string encode_moment(const Moment& moment) {
  std::string out;
  put_u64(out, moment.realtime_ns);
  put_text(out, moment.entropy);
  put_text(out, moment.hostname);
  return out;
}

std::optional<Moment> decode_moment(std::string_view payload) {
  Reader reader(payload);
  Moment moment;
  moment.realtime_ns = reader.long_number();
  moment.entropy = reader.text();
  moment.hostname = reader.text();
  if (!reader.complete()) return std::nullopt;
  return moment;
}

// A peer that broke the stream may go on sending for as long as it likes: nothing of it is kept.
void FrameParser::feed(std::span<const char> bytes) {
  if (broken_) return;
  buffer_.erase(0, taken_);
  taken_ = 0;
  buffer_.append(bytes.data(), bytes.size());
}

std::optional<Frame> FrameParser::next() {
  const std::string_view rest = std::string_view(buffer_).substr(taken_);
  if (rest.size() < kHeaderSize) return std::nullopt;
  const size_t size = get_u32(rest);
  const auto type = static_cast<Type>(static_cast<uint8_t>(rest[4]));
  const size_t limit = type == Type::kRun ? kMaxRunPayload : kMaxPayload;
  if (size > limit || rest[5] != 0 || rest[6] != 0 || rest[7] != 0) {
    broken_ = true;
    buffer_ = {};
    taken_ = 0;
    return std::nullopt;
  }
  if (rest.size() < kHeaderSize + size) return std::nullopt;
  taken_ += kHeaderSize + size;
  return Frame{type, std::string(rest.substr(kHeaderSize, size))};
}

}  // namespace husk::agent
