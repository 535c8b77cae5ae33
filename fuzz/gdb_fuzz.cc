// A hostile debugger: any bytes, cut anywhere, and a machine that stops, or ends, between them.
// What it is answered and what points it sets have their bounds, and the machine goes on in the
// end. Payloads that are framed come back as they were.
#include <string>

#include "gdb/packet.h"
#include "gdb/session.h"
#include "gdb/testing/fake_target.h"
#include "input.h"

namespace {

using namespace husk::gdb;  // NOLINT(google-build-using-namespace)
using husk::fuzz::Input;
using husk::fuzz::require;

void check_round_trip(std::string_view payload) {
  PacketParser parser;
  int packets = 0;
  for (const char byte : frame(payload)) {
    const auto received = parser.take(byte);
    if (!received) continue;
    ++packets;
    require(received->kind == Received::Kind::kPacket && received->payload == payload);
  }
  require(packets == 1);
}

std::string take_text(Input& input, size_t most) {
  const auto bytes = input.take_bytes(most);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void check_points(const Points& points) {
  require(points.hardware.size() <= husk::DebugOptions::kMostPoints);
}

void happen(testing::FakeTarget& machine, Input& input) {
  const auto what = input.take<uint8_t>();
  const auto cause = static_cast<husk::DebugCause>(what & 3);
  machine.stop = Stop{what % machine.vcpus(), {cause, input.take<uint64_t>()}};
  if (what > 250) machine.ended = End{(what & 1) != 0, what};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  testing::FakeTarget machine(1 + input.take<uint8_t>() % 3);
  // A page of tables that map themselves, so that some linear addresses mean something.
  machine.states.back().cr3 = 0x1000;
  machine.states.back().cr0 = 0x80000001;
  (void)machine.memory().store(husk::Gpa{0x1000}, uint64_t{0x1003});
  {
    Session session(machine, [](std::string_view answer) {
      require(answer.size() <= 2 * kMostPayload + 4096);
    });
    while (!input.empty() && !session.over()) {
      const auto what = input.take<uint8_t>();
      std::string text = take_text(input, what >> 2);
      if ((what & 3) == 0) {
        happen(machine, input);
        session.look();
      } else if ((what & 3) == 1) {
        session.receive(text);
      } else {
        check_round_trip(text);
        session.receive(frame(text));
      }
      check_points(machine.points);
    }
  }
  require(machine.left);
  return 0;
}
