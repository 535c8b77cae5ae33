#include "cpu_diff/interp_engine.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "backend/soft/fpu/fpu.h"
#include "backend/soft/interp/cpu.h"
#include "backend/soft/jit/translator.h"
#include "backend/soft/mmu/physical_map.h"
#include "base/try.h"
#include "cpu_diff/guest_world.h"

namespace husk::cpu_diff {
namespace {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject
using soft::interp::Stop;

constexpr uint8_t kInt3 = 0xcc;
constexpr uint64_t kKernelHalf = uint64_t{1} << 63;

// A vCPU without an APIC, without time, without interrupts.
class QuietEnvironment final : public soft::interp::Environment {
 public:
  uint64_t apic_read(uint32_t, uint32_t) override { return 0; }
  void apic_write(uint32_t, uint32_t, uint64_t) override {}
  std::optional<uint64_t> apic_msr_read(uint32_t) override { return std::nullopt; }
  bool apic_msr_write(uint32_t, uint64_t) override { return false; }
  bool interrupt_waiting() override { return false; }
  uint64_t cr8() override { return 0; }
  void set_cr8(uint64_t) override {}
  std::optional<uint64_t> apic_page() override { return std::nullopt; }
  bool exits_on_hypercalls() override { return false; }
  uint32_t apic_id() override { return 0; }
  uint32_t vcpu_count() override { return 1; }
  uint64_t guest_ns() override { return 0; }
  uint64_t tsc(uint64_t) override { return 0; }
  uint32_t tsc_khz() override { return 1'000'000; }
};

// What an exception pushes in 64-bit mode, from the stack's top downwards (Intel SDM vol.
// 3, 6.14.2).
struct Frame {
  uint64_t rip, cs, rflags, rsp, ss;
};

class InterpEngine final : public Engine {
 public:
  InterpEngine(GuestWorld world, bool translates)
      : translates_(translates),
        world_(std::move(world)),
        cpu_(map_, environment_, 0, attention_) {}

  Result<void> start() {
    HUSK_TRY(map_.map(world_.host(0, GuestWorld::kRamSize), 0, GuestWorld::kRamSize, true));
    for (size_t other = 1; other < soft::mmu::PhysicalMap::kMaxVcpus; ++other) map_.set_idle(other);
    clear_code();
    if (translates_) {
      auto translator = soft::jit::create_translator();
      if (translator == nullptr)
        return fail(ErrorKind::kUnsupported, "cpu_diff", "no executable memory");
      cpu_.set_translator(std::move(translator), 0);
    }
    return cpu_.restore(world_.state());
  }

  [[nodiscard]] std::string name() const override {
    return translates_ ? "translator" : "interpreter";
  }
  [[nodiscard]] bool has_segment_bases() const override { return true; }

  void clear_code() override { std::memset(code(kCode), kInt3, kCodeSize); }

  void run(const CpuCase& test, CpuOutcome& outcome) override {
    const size_t length = code_in_window(test);
    std::memcpy(code(test.start.rip), test.code.data(), length);
    forget_code();
    // At times with nothing in the TLB, at times from blocks that an earlier run has left in the
    // caches.
    if (test.start.rip % 8 == 0) cpu_.flush_tlb_all();
    execute(test, outcome);
    if (test.start.rip % 8 == 1 && !test.writes_code) execute(test, outcome);
    restore_code(test.start.rip, length);
  }

 private:
  std::byte* code(uint64_t address) {
    return world_.host(GuestWorld::kCodeGpa + (address - kCode), kCodeEnd - address);
  }

  void execute(const CpuCase& test, CpuOutcome& outcome) {
    std::byte* data = world_.host(GuestWorld::kDataGpa, kDataSize);
    std::memcpy(data, test.data.data(), kDataSize);
    load(test.start);
    take_pages(test);
    Stop stop = Stop::kNone;
    while (stop == Stop::kNone) {
      cpu_.recheck_interrupts = false;
      stop = cpu_.run();
    }
    capture(stop, outcome);
    give_pages_back(test);
    std::memcpy(outcome.data.data(), data, kDataSize);
  }

