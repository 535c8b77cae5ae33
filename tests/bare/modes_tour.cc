// What modes.S saw on its way from long mode to real mode and back.
#include "cpu.h"
#include "descriptors.h"
#include "modes.h"
#include "page_table.h"
#include "report.h"
#include "trap.h"

extern "C" void modes_tour();
extern "C" const uint8_t tour_start[], tour_end[], tour_results[];
extern "C" uint32_t tour_pd32[1024], tour_pt32[1024];
extern "C" uint64_t tour_pae_pdpt[4], boot_directories[4 * 512];

namespace bare {
namespace {

constexpr uintptr_t kPlace = 0x8000;
constexpr uint32_t kWindow = 0xfd000000, kTarget = 0x400000, kMagic = 0x4b535548,
                   kOther = 0x12345678;

// The window leads to 4 MiB in every kind of page table; 4 MiB behind it is one small page.
void prepare() {
  *reinterpret_cast<volatile uint32_t*>(kTarget) = kMagic;
  *reinterpret_cast<volatile uint32_t*>(0x10020) = kOther;
  uint32_t* small = reinterpret_cast<uint32_t*>(new_page());
  small[0] = kOther + 1;
  for (uint32_t i = 0; i < 4; ++i)
    tour_pae_pdpt[i] = reinterpret_cast<uint64_t>(boot_directories + i * 512) | kPresent;
  boot_directories[kWindow >> 21] = kTarget | kPresent | kWritable | kLarge;
  for (uint32_t i = 0; i < 1024; ++i) tour_pd32[i] = i << 22 | kPresent | kWritable | kLarge;
  tour_pd32[kWindow >> 22] = kTarget | kPresent | kWritable | kLarge;
  tour_pd32[(kWindow >> 22) + 1] =
      static_cast<uint32_t>(reinterpret_cast<uint64_t>(tour_pt32)) | kPresent | kWritable;
  tour_pt32[0] = static_cast<uint32_t>(reinterpret_cast<uint64_t>(small)) | kPresent | kWritable;
  auto* to = reinterpret_cast<uint8_t*>(kPlace);
  for (const uint8_t* from = tour_start; from < tour_end; ++from) *to++ = *from;
}

uint32_t result(uint32_t index) {
  const auto offset = static_cast<uintptr_t>(tour_results - tour_start) + index * 4;
  return *reinterpret_cast<volatile uint32_t*>(kPlace + offset);
}

}  // namespace

void check_tour() {
  prepare();
  const uint64_t cr4 = read_cr4();
  modes_tour();
  load_idt(reinterpret_cast<uint64_t>(idt), sizeof(idt) - 1);
  check_equal("compatibility mode decodes as 32-bit code", result(0), 42);
  check_equal("PG off: LMA off, LME stays", result(1) & (kEferLma | kEferLme), kEferLme);
  check_equal("no paging", result(2), kMagic);
  check_equal("PAE paging, by 2 MiB pages", result(3), kMagic);
  check_equal("two-level paging, by 4 MiB pages", result(4), kMagic);
  check_equal("and by 4 KiB pages", result(5), kOther + 1);
  check_equal("a write sets A and D of a 4 MiB page",
              tour_pd32[kWindow >> 22] & (kAccessed | kDirty), kAccessed | kDirty);
  check_equal("a read A only", tour_pt32[0] & (kAccessed | kDirty), kAccessed);
  check_equal("a 16-bit stack moves SP only", result(6), 0x123477fe);
  check_equal("real mode: IRET brings the flags back", result(7), 1);
  check_equal("INT clears IF and TF only", result(8) & (kFlagCf | kFlagIf | kFlagTf), kFlagCf);
  check_equal("and pushes three words", result(9), 0x7800 - 6);
  check_equal("a vector beyond the IDT's limit is #GP", result(19), 1);
  check_equal("real mode: #GP at both ends of 64 KiB", result(10), 2);
  check_equal("which pushes no error code", result(13) & 0xffff, 0x7800);
  check_equal("FFFF:0010 is 1 MiB", result(11), 0x1badb002);
  check_equal("1000:0020 is 10020h", result(12), kOther);
  check_equal("#DE points to the DIV", result(14), 0);
  check_equal("a far call pushes CS and the next IP", result(15), 0);
  check_equal("SMSW: PE is off", result(16) & 1, 0);
  check_equal("limits of 4 GiB survive the way to real mode", result(17), kMagic);
  check_equal("long mode again", result(18) & (kEferLma | kEferLme), kEferLma | kEferLme);
  check_equal("CR4 as before", read_cr4(), cr4);
  check_fault("and exceptions work", BARE_PROBE("ud2", "i"(0)), kUd, 0);
}

}  // namespace bare
