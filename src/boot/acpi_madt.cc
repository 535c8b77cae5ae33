// MADT: processors and interrupt controllers (ACPI 6.5, 5.2.12).
#include "boot/acpi_tables.h"

namespace husk::boot {
namespace {

enum EntryType : uint8_t {
  kLocalApic = 0,
  kIoApic = 1,
  kSourceOverride = 2,
  kLocalApicNmi = 4,
  kLocalX2Apic = 9,
  kLocalX2ApicNmi = 10,
};
constexpr uint32_t kEnabled = 1, kPcAtCompatible = 1;
constexpr uint32_t kFirstX2ApicId = 255;  // in xAPIC mode that one means "all"
// MPS INTI flags (table 5.26): polarity in bits 0-1, trigger mode in 2-3; 0 is as the bus has it.
constexpr uint16_t kAsBus = 0, kActiveHighLevel = 1 | 3 << 2;

void put_processor(Bytes& out, uint32_t id) {
  if (id >= kFirstX2ApicId) {
    put(out, kLocalX2Apic, 1);
    put(out, 16, 1);
    put(out, 0, 2);
    put(out, id, 4);
    put(out, kEnabled, 4);
    put(out, id, 4);  // ACPI processor UID
    return;
  }
  put(out, kLocalApic, 1);
  put(out, 8, 1);
  put(out, id, 1);  // ACPI processor UID
  put(out, id, 1);
  put(out, kEnabled, 4);
}

void put_io_apic(Bytes& out, uint32_t address) {
  put(out, kIoApic, 1);
  put(out, 12, 1);
  put(out, 0, 2);  // ID 0, reserved
  put(out, address, 4);
  put(out, 0, 4);  // its first GSI
}

void put_source_override(Bytes& out, uint8_t irq, uint32_t gsi, uint16_t flags) {
  put(out, kSourceOverride, 1);
  put(out, 10, 1);
  put(out, 0, 1);  // ISA
  put(out, irq, 1);
  put(out, gsi, 4);
  put(out, flags, 2);
}

// LINT1 of every processor is NMI.
void put_nmi(Bytes& out) {
  put(out, kLocalApicNmi, 1);
  put(out, 6, 1);
  put(out, 0xff, 1);
  put(out, kAsBus, 2);
  put(out, 1, 1);
}

void put_x2apic_nmi(Bytes& out) {
  put(out, kLocalX2ApicNmi, 1);
  put(out, 12, 1);
  put(out, kAsBus, 2);
  put(out, 0xffffffff, 4);
  put(out, 1, 1);
  put(out, 0, 3);
}

}  // namespace

Bytes madt(const AcpiConfig& config) {
  Bytes out;
  put(out, config.local_apic, 4);
  put(out, config.legacy_pics ? kPcAtCompatible : 0, 4);
  for (uint32_t id = 0; id < config.vcpus; ++id) put_processor(out, id);
  put_io_apic(out, config.io_apic);
  put_source_override(out, 0, 2, kAsBus);  // the timer, which a PC has on pin 2
  put_source_override(out, config.sci_gsi, config.sci_gsi, kActiveHighLevel);
  put_nmi(out);
  if (config.vcpus > kFirstX2ApicId) put_x2apic_nmi(out);
  return system_table("APIC", 5, out);
}

}  // namespace husk::boot
