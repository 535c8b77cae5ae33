// A saved state of interrupt controllers and timer as an attacker would write it.
//
// Input: the file. Property: what is accepted is written again as exactly the bytes that were read;
// the board's chips take it, make the host wake no more often than they promise, and can be saved
// again while time passes.
#include "contract/x86/irqchip_codec.h"
#include "input.h"
#include "platform/chipset.h"
#include "platform/testing/fake_time.h"
#include "platform/testing/recorders.h"

namespace {

using namespace husk::platform;  // NOLINT(google-build-using-namespace): what is fuzzed
using husk::fuzz::require;
using testing::FakeTime;

void check(std::span<const std::byte> file) {
  const auto state = husk::contract::x86::read_irqchip_state(file);
  FakeTime time(1);
  testing::SinkRecorder sink;
  Chipset chipset(sink, time, FakeTime::clock);
  const auto restored = chipset.restore(file);
  require(restored.has_value() == state.has_value());
  if (!state) return require(state.error().kind == husk::ErrorKind::kCorrupt);
  const auto written = husk::contract::x86::write_irqchip_state(*state);
  require(std::ranges::equal(written, file));
  constexpr uint64_t kMs = 1'000'000, kSpans = 5;
  for (uint64_t i = 0; i < kSpans; ++i) {
    const uint64_t before = time.rings();
    time.advance(kMs);
    require(time.rings() - before <= kMs / Pit8254::kShortestPeriodNs + 2);
    if (sink.extint) (void)chipset.acknowledge_extint();
    require(chipset.restore(chipset.capture()).has_value());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  check(std::as_bytes(std::span(data, size)));
  return 0;
}
