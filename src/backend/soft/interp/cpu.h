// The interpreter's CPU: the architectural state of one vCPU in the form that is fastest to execute
// on, and the operations that instruction handlers share. A vCPU's thread owns it; nothing in here
// is thread-safe but the attention word.
//
// Rule for handlers: everything that can fault happens before anything architectural changes,
// except for string instructions, which commit iteration by iteration. So a fault, or an access
// that must leave to a device, just returns: the instruction can be run again.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "backend/soft/decode/insn.h"
#include "backend/soft/fpu/fpu.h"
#include "backend/soft/interp/block_cache.h"
#include "backend/soft/interp/debugging.h"
#include "backend/soft/interp/device_access.h"
#include "backend/soft/interp/environment.h"
#include "backend/soft/interp/flags.h"
#include "backend/soft/interp/op.h"
#include "backend/soft/interp/translator.h"
#include "backend/soft/mmu/code_pages.h"
#include "backend/soft/mmu/page_walk.h"
#include "backend/soft/mmu/physical_map.h"
#include "backend/soft/mmu/tlb.h"
#include "contract/x86/vcpu_state.h"

namespace husk::soft::interp {

using contract::x86::DescriptorTable;
using contract::x86::Segment;

// Exception vectors (Intel SDM vol. 3, table 6-1).
enum Vector : uint8_t {
  kDe = 0,
  kDb = 1,
  kNmi = 2,
  kBp = 3,
  kOfTrap = 4,
  kBr = 5,
  kUd = 6,
  kNm = 7,
  kDfault = 8,
  kTs = 10,
  kNp = 11,
  kSsFault = 12,
  kGp = 13,
  kPfault = 14,
  kMf = 16,
  kAcFault = 17,
  kMc = 18,
  kXm = 19,
};

constexpr uint64_t kCr0Pe = 1, kCr0Mp = 2, kCr0Em = 4, kCr0Ts = 8, kCr0Et = 16, kCr0Ne = 32,
                   kCr0Wp = 1u << 16, kCr0Am = 1u << 18, kCr0Nw = 1u << 29, kCr0Cd = 1u << 30,
                   kCr0Pg = 1u << 31;
constexpr uint64_t kCr4Vme = 1, kCr4Pvi = 2, kCr4Tsd = 4, kCr4De = 8, kCr4Pse = 16, kCr4Pae = 32,
                   kCr4Mce = 64, kCr4Pge = 128, kCr4Pce = 256, kCr4Osfxsr = 512,
                   kCr4Osxmmexcpt = 1024, kCr4Umip = 2048, kCr4Fsgsbase = 1u << 16,
                   kCr4Pcide = 1u << 17, kCr4Osxsave = 1u << 18, kCr4Smep = 1u << 20,
                   kCr4Smap = 1u << 21;
using fpu::kXcr0Avx, fpu::kXcr0Sse, fpu::kXcr0X87;
using fpu::kXsaveArea, fpu::kXsaveLegacy, fpu::kXsaveUpper;
constexpr uint64_t kEferSce = 1, kEferLme = 1u << 8, kEferLma = 1u << 10, kEferNxe = 1u << 11;

// Why run() came back.
enum class Stop : uint8_t {
  kNone,      // attention, or the end of a stretch: look at what is pending and go on
  kDevice,    // an access that somebody outside answers: see device.request()
  kHalt,      // HLT
  kShutdown,  // triple fault
  kDebug,     // see debug_stop()
};

// Slots of Cpu::regs beyond the sixteen registers.
constexpr uint8_t kSlotZero = 16, kSlotBlockRip = 17, kSlotAddress = 18, kSlots = 20;

// Indices of Cpu::seg_base beyond the six segments: always zero. The second one is for stack
// accesses, whose non-canonical addresses are #SS.
constexpr uint8_t kSegZero = 6, kSegZeroStack = 7;

// HotState::sse_live; else it is 0, or kLowVectors for XMM alone.
constexpr uint64_t kLowVectors = 1, kWholeVectors = 2;

struct JumpEntry {
  uint64_t rip = ~uint64_t{0};
  uint64_t key = 0;
  const Block* block = nullptr;
  const void* code = nullptr;  // the block's translation, if there is one
};

// What every instruction needs. Translated code reaches it by offsets from `regs`: on both sides of
// it, for the host's stack pointer points there meanwhile.
struct HotState {
  // For frames of signals that come while translated code runs, and its calls. Never initialised.
  std::array<std::byte, size_t{64} << 10> room_below;

