#include "board.h"

#include <array>
#include <cstring>

#include "base/random.h"
#include "base/try.h"

namespace husk::runtime {

using namespace boot::arm64;  // NOLINT(google-build-using-namespace): the places of this board

namespace {

// Linux takes half of it for itself and credits all of it (drivers/of/fdt.c,
// early_init_dt_scan_chosen).
constexpr size_t kRngSeed = 64;

Result<void> seed(Machine& machine) {
  machine.rng_seed.resize(kRngSeed);
  HUSK_TRY(base::fill_random(machine.rng_seed));
  uint64_t kaslr = 0;
  HUSK_TRY(base::fill_random(std::as_writable_bytes(std::span(&kaslr, 1))));
  machine.kaslr_seed = kaslr;
  return {};
}

}  // namespace

Result<std::unique_ptr<Board>> Board::create(const BoardOptions& options,
                                             memory::GuestMemory& memory, const LineFactory& line,
                                             contract::ByteSink& serial_output) {
  if (options.debug_exit || options.test_device)
    return fail(ErrorKind::kUnsupported, "test devices", "are for x86-64 machines");
  std::unique_ptr<Board> board(new Board(memory));
  board->vcpus_ = options.vcpus;
  board->line_ = line;
  board->serial_ = std::make_unique<platform::Pl011>(line(kSerialSpi), serial_output);
  HUSK_TRY(board->mmio_.attach(kSerial, kSerialSize, *board->serial_));
  return board;
}

contract::IrqLine Board::next_virtio_line() const {
  return line_(kVirtioFirstSpi + static_cast<uint32_t>(virtio_.size()));
}

Result<uint32_t> Board::attach_virtio(std::unique_ptr<virtio::MmioTransport> transport) {
  const auto slot = static_cast<uint32_t>(virtio_.size());
  if (slot == kVirtioSlots)
    return fail(ErrorKind::kLimit, "machine",
                "has no room for more than " + std::to_string(kVirtioSlots) + " devices");
  const uint64_t base = kVirtio + slot * kVirtioStride;
  HUSK_TRY(mmio_.attach(base, kVirtioStride, *transport));
  virtio_.push_back({base, std::move(transport)});
  return slot;
}

Result<LoadedKernel> Board::load(KernelRequest request) {
  Machine& machine = request.machine;
  machine.cpus.clear();
  for (uint32_t id = 0; id < vcpus_; ++id) machine.cpus.push_back(vcpu_affinity(id));
  machine.gic.redistributors_size = vcpus_ * kGicRedistributorSize;
  machine.virtio_devices = static_cast<uint32_t>(virtio_.size());
  HUSK_TRY(seed(machine));
  return load_kernel(memory_, request);
}

}  // namespace husk::runtime
