// x2APIC mode: its registers, what they refuse, and the ways in and out (Intel SDM vol. 3, 11.12).
#include "interrupts.h"

namespace bare {

void check_x2apic() {
  if (!has_x2apic()) {
    for (int i = 0; i < 29; ++i) skip("x2APIC", "CPUID has it not");
    return;
  }
  const uint64_t base = read_msr(kMsrApicBase);
  const uint32_t id = apic(kApicId) >> 24, version = apic(kApicVersion);
  const auto refuse_write = [](const char* name, uint32_t msr, uint32_t low, uint32_t high) {
    check_fault(name, BARE_PROBE("wrmsr", "c"(msr), "a"(low), "d"(high)), kGp, 0);
  };
  const auto refuse_read = [](const char* name, uint32_t msr) {
    check_fault(name, BARE_PROBE("rdmsr", "c"(msr)), kGp, 0);
  };
  refuse_read("no x2APIC registers in xAPIC mode", 0x802);
  refuse_write("nor to write", 0x808, 0, 0);
  refuse_write("x2APIC without APIC", kMsrApicBase,
               static_cast<uint32_t>((base & ~kApicBaseEnable) | kApicBaseX2), 0);
  refuse_write("reserved bits of IA32_APIC_BASE", kMsrApicBase, static_cast<uint32_t>(base) | 1, 0);
  write_msr(kMsrApicBase, base & ~kApicBaseEnable);
  refuse_write("no way from off straight to x2APIC", kMsrApicBase,
               static_cast<uint32_t>(base | kApicBaseX2), 0);
  write_msr(kMsrApicBase, base);
  enable_apic();
  write_msr(kMsrApicBase, base | kApicBaseX2);
  check_equal("x2APIC is on", read_msr(kMsrApicBase) & 0xc00, 0xc00);
  check_equal("its ID", read_msr(0x802), id);
  check_equal("its LDR follows from the ID", read_msr(0x80d), (id >> 4 << 16) | 1u << (id & 15));
  set_handler(0x91, [](Frame&) {
    taken[0x91] = taken[0x91] + 1;
    write_msr(0x80b, 0);
  });
  forget_counts();
  write_msr(0x83f, 0x91);
  open_window();
  check_equal("SELF IPI", taken[0x91], 1);
  write_msr(0x830, uint64_t{id} << 32 | kIcrAssert | 0x91);
  open_window();
  check_equal("ICR is one register", taken[0x91], 2);
  write_msr(0x808, 0x90);
  write_msr(0x83f, 0x91);
  open_window();
  check("TPR", taken[0x91] == 2 && read_cr8() == 9);
  write_msr(0x808, 0);
  open_window();
  check_equal("lowered", taken[0x91], 3);
  refuse_write("the ID cannot be written", 0x802, 0, 0);
  refuse_write("there is no DFR", 0x80e, 0, 0);
  refuse_write("EOI takes zero only", 0x80b, 1, 0);
  refuse_write("reserved bits of TPR", 0x808, 0x100, 0);
  refuse_write("the LDR cannot be written", 0x80d, 1, 0);
  refuse_write("ESR takes zero only", 0x828, 1, 0);
  refuse_write("the upper half of TPR", 0x808, 0, 1);
  refuse_write("reserved bits of the ICR", 0x830, 1u << 20, 0);
  refuse_write("the ICR has no upper register", 0x831, 0, 0);
  refuse_write("reserved bits of the timer's LVT", 0x832, 1u << 20, 0);
  refuse_write("reserved bits of SELF IPI", 0x83f, 0x191, 0);
  refuse_read("SELF IPI cannot be read", 0x83f);
  refuse_read("nor EOI", 0x80b);
  refuse_read("a register that is none", 0x804);
  check_equal("the version is the same", read_msr(0x803), version);
  refuse_write("no way straight back", kMsrApicBase, static_cast<uint32_t>(base), 0);
  write_msr(kMsrApicBase, base & ~kApicBaseEnable);
  write_msr(kMsrApicBase, base);
  enable_apic();
  count_vector(0x91);
  forget_counts();
  send_ipi(0, kIcrSelf | 0x91);
  open_window();
  check_equal("but through off", taken[0x91], 1);
}

}  // namespace bare