  // What translated code uses most: within reach of short offsets, where signals leave 128 bytes
  // alone.
  static constexpr size_t kSpans = 12;
  alignas(64) std::array<uint64_t, kSpans> span_hosts{};  // where checked memory is
  uint64_t spill = 0;
  uint64_t context = 0;  // of data accesses at the present privilege
  Status status = 0;
  uint64_t return_address = 0;  // of translated code's calls

  alignas(64) std::array<uint64_t, kSlots> regs{};
  uint64_t rflags_rest = 2;
  uint64_t code_key = 0;  // of jump entries and blocks that fit the present mode
  // The same for code on global pages, which address spaces share; code_key where there are none.
  uint64_t global_code_key = 0;
  const std::atomic<uint32_t>* attention_word = nullptr;
  uint64_t host_stack = 0;  // translated code's own, as the next three
  uint64_t kept = 0;
  uint64_t sse_live = 0;  // the host's XMM registers are the guest's; kWholeVectors: YMM registers
  uint64_t x87_lent = 0;  // the host's x87 registers are, and may be used
  std::array<uint64_t, 8>
      seg_base{};  // what address computation adds: zero for ES..DS in 64-bit mode
  uint64_t rip = 0;
  uint64_t ip_mask = ~uint64_t{0};
  uint8_t ring = 0;  // CPL
  mmu::Tlb tlb;
  static constexpr size_t kJumpEntries = 32768;
  std::array<JumpEntry, kJumpEntries> jumps{};
  fpu::FpuState fpu_state{};
};

class OpList;

class Cpu : public HotState {
 public:
  Cpu(mmu::PhysicalMap& memory, Environment& environment, size_t index,
      const std::atomic<uint32_t>& attention);
  ~Cpu();
  Cpu(const Cpu&) = delete;
  Cpu& operator=(const Cpu&) = delete;

  // Runs until attention is asked for or something must be handled outside.
  Stop run();
  // Takes the instruction whose device accesses were answered to its end. kNone: there is none, or
  // it ended; kDevice: it asks for one more.
  Stop complete_access();
  // Takes an external interrupt, NMI or exception between two instructions. False: it ended in a
  // shutdown.
  bool deliver(uint8_t vector, bool external);
  bool deliver_exception(uint8_t vector, bool has_error, uint32_t error);

  // Blocks that were entered `threshold` times are translated from now on. While the CPU does not
  // run.
  void set_translator(std::unique_ptr<Translator> translator, int32_t threshold);

  // What CPUID shows from now on. At first: all that this CPU has, as the only one.
  void show(CpuModel model, contract::x86::CpuidTable table);
  void reset();                      // the state after RESET, as the boot processor
  void start_at(uint8_t sipi_page);  // SIPI: real mode at page:0000
  [[nodiscard]] contract::x86::VcpuState capture();
  [[nodiscard]] Result<void> restore(const contract::x86::VcpuState& state);

  // For the translator: an access at `linear` may be done by way of the TLB now. Faults of it are
  // not raised.
  bool warm_tlb(uint64_t linear, bool write);
  // Likewise: the host's MXCSR is the guest's, all exceptions masked, and SSE instructions may be
  // executed by the host; kWholeVectors: AVX's too. 0: they are the interpreter's.
  uint64_t lend_vectors();
  [[nodiscard]] uint64_t keeps_vectors() const;
  // The same for x87.
  bool lend_x87();
  [[nodiscard]] bool keeps_x87() const;
  // After the end of a block, or a fault: the code to go on with. Null: the run loop has to look.
  const void* next_code();
  // Something has happened that the run loop looks at before it goes on.
  [[nodiscard]] bool wants_run_loop() const {
    return recheck_interrupts || memory.modifications() != modifications_ ||
           memory.layout_epoch() != layout_epoch_;
  }
  // The code page at `linear`, which was fetched from before; null: no more.
  const std::byte* code_page(uint64_t linear);

