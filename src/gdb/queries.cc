// Questions about the target, and the protocol's settings.
#include <fmt/core.h>

#include <algorithm>

#include "gdb/session.h"

namespace husk::gdb {
namespace {

constexpr std::string_view kDescription = "qXfer:features:read:target.xml:";
constexpr std::string_view kThreadInfo = "qThreadExtraInfo,";

std::string features() {
  return fmt::format(
      "PacketSize={:x};QStartNoAckMode+;qXfer:features:read+;vContSupported+;swbreak+;hwbreak+",
      kMostPayload);
}

std::string text_as_hex(std::string_view text) { return to_hex(std::as_bytes(std::span(text))); }

}  // namespace

Session::Answer Session::query(std::string_view packet) {
  if (packet.starts_with("qSupported")) return features();
  if (packet == "QStartNoAckMode") {
    acks_off_next_ = true;
    return std::string(kOk);
  }
  if (packet == "qAttached") return "1";  // it was there before: the client's end is not its end
  if (packet == "qC") return fmt::format("QC{:x}", selected_ + 1);
  if (packet == "qfThreadInfo") return thread_list();
  if (packet == "qsThreadInfo") return "l";
  if (packet.starts_with(kDescription)) return description(packet.substr(kDescription.size()));
  if (packet.starts_with(kThreadInfo)) {
    const auto vcpu = vcpu_of(packet.substr(kThreadInfo.size()));
    if (!vcpu) return std::string(kMalformed);
    return text_as_hex(fmt::format("vCPU {}", *vcpu));
  }
  return std::string(kUnknown);
}

std::string Session::thread_list() const {
  std::string list = "m1";
  for (uint32_t id = 2; id <= target_.vcpus(); ++id) list += fmt::format(",{:x}", id);
  return list;
}

// "OFFSET,LENGTH": that part of the document; 'm' before it: there is more, 'l': that was the last.
Session::Answer Session::description(std::string_view args) const {
  const std::string& text = target_.architecture().description;
  const auto offset = number_from_hex(take_until(args, ','));
  const auto length = number_from_hex(args);
  if (!offset || !length || *offset > text.size()) return std::string(kMalformed);
  const uint64_t most = std::min<uint64_t>(*length, kMostPayload / 2);  // some bytes become two
  const std::string piece = text.substr(*offset, most);
  return (*offset + piece.size() < text.size() ? "m" : "l") + piece;
}

}  // namespace husk::gdb
