#include "boot/acpi.h"

#include <fmt/core.h>

#include <array>
#include <cstring>
#include <numeric>

#include "base/checked.h"
#include "base/try.h"
#include "boot/aml.h"
#include "boot/layout.h"

namespace husk::boot {
namespace {

constexpr size_t kHeaderSize = 36;

void put(Bytes& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<uint8_t>(value >> 8 * i));
}

void put_text(Bytes& out, std::string_view text, size_t width) {
  for (size_t i = 0; i < width; ++i)
    out.push_back(i < text.size() ? static_cast<uint8_t>(text[i]) : ' ');
}

// The byte that makes the sum of all bytes zero.
uint8_t checksum(std::span<const uint8_t> bytes) {
  return static_cast<uint8_t>(-std::accumulate(bytes.begin(), bytes.end(), 0));
}

// A table with the standard header (5.2.6).
Bytes table(std::string_view signature, uint8_t revision, const Bytes& body) {
  Bytes out;
  put_text(out, signature, 4);
  put(out, kHeaderSize + body.size(), 4);
  put(out, revision, 1);
  put(out, 0, 1);
  put_text(out, "HUSK", 6);
  put_text(out, "HUSKPC", 8);
  put(out, 1, 4);
  put_text(out, "HUSK", 4);
  put(out, 1, 4);
  out.insert(out.end(), body.begin(), body.end());
  out[9] = checksum(out);
  return out;
}

// A generic address structure (5.2.3.2) in I/O space.
void put_port_gas(Bytes& out, uint16_t port, uint8_t bits) {
  put(out, port == 0 ? 0 : 1, 1);
  put(out, port == 0 ? 0 : bits, 1);
  put(out, 0, 1);
  put(out, bits == 8 ? 1 : bits == 16 ? 2 : 3, 1);
  put(out, port, 8);
}

Bytes madt(const AcpiConfig& config) {
  Bytes body;
  put(body, config.local_apic, 4);
  put(body, 1, 4);  // PCAT_COMPAT: there are 8259s too
  for (uint32_t cpu = 0; cpu < config.vcpus; ++cpu) {
    put(body, 0x0800, 2);  // type 0, length 8
    put(body, cpu, 1);
    put(body, cpu, 1);
    put(body, 1, 4);
  }
  put(body, 0x0c01, 2);  // I/O APIC
  put(body, 0, 1);
  put(body, 0, 1);
  put(body, config.io_apic, 4);
  put(body, 0, 4);
  const auto source_override = [&](uint8_t irq, uint32_t gsi, uint16_t flags) {
    put(body, 0x0a02, 2);
    put(body, 0, 1);
    put(body, irq, 1);
    put(body, gsi, 4);
    put(body, flags, 2);
  };
  source_override(0, 2, 0);                              // the PIT is wired to pin 2
  source_override(config.sci_gsi, config.sci_gsi, 0xd);  // active high, level
  put(body, 0x0604, 2);                                  // LINT1 of every processor is NMI
  put(body, 0xff, 1);
  put(body, 0, 2);
  put(body, 1, 1);
  return table("APIC", 5, body);
}

// The FADT (5.2.9); `facs` and `dsdt` are addresses.
Bytes fadt(const AcpiConfig& config, uint64_t facs, uint64_t dsdt) {
  constexpr uint32_t kWbinvd = 1u << 0, kProcC1 = 1u << 2, kSleepButtonAbsent = 1u << 5,
                     kTimer32 = 1u << 8, kResetRegister = 1u << 10;
  Bytes b;
  put(b, facs, 4);
  put(b, dsdt, 4);
  put(b, 0, 1);
  put(b, 0, 1);  // unspecified profile
  put(b, config.sci_gsi, 2);
  put(b, 0, 4);  // no SMI command: ACPI mode is all there is
  put(b, 0, 4);
  put(b, config.pm1_event, 4);
  put(b, 0, 4);
  put(b, config.pm1_control, 4);
  put(b, 0, 4);
  put(b, 0, 4);  // PM2
  put(b, config.pm_timer, 4);
  put(b, 0, 8);  // no general-purpose events
  put(b, 4, 1);
  put(b, 2, 1);
  put(b, 0, 1);
  put(b, 4, 1);
  put(b, 0, 4);
  put(b, 0xfff, 2);            // no C2
  put(b, 0xfff, 2);            // no C3
  put(b, 0, 8);                // flush size and stride, duty, day alarm, month alarm
  put(b, 0x32, 1);             // the RTC's century register
  put(b, 0x0001 | 0x0004, 2);  // legacy devices, no VGA; the 8042 has no keyboard to probe for
  put(b, 0, 1);
  put(b, kWbinvd | kProcC1 | kSleepButtonAbsent | kTimer32 | kResetRegister, 4);
  put_port_gas(b, config.reset_port, 8);
  put(b, config.reset_value, 1);
  put(b, 0, 2);
  put(b, 5, 1);
  put(b, facs, 8);
  put(b, dsdt, 8);
  put_port_gas(b, config.pm1_event, 32);
  put_port_gas(b, 0, 32);
  put_port_gas(b, config.pm1_control, 16);
  put_port_gas(b, 0, 16);
  put_port_gas(b, 0, 8);
  put_port_gas(b, config.pm_timer, 32);
  put_port_gas(b, 0, 8);
  put_port_gas(b, 0, 8);
  put_port_gas(b, 0, 8);  // sleep control
  put_port_gas(b, 0, 8);  // sleep status
  put_text(b, "KVMKVMKV", 8);
  return table("FACP", 6, b);
}

Bytes facs_table() {
  Bytes out;
  put_text(out, "FACS", 4);
  put(out, 64, 4);
  out.resize(64, 0);
  out[32] = 2;
  return out;
}

Bytes virtio_device(const MmioDevice& device, size_t index) {
  const Bytes crs[] = {aml::memory32_fixed(device.base, device.size),
                       aml::interrupt(device.gsi, false)};
  const Bytes parts[] = {aml::name("_HID", aml::string("LNRO0005")),
                         aml::name("_UID", aml::integer(index)), aml::name("_CCA", aml::integer(1)),
                         aml::resources(crs)};
  return aml::device(fmt::format("V{:03X}", index), aml::concat(parts));
}

Bytes serial_device(const AcpiConfig& config) {
  const Bytes crs[] = {aml::io_ports(config.serial_port, 8),
                       aml::interrupt(config.serial_gsi, true)};
  const Bytes parts[] = {aml::name("_HID", aml::eisa_id("PNP0501")),
                         aml::name("_UID", aml::integer(1)), aml::resources(crs)};
  return aml::device("COM1", aml::concat(parts));
}

Bytes rtc_device() {
  const Bytes crs[] = {aml::io_ports(0x70, 2), aml::interrupt(8, true)};
  const Bytes parts[] = {aml::name("_HID", aml::eisa_id("PNP0B00")), aml::resources(crs)};
  return aml::device("RTC_", aml::concat(parts));
}

Bytes dsdt(const AcpiConfig& config) {
  std::vector<Bytes> devices;
  for (size_t i = 0; i < config.virtio.size(); ++i)
    devices.push_back(virtio_device(config.virtio[i], i));
  if (config.serial_port != 0) devices.push_back(serial_device(config));
  devices.push_back(rtc_device());
  const Bytes sleep[] = {aml::integer(config.s5_sleep_type), aml::integer(0), aml::integer(0),
                         aml::integer(0)};
  const Bytes parts[] = {aml::name("\\_S5_", aml::package(sleep)),
                         aml::scope("\\_SB_", aml::concat(devices))};
  return table("DSDT", 2, aml::concat(parts));
}

// Hands out room between kAcpiTables and kAcpiTablesEnd.
class Placer {
 public:
  explicit Placer(memory::GuestMemory& memory) : memory_(memory) {}
  Result<uint64_t> place(const Bytes& bytes, uint64_t alignment) {
    const uint64_t at = base::align_up(next_, alignment);
    if (at + bytes.size() > kAcpiTablesEnd)
      return fail(ErrorKind::kLimit, "ACPI tables", "too many devices or vCPUs for their place");
    HUSK_TRY(memory_.write(Gpa{at}, std::as_bytes(std::span(bytes))));
    next_ = at + bytes.size();
    return at;
  }