  void set_debug(const DebugOptions& options);
  [[nodiscard]] const Debugging& debugging() const { return debugging_; }
  // The program counter was moved: what is there now has not been stopped at.
  // For a CPU that does not run for a while: all of its decoded and translated code is forgotten,
  // and the memory goes back to the host.
  void release_code();
  [[nodiscard]] size_t code_bytes() const { return blocks_.used(); }  // decoded
  void forget_debug_stop() { debugging_.resume_at = Debugging::kNowhere; }
  // The instruction before the last kDebug was a HLT.
  bool halted_before_stop = false;

  // Other vCPUs' code needs our writable translations gone; see PhysicalMap.
  void acknowledge_code_epoch();

  [[nodiscard]] bool interrupts_enabled() const { return (rflags_rest & kIf) != 0 && !shadow; }
  [[nodiscard]] uint64_t rflags() const { return rflags_rest | status_to_rflags(status) | 2; }
  void set_rflags(uint64_t value) {
    status = rflags_to_status(value);
    rflags_rest = (value & ~kStatusFlags) | 2;
  }

  // --- for handlers
  // ---------------------------------------------------------------------------------------------
  [[nodiscard]] uint64_t ip_of(const Op* op) const { return regs[kSlotBlockRip] + op->offset; }
  [[nodiscard]] uint64_t next_ip(const Op* op) const { return ip_of(op) + op->length; }

  // Raises an exception at `op`; returns null for the handler to return.
  const Op* fault(const Op* op, uint8_t vector);
  const Op* fault(const Op* op, uint8_t vector, uint32_t error);
  // After a push or pop that failed: a non-canonical address is #SS there, not #GP (Intel SDM vol.
  // 3, 6.15), with `error` as its code. Returns false.
  bool stack_reference_failed(uint32_t error = 0) {
    if (!pending_.active || pending_.vector != kGp) return false;
    pending_.vector = kSsFault;
    pending_.error = error;
    return false;
  }
  // INT n and its kin, at `op`. `checked`: the gate's privilege counts. False: a fault is pending.
  bool software_interrupt(const Op* op, uint8_t vector, bool checked);
  // A debugger wants the CPU stopped before `op`, which is told. Once at each time that the CPU
  // comes there.
  bool stops_before(const Op* op, DebugCause cause);
  // KVM's hypercalls, at `op`. False: somebody outside answers it.
  bool hypercall(const Op* op);
  // The instruction at `op` is complete and the run loop has to look at what changed.
  const Op* leave(const Op* op) {
    rip = next_ip(op) & ip_mask;
    return nullptr;
  }

  // Slow paths of memory accesses; false: a fault is raised or a device access is requested.
  bool load_slow(const Op* op, uint64_t linear, void* out, uint32_t size);
  bool store_slow(const Op* op, uint64_t linear, const void* in, uint32_t size);
  // Checks that [linear, linear + size) can be written, without writing.
  bool probe_write(const Op* op, uint64_t linear, uint32_t size);
  bool probe_read(const Op* op, uint64_t linear, uint32_t size);
  // Host memory for a read-modify-write within one RAM page; see WriteRef. False: fault, or
  // `ref.host` is null and nothing is raised: not one plain page, go by load and store.
  struct WriteRef {
    std::byte* host = nullptr;
    mmu::PageState* code = nullptr;  // not null: raise its generation after the write
  };
  bool resolve_write(const Op* op, uint64_t linear, uint32_t size, WriteRef& ref);
  void finish_write(const Op* op, const WriteRef& ref);
  bool resolve_read(const Op* op, uint64_t linear, uint32_t size, std::byte*& host);

  // Accesses by the CPU itself (descriptor tables, TSS, stacks of interrupt delivery): supervisor
  // whatever the CPL.
  bool system_load(const Op* op, uint64_t linear, void* out, uint32_t size);
  bool system_store(const Op* op, uint64_t linear, const void* in, uint32_t size);

  // I/O ports; false as above. `size` 1, 2 or 4.
  bool port_in(const Op* op, uint16_t port, uint32_t size, uint32_t& value);
  bool port_out(const Op* op, uint16_t port, uint32_t size, uint32_t value);
  bool io_permitted(const Op* op, uint16_t port, uint32_t size);

