#include "cpu_diff/native_engine.h"

#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "cpu_diff/form.h"
#include "cpu_diff/native_entry.h"

namespace husk::cpu_diff {
namespace {

constexpr uint8_t kInt3 = 0xcc;
constexpr unsigned long kHwcap2Fsgsbase = 1ul << 1;  // Linux, arch/x86/include/uapi/asm/hwcap2.h
constexpr size_t kSignalStack = size_t{1} << 18;     // an AVX-512 and AMX frame needs some 12 KiB
constexpr uint64_t kKernelHalf = uint64_t{1} << 63;

// By encoding.
constexpr int kContextRegister[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                      REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                      REG_R12, REG_R13, REG_R14, REG_R15};

CpuOutcome* g_outcome =
    nullptr;  // of the run in progress; signal handlers have no other way to know

// From the XSAVE area that the signal's frame ends in: Linux,
// arch/x86/include/uapi/asm/sigcontext.h.
void capture_upper(const uint8_t* area, CpuState& state) {
  constexpr size_t kSoftwareAt = 464, kComponentsAt = 512, kUpperAt = 576;
  constexpr uint32_t kMagic = 0x46505853;
  uint32_t magic = 0;
  memcpy(&magic, area + kSoftwareAt, sizeof magic);
  state.upper = {};
  const bool there = magic == kMagic && (area[kComponentsAt] & 4) != 0;
  if (there) memcpy(state.upper.data(), area + kUpperAt, state.upper.size());
}

void capture(const ucontext_t& context, CpuOutcome& out) {
  const auto* regs = context.uc_mcontext.gregs;
  for (size_t i = 0; i < 16; ++i)
    out.state.gpr[i] = static_cast<uint64_t>(regs[kContextRegister[i]]);
  out.state.rip = static_cast<uint64_t>(regs[REG_RIP]);
  out.state.rflags = static_cast<uint64_t>(regs[REG_EFL]);
  out.state.fs_base = husk_native_frame.fs_base;
  out.state.gs_base = husk_native_frame.gs_base;
  memcpy(out.state.fx.data(), context.uc_mcontext.fpregs, out.state.fx.size());
  capture_upper(reinterpret_cast<const uint8_t*>(context.uc_mcontext.fpregs), out.state);
  out.vector = static_cast<uint8_t>(regs[REG_TRAPNO]);
  const bool page_fault = out.vector == kVectorPageFault;
  const bool has_error = page_fault || (out.vector >= 10 && out.vector <= 13);
  out.error = has_error ? static_cast<uint32_t>(regs[REG_ERR]) : 0;
  out.address = page_fault ? static_cast<uint64_t>(regs[REG_CR2]) : 0;
  // Linux says "present" of every kernel address, lest a process learn which are.
  if (page_fault && out.address >= kKernelHalf) out.error &= ~1u;
}

Result<void> map_at(uint64_t address, uint64_t size, int protection) {
  auto* wanted =
      reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr): a fixed mapping
  void* got =
      mmap(wanted, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (got == MAP_FAILED) return fail_errno("test window", "cannot be mapped at its address");
  return {};
}

uint8_t* at(uint64_t address) {
  return reinterpret_cast<uint8_t*>(address);  // NOLINT(performance-no-int-to-ptr)
}

class NativeEngine final : public Engine {
 public:
  Result<void> start() {
    if (auto code = map_at(kCode, kCodeSize, PROT_READ | PROT_WRITE | PROT_EXEC); !code)
      return code;
    if (auto data = map_at(kData, kDataSize, PROT_READ | PROT_WRITE); !data) return data;
    clear_code();
    husk_native_frame.swap_bases = (getauxval(AT_HWCAP2) & kHwcap2Fsgsbase) != 0 ? 1 : 0;
    husk_native_frame.has_upper = host_has_v3() ? 1 : 0;
    return install_handlers();
  }

  [[nodiscard]] std::string name() const override { return "native"; }
  [[nodiscard]] bool has_segment_bases() const override {
    return husk_native_frame.swap_bases != 0;
  }

  void clear_code() override { memset(at(kCode), kInt3, kCodeSize); }

  void run(const CpuCase& test, CpuOutcome& outcome) override {
    memcpy(at(test.start.rip), test.code.data(), code_in_window(test));
    memcpy(at(kData), test.data.data(), kDataSize);
    NativeFrame& frame = husk_native_frame;
    memcpy(frame.fx.data(), test.start.fx.data(), frame.fx.size());
    frame.upper = test.start.upper;
    frame.gpr = test.start.gpr;
    frame.rflags = test.start.rflags;
    frame.rip = test.start.rip;
    frame.fs_base = test.start.fs_base;
    frame.gs_base = test.start.gs_base;
    g_outcome = &outcome;
    protect(test, true);
    // The interpreter has a handler of its own for this one, which needs the thread's FS: the
    // case's is another.
    struct sigaction others{};
    sigaction(SIGFPE, &handler_, &others);
    husk_native_enter();
    sigaction(SIGFPE, &others, nullptr);
    g_outcome = nullptr;
    frame.host_rsp = 0;
    protect(test, false);
    memcpy(outcome.data.data(), at(kData), kDataSize);
    memset(at(test.start.rip), kInt3,
           std::min(code_in_window(test) + kCodeMargin, kCodeEnd - test.start.rip));
  }

 private:
  // Takes from the data window what a case takes, or gives it back.
  static void protect(const CpuCase& test, bool take) {
    constexpr int kRights[] = {PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE};
    for (size_t page = 0; page < test.access.size(); ++page) {
      if (test.access[page] == PageAccess::kWrite) continue;
      const auto rights = take ? test.access[page] : PageAccess::kWrite;
      (void)mprotect(at(kData + page * kPage), kPage, kRights[static_cast<size_t>(rights)]);
    }
  }

  Result<void> install_handlers() {
    stack_.resize(kSignalStack);
    const stack_t stack{stack_.data(), 0, stack_.size()};
    if (sigaltstack(&stack, nullptr) != 0) return fail_errno("signal stack", "cannot be set");
    handler_.sa_sigaction =
        reinterpret_cast<void (*)(int, siginfo_t*, void*)>(husk_native_signal_entry);
    handler_.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (const int number : {SIGTRAP, SIGSEGV, SIGILL, SIGBUS}) {
      if (sigaction(number, &handler_, nullptr) != 0)
        return fail_errno("signal handler", "cannot be set");
    }
    return {};
  }

  struct sigaction handler_{};
  std::vector<char> stack_;
};

}  // namespace

Result<std::unique_ptr<Engine>> create_native_engine() {
  auto engine = std::make_unique<NativeEngine>();
  if (auto started = engine->start(); !started) return std::unexpected(started.error());
  return engine;
}

}  // namespace husk::cpu_diff

using husk::cpu_diff::g_outcome;

void husk_native_signal(int number, void* /*info*/, void* context) {
  if (g_outcome == nullptr) {  // a fault of this program's own: let it be fatal
    signal(number, SIG_DFL);
    return;
  }
  auto& machine = *static_cast<ucontext_t*>(context);
  husk::cpu_diff::capture(machine, *g_outcome);
  auto* regs = machine.uc_mcontext.gregs;
  regs[REG_RIP] = reinterpret_cast<greg_t>(&husk_native_resume);
  regs[REG_RSP] = static_cast<greg_t>(husk_native_frame.host_rsp);
  regs[REG_EFL] = 0x202;
}