  // Rights that are taken want a flush; those that are given do not, as pages that are not present
  // are never cached.
  void take_pages(const CpuCase& test) {
    for (size_t page = 0; page < test.access.size(); ++page) {
      if (test.access[page] == PageAccess::kWrite) continue;
      world_.set_access(page, test.access[page]);
      cpu_.invalidate_page(kData + page * kPage);
    }
  }
  void give_pages_back(const CpuCase& test) {
    for (size_t page = 0; page < test.access.size(); ++page) {
      if (test.access[page] != PageAccess::kWrite) world_.set_access(page, PageAccess::kWrite);
    }
  }

  void restore_code(uint64_t address, size_t length) {
    std::memset(code(address), kInt3, std::min<uint64_t>(length + kCodeMargin, kCodeEnd - address));
  }

  // What a write by a device does: blocks of these pages are stale.
  void forget_code() { map_.host_wrote(Gpa{GuestWorld::kCodeGpa}, kCodeSize); }

  // Back from the handler of the last case, without the price of a whole restore().
  void load(const CpuState& start) {
    const VcpuState& user = world_.state();
    std::copy_n(start.gpr.begin(), 16, cpu_.regs.begin());
    cpu_.rip = start.rip;
    cpu_.seg = user.segments;
    cpu_.seg[kFs].base = start.fs_base;
    cpu_.seg[kGs].base = start.gs_base;
    cpu_.set_cpl(3);
    cpu_.set_rflags(start.rflags);
    cpu_.update_mode();
    // The generator makes no image that is refused.
    (void)soft::fpu::load_image(cpu_.fpu_state, start.fx);
    cpu_.fpu_state.upper = start.upper;
  }

  void capture(Stop stop, CpuOutcome& out) {
    out.vector = kNoVector;
    if (stop != Stop::kHalt) return;
    const uint64_t sp = cpu_.regs[kRsp];
    out.vector = static_cast<uint8_t>(cpu_.rip - GuestWorld::kHandlers - 1);
    const bool has_error = GuestWorld::kStackTop - sp == sizeof(Frame) + 8;
    const uint64_t top = GuestWorld::kStackTop - GuestWorld::kKernel;
    Frame frame{};
    std::memcpy(&frame, world_.host(top - sizeof frame, sizeof frame), sizeof frame);
    out.error = 0;
    if (has_error) std::memcpy(&out.error, world_.host(top - sizeof frame - 8, 4), 4);
    const bool page_fault = out.vector == kVectorPageFault;
    out.address = page_fault ? cpu_.cr2 : 0;
    if (page_fault && out.address >= kKernelHalf)
      out.error &= ~1u;  // as natively, where it cannot be seen
    std::copy_n(cpu_.regs.begin(), 16, out.state.gpr.begin());
    out.state.gpr[kRsp] = frame.rsp;
    out.state.rip = frame.rip;
    out.state.rflags = frame.rflags;
    out.state.fs_base = cpu_.seg[kFs].base;
    out.state.gs_base = cpu_.seg[kGs].base;
    soft::fpu::save_image(cpu_.fpu_state, out.state.fx);
    out.state.upper = cpu_.fpu_state.upper;
  }

  bool translates_;
  GuestWorld world_;
  QuietEnvironment environment_;
  std::atomic<uint32_t> attention_{0};
  soft::mmu::PhysicalMap map_;
  soft::interp::Cpu cpu_;
};

}  // namespace

Result<std::unique_ptr<Engine>> create_interp_engine(bool translates) {
  GuestWorld world = HUSK_TRY(GuestWorld::create());
  auto engine = std::make_unique<InterpEngine>(std::move(world), translates);
  HUSK_TRY(engine->start());
  return engine;
}

}  // namespace husk::cpu_diff