  bool load_segment(const Op* op, uint8_t seg, uint16_t selector);
  void set_real_segment(uint8_t seg, uint16_t selector);
  bool write_cr(const Op* op, uint8_t index, uint64_t value);
  bool read_msr(uint32_t index, uint64_t& value);
  bool write_msr(uint32_t index, uint64_t value);
  void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
  void invalidate_page(uint64_t linear);
  void flush_tlb_all();
  void flush_tlb_current();
  void flush_pcid(uint32_t pcid);
  // After a change of CPL, CR0/3/4, EFER, AC or CS: recomputes what is derived from them.
  void update_mode();
  void update_context();  // the part of it that EFLAGS.AC decides
  // Ring 3 with alignment checks on: no access finds the TLB, the slow paths check.
  [[nodiscard]] bool checks_alignment() const {
    return (context & mmu::kNeverCached) == mmu::kNeverCached;
  }

  [[nodiscard]] uint8_t cpl() const { return ring; }
  void set_cpl(uint8_t level) { ring = level; }
  [[nodiscard]] bool long_mode() const { return (efer & kEferLma) != 0; }
  [[nodiscard]] bool code64() const { return code_size == decode::CodeSize::k64; }
  [[nodiscard]] bool protected_mode() const { return (cr0 & kCr0Pe) != 0; }
  // The base of CS as it counts: zero in 64-bit mode.
  [[nodiscard]] uint64_t seg_base_of_code() const { return seg_base[contract::x86::kCs]; }
  [[nodiscard]] bool vm86() const { return (rflags_rest & kVm) != 0; }
  [[nodiscard]] bool avx_enabled() const {
    constexpr uint64_t kBoth = kXcr0Sse | kXcr0Avx;
    return (cr4 & kCr4Osxsave) != 0 && (xcr0 & kBoth) == kBoth && !real_mode();
  }
  bool write_xcr0(uint64_t value);
  [[nodiscard]] bool real_mode() const { return !protected_mode() || vm86(); }
  [[nodiscard]] uint64_t stack_mask() const {
    if (code64()) return ~uint64_t{0};
    return (seg[contract::x86::kSs].attributes & contract::x86::kSegBig) != 0 ? 0xffffffffu
                                                                              : 0xffffu;
  }
  // The MSR's value again when the TSC has become another one.
  void write_kvmclock(uint64_t msr_value);
  [[nodiscard]] uint64_t read_tsc() { return env.tsc(tsc_adjust); }
  // After something that may let an interrupt through.
  void interrupts_may_come() {
    if (env.interrupt_waiting()) recheck_interrupts = true;
  }
  bool recheck_interrupts = true;

  const std::atomic<uint32_t>& attention;
  alignas(64) std::array<std::byte, 64> scratch{};  // a missed access's value
  WriteRef write_ref;
  std::unique_ptr<fpu::Unit> fpu_unit;

  // The rest of the architectural state.
  std::array<Segment, 6> seg{};
  Segment ldtr{}, tr{};
  DescriptorTable gdtr{}, idtr{};
  uint64_t cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0, efer = 0, xcr0 = kXcr0X87;
  std::array<uint64_t, 4> dr{};
  uint64_t dr6 = 0xffff0ff0, dr7 = 0x400;
  uint64_t star = 0, lstar = 0, cstar = 0, fmask = 0, kernel_gs_base = 0, tsc_aux = 0,
           tsc_adjust = 0, pat = 0;
  uint64_t sysenter_cs = 0, sysenter_esp = 0, sysenter_eip = 0;
  uint64_t misc_enable = 1, kvm_wall_clock = 0, kvm_system_time = 0, spec_ctrl = 0,
           mtrr_def_type = 0;
  std::array<uint64_t, 32> mtrrs{};
  bool shadow = false;  // STI or MOV SS: no interrupt before the next instruction is done
  bool nmi_blocked = false;
  // No trap behind the instruction: it entered a handler with TF clear, or loaded SS.
  bool step_suppressed = false;
  decode::CodeSize code_size = decode::CodeSize::k16;

  mmu::PhysicalMap& memory;
  Environment& env;
  DeviceAccess device;
  Stop stop = Stop::kNone;

 private:
  friend class Delivery;
  struct Pending {
    bool active = false;
    uint8_t vector = 0;
    bool has_error = false;
    uint32_t error = 0;
  };

