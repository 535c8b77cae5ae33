// DSDT: the devices of the board that no bus lists, and the way to power off.
#include <fmt/core.h>

#include "boot/acpi_tables.h"
#include "boot/aml.h"

namespace husk::boot {
namespace {

constexpr uint16_t kRtcPort = 0x70;
constexpr uint8_t kRtcPorts = 2, kSerialPorts = 8;
constexpr uint32_t kRtcGsi = 8;

// "LNRO0005" is the ID by which Linux's virtio_mmio finds its devices
// (drivers/virtio/virtio_mmio.c).
Bytes virtio_device(const MmioDevice& device, size_t index) {
  const bool low = device.base + device.size <= 0xffffffff;
  const Bytes window = low ? aml::memory32_fixed(static_cast<uint32_t>(device.base), device.size)
                           : aml::qword_memory(device.base, device.size);
  return aml::device(
      fmt::format("V{:03X}", index),
      {aml::name("_HID", aml::string("LNRO0005")), aml::name("_UID", aml::integer(index)),
       aml::resources({window, aml::interrupt(device.gsi, aml::Trigger::kLevel)})});
}

Bytes serial_device(const AcpiConfig& config) {
  return aml::device(
      "COM1", {aml::name("_HID", aml::eisa_id("PNP0501")), aml::name("_UID", aml::integer(1)),
               aml::resources({aml::io_ports(config.serial_port, kSerialPorts),
                               aml::interrupt(config.serial_gsi, aml::Trigger::kEdge)})});
}

Bytes rtc_device() {
  return aml::device("RTC", {aml::name("_HID", aml::eisa_id("PNP0B00")),
                             aml::resources({aml::io_ports(kRtcPort, kRtcPorts),
                                             aml::interrupt(kRtcGsi, aml::Trigger::kEdge)})});
}

// The device by whose _CID and ADDR a guest finds the generation ID (Microsoft, "Virtual Machine
// Generation ID"), and the generic event device (ACPI 6.5, 5.6.9) whose interrupt says that it has
// changed: a method's name has trigger and line in it.
Bytes vm_generation_id(const AcpiConfig& config) {
  constexpr uint8_t kChanged = 0x80;
  const uint64_t place = config.vm_generation_id;
  Bytes devices = aml::device(
      "VGEN",
      {aml::name("_HID", aml::string("HUSK0001")), aml::name("_CID", aml::string("VM_Gen_Counter")),
       aml::name("_DDN", aml::string("VM_Gen_Counter")),
       aml::name("ADDR",
                 aml::package({aml::integer(place & 0xffffffff), aml::integer(place >> 32)}))});
  const Bytes events = aml::device(
      "GED", {aml::name("_HID", aml::string("ACPI0013")),
              aml::resources({aml::interrupt(config.vm_generation_gsi, aml::Trigger::kEdge)}),
              aml::method("_EVT", 1, {aml::notify("\\_SB.VGEN", kChanged)})});
  append(devices, events);
  return devices;
}

// The SLP_TYP values for PM1a and PM1b in S5 (7.4.2).
Bytes power_off(const AcpiConfig& config) {
  return aml::name("\\_S5", aml::package({aml::integer(config.s5_sleep_type), aml::integer(0),
                                          aml::integer(0), aml::integer(0)}));
}

}  // namespace

Bytes dsdt(const AcpiConfig& config) {
  Bytes devices;
  for (size_t i = 0; i < config.virtio.size(); ++i)
    append(devices, virtio_device(config.virtio[i], i));
  if (config.serial_port != 0) append(devices, serial_device(config));
  append(devices, rtc_device());
  if (config.vm_generation_gsi != 0) append(devices, vm_generation_id(config));
  Bytes body = power_off(config);
  append(body, aml::scope("\\_SB", {devices}));
  return system_table("DSDT", 2, body);
}

}  // namespace husk::boot
