#include "board.h"

#include "base/clock.h"
#include "base/try.h"
#include "boot/layout.h"

namespace husk::runtime {

using namespace platform;  // NOLINT(google-build-using-namespace): the board is made of nothing
                           // else

Board::~Board() = default;

Result<std::unique_ptr<Board>> Board::create(const BoardOptions& options,
                                             memory::GuestMemory& memory, MachineEnd& end,
                                             const LineFactory& line, contract::InterruptSink* sink,
                                             contract::ByteSink& serial_output) {
  std::unique_ptr<Board> board(new Board(memory));
  board->vcpus_ = options.vcpus;
  board->line_ = line;
  if (sink != nullptr)
    board->chipset_ = std::make_unique<Chipset>(*sink, board->alarms_, base::monotonic_ns);
  board->serial_ = std::make_unique<Uart16550>(line(kCom1Gsi), serial_output);
  board->rtc_ = std::make_unique<CmosRtc>(board->alarms_, line(kRtcGsi),
                                          CmosRtc::Clocks{base::realtime_ns, base::monotonic_ns});
  board->power_ = std::make_unique<AcpiPm>(end, line(kSciGsi), base::monotonic_ns, kS5SleepType);
  board->generation_ =
      std::make_unique<VmGenerationId>(memory, Gpa{boot::kVmGenerationId}, line(kVmGenerationGsi));
  board->reset_ = std::make_unique<ResetPort>(end, kResetValue);
  board->keyboard_data_ = std::make_unique<I8042>(end, false);
  board->keyboard_command_ = std::make_unique<I8042>(end, true);
  board->fast_a20_ = std::make_unique<FastA20>(end);
  if (options.debug_exit) board->debug_exit_ = std::make_unique<DebugExit>(end);
  if (options.test_device) {
    board->test_scratch_ = std::make_unique<TestScratch>();
    board->test_irqs_ = std::make_unique<TestIrqLines>(line);
  }
  HUSK_TRY(board->attach_all(options));
  return board;
}

Result<void> Board::attach_all(const BoardOptions& options) {
  if (chipset_ != nullptr) HUSK_TRY(chipset_->attach(ports_, mmio_));
  HUSK_TRY(ports_.attach(kI8042Data, 1, *keyboard_data_));
  HUSK_TRY(ports_.attach(kI8042Command, 1, *keyboard_command_));
  HUSK_TRY(ports_.attach(kRtcPorts, 2, *rtc_));
  HUSK_TRY(ports_.attach(kFastA20, 1, *fast_a20_));
  HUSK_TRY(ports_.attach(kCom1, Uart16550::kPorts, *serial_));
  HUSK_TRY(ports_.attach(kPm1Event, AcpiPm::kPorts, *power_));
  HUSK_TRY(ports_.attach(kResetPort, 1, *reset_));
  if (options.debug_exit) HUSK_TRY(ports_.attach(kDebugExitPort, DebugExit::kPorts, *debug_exit_));
  if (options.test_device) {
    HUSK_TRY(ports_.attach(TestScratch::kBase, TestScratch::kPorts, *test_scratch_));
    HUSK_TRY(ports_.attach(TestIrqLines::kBase, TestIrqLines::kPorts, *test_irqs_));
  }
  return {};
}

contract::IrqLine Board::next_virtio_line() const {
  return line_(kVirtioFirstGsi + static_cast<uint32_t>(virtio_.size()));
}

Result<uint32_t> Board::attach_virtio(std::unique_ptr<virtio::MmioTransport> transport) {
  const auto slot = static_cast<uint32_t>(virtio_.size());
  if (slot == kVirtioSlots)
    return fail(ErrorKind::kLimit, "machine",
                "has no room for more than " + std::to_string(kVirtioSlots) + " devices");
  const uint64_t base = kVirtioBase + slot * kVirtioStride;
  HUSK_TRY(mmio_.attach(base, kVirtioStride, *transport));
  virtio_.push_back({base, std::move(transport)});
  return slot;
}

Result<boot::LoadedKernel> Board::load(boot::KernelRequest request) {
  boot::AcpiConfig acpi;
  acpi.vcpus = vcpus_;
  acpi.io_apic = IoApic::kBase;
  acpi.pm1_event = kPm1Event;
  acpi.pm1_control = kPm1Control;
  acpi.pm_timer = kPmTimer;
  acpi.reset_port = kResetPort;
  acpi.reset_value = kResetValue;
  acpi.sci_gsi = kSciGsi;
  acpi.s5_sleep_type = kS5SleepType;
  acpi.serial_port = kCom1;
  acpi.serial_gsi = kCom1Gsi;
  acpi.vm_generation_id = boot::kVmGenerationId;
  acpi.vm_generation_gsi = kVmGenerationGsi;
  for (uint32_t slot = 0; slot < virtio_.size(); ++slot)
    acpi.virtio.push_back(
        {kVirtioBase + slot * kVirtioStride, kVirtioStride, kVirtioFirstGsi + slot});
  HUSK_TRY(generation_->set());
  request.rsdp = HUSK_TRY(boot::write_acpi(memory_, acpi));
  return boot::load_kernel(memory_, request);
}

}  // namespace husk::runtime