  struct FetchedPage {  // where instructions come from
    mmu::PageRef ref;
    uint64_t gpa = 0;  // of the first of them
    uint8_t shift = 12;
    bool global = false;
    uint32_t epoch = 0;       // of its code
    uint32_t generation = 0;  // likewise
  };
  const Block* find_block(bool single);
  const Block* build_block(uint64_t linear, FetchedPage& page, FetchedPage& second, bool single);
  bool decode_block(uint64_t linear, const FetchedPage& page, FetchedPage& second, bool single);
  Block* known_block(uint64_t key, const FetchedPage& page);
  void forget_blocks();
  enum class Jumps : uint8_t { kAll, kNotGlobal };
  void forget_jumps(Jumps which);
  void forget_translations();
  void execute(const Block* block);
  const void* code_of(const Block* block);
  void forget_code();  // all translations
  bool fetch_page(uint64_t linear, FetchedPage& page);
  void run_one();
  bool end_idle_shadow();
  template <bool debugged>
  Stop run_loop();
  // Around each instruction, or stretch of them, while there is a debugger.
  void begin_debugged();
  void end_debugged(uint64_t began_at);
  void stop_for_debugger(DebugCause cause, uint64_t addr);
  [[nodiscard]] uint64_t linear_ip(uint64_t ip) const;
  void observe_others();
  bool deliver_pending();
  void page_fault(const Op* op, uint64_t linear, uint32_t error);
  bool noncanonical(const Op* op, uint64_t linear);
  bool misaligned(const Op* op, uint64_t linear, uint32_t size);
  struct Target {  // one page's share of an access
    std::byte* host = nullptr;
    mmu::PageState* state = nullptr;
    bool writable = false;
    uint64_t gpa = 0;
  };
  bool translate(const Op* op, uint64_t linear, mmu::Access access, mmu::Privilege privilege,
                 Target& target);
  bool device_load(const Op* op, uint64_t gpa, void* out, uint32_t size);
  bool device_store(const Op* op, uint64_t gpa, const void* in, uint32_t size);
  bool probe(const Op* op, uint64_t linear, uint32_t size, mmu::Access kind);
  bool access(const Op* op, uint64_t linear, void* data, uint32_t size, bool write,
              mmu::Privilege privilege);
  uint32_t next_version(uint64_t gpa);
  void write_wall_clock(uint64_t gpa);
  void write_physical(uint64_t gpa, const void* data, uint32_t size);
  bool write_cr0(const Op* op, uint64_t value);
  bool write_cr3(const Op* op, uint64_t value);
  bool write_cr4(const Op* op, uint64_t value);
  bool write_efer(uint64_t value);
  bool write_segment_base_msr(uint8_t index, uint64_t value);

  // kUnsupported when this CPU lacks what the state's guest was shown.
  Result<void> adopt_cpuid(const contract::x86::VcpuState& state);

  CpuModel cpu_model_ = CpuModel::kHost;
  contract::x86::CpuidTable cpuid_offered_, cpuid_shown_;
  bool shows_v3_ = false;  // cpuid_shown_ has AVX2, and with it all of x86-64-v3
  void set_shown(contract::x86::CpuidTable table);
  Pending pending_;
  mmu::Privilege privilege_ = mmu::Privilege::kSupervisor;
  uint32_t context_base_ = 0;
  size_t index_;
  uint32_t acknowledged_epoch_ = 0;
  uint64_t dirty_epoch_ = 0;
  uint64_t layout_epoch_ = 0;
  uint64_t jump_epoch_ = 0, global_jump_epoch_ = 0;
  bool low_global_code_ = false;  // global pages of the lower half may have jump entries
  uint64_t code_base_ = 0;
  uint32_t modifications_ = 0;  // that translated code has been told of
  bool code_is_old_ = false;
  uint32_t code_age_ = 0;
  std::unique_ptr<Translator> translator_;
  int32_t initial_heat_ = kNeverHot;
  static constexpr int32_t kNeverHot = 0x7fffffff;
  mmu::CodePages code_pages_;
  mmu::LargePages large_pages_;
  mmu::ContextAllocator contexts_;
  BlockCache blocks_;
  std::unique_ptr<OpList> ops_;  // of the block that was decoded last, and the bytes that it was
  std::vector<uint8_t> decoded_;
  Debugging debugging_;
};

}  // namespace husk::soft::interp