 private:
  memory::GuestMemory& memory_;
  uint64_t next_ = kAcpiTables + 64;  // behind the RSDP
};

Bytes rsdp(uint64_t xsdt) {
  Bytes out;
  put_text(out, "RSD PTR ", 8);
  put(out, 0, 1);
  put_text(out, "HUSK", 6);
  put(out, 2, 1);
  put(out, 0, 4);
  out[8] = checksum(out);
  put(out, 36, 4);
  put(out, xsdt, 8);
  put(out, 0, 4);
  out[32] = checksum(out);
  return out;
}

}  // namespace

Result<Gpa> write_acpi(memory::GuestMemory& memory, const AcpiConfig& config) {
  Placer placer(memory);
  const uint64_t facs_at = HUSK_TRY(placer.place(facs_table(), 64));
  const uint64_t dsdt_at = HUSK_TRY(placer.place(dsdt(config), 16));
  Bytes pointers;
  put(pointers, HUSK_TRY(placer.place(fadt(config, facs_at, dsdt_at), 16)), 8);
  put(pointers, HUSK_TRY(placer.place(madt(config), 16)), 8);
  const uint64_t xsdt_at = HUSK_TRY(placer.place(table("XSDT", 1, pointers), 16));
  const Bytes pointer = rsdp(xsdt_at);
  HUSK_TRY(memory.write(Gpa{kAcpiTables}, std::as_bytes(std::span(pointer))));
  return Gpa{kAcpiTables};
}

}  // namespace husk::boot
