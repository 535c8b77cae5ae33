#include "agent/protocol/message.h"

#include "agent/protocol/fields.h"

namespace husk::agent {
std::string encode(Type type, std::string_view payload, uint64_t sequence) {
  std::string out;
  out.reserve(kHeaderSize + payload.size());
  put_u32(out, static_cast<uint32_t>(payload.size()));
  out.push_back(static_cast<char>(type));
  out.append(3, '\0');
  put_u64(out, sequence);
  out += payload;
  return out;
}

std::string number_payload(uint32_t number, std::string_view text) {
  std::string payload;
  put_u32(payload, number);
  payload += text;
  return payload;
}

std::string encode_attach(SessionKind kind, uint64_t wanted) {
  const std::string second = number_payload(static_cast<uint32_t>(kind));
  return encode(Type::kAttach, number_payload(kProtocolVersion, second), wanted);
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
  put_text(out, request.machine_id);
  put_u32(out, (request.terminal ? 1u : 0u) | (request.input ? 2u : 0u));
  put_u32(out, request.rows);
  put_u32(out, request.columns);
  put_u64(out, request.realtime_ns);
  put_text(out, request.entropy);
  return out;
}

std::optional<RunRequest> decode_run(std::string_view payload) {
  FieldReader reader(payload);
  RunRequest request;
  request.argv = reader.list();
  request.environment = reader.list();
  request.working_directory = reader.text();
  request.user = reader.text();
  request.hostname = reader.text();
  request.machine_id = reader.text();
  const uint32_t flags = reader.number();
  request.terminal = (flags & 1) != 0;
  request.input = (flags & 2) != 0;
  request.rows = reader.number();
  request.columns = reader.number();
  request.realtime_ns = reader.long_number();
  request.entropy = reader.text();
  if (!reader.complete()) return std::nullopt;
  return request;
}

std::string encode_moment(const Moment& moment) {
  std::string out;
  put_u64(out, moment.realtime_ns);
  put_text(out, moment.entropy);
  put_text(out, moment.hostname);
  put_text(out, moment.machine_id);
  return out;
}

std::optional<Moment> decode_moment(std::string_view payload) {
  FieldReader reader(payload);
  Moment moment;
  moment.realtime_ns = reader.long_number();
  moment.entropy = reader.text();
  moment.hostname = reader.text();
  moment.machine_id = reader.text();
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
  return Frame{type, std::string(rest.substr(kHeaderSize, size)), get_u64(rest.substr(8))};
}

}  // namespace husk::agent
