#include "boot/acpi.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <numeric>
#include <string>

#include "boot/acpi_tables.h"
#include "boot/layout.h"
#include "boot/testing/images.h"

namespace husk::boot {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

AcpiConfig board() {
  AcpiConfig config;
  config.vcpus = 3;
  config.pm1_event = 0x600;
  config.pm1_control = 0x604;
  config.pm_timer = 0x608;
  config.reset_port = 0xcf9;
  config.reset_value = 6;
  config.serial_port = 0x3f8;
  config.vm_generation_id = 0x1'000d'f010;
  config.vm_generation_gsi = 5;
  config.virtio = {{0xd0000000, 0x1000, 16}, {0xd0001000, 0x200, 5}};
  return config;
}

uint8_t sum(std::span<const uint8_t> data) {
  return static_cast<uint8_t>(std::accumulate(data.begin(), data.end(), 0));
}

Bytes table_at(memory::GuestMemory& memory, uint64_t gpa) {
  Bytes table(get<uint32_t>(memory, gpa + 4));
  EXPECT_TRUE(memory.read(Gpa{gpa}, std::as_writable_bytes(std::span(table))));
  return table;
}

std::string signature(const Bytes& table) { return {table.begin(), table.begin() + 4}; }

// Follows the pointers from the RSDP, as an operating system does.
std::map<std::string, Bytes> tables_of(memory::GuestMemory& memory, Gpa rsdp) {
  std::map<std::string, Bytes> tables;
  const Bytes xsdt = table_at(memory, get<uint64_t>(memory, rsdp.value + 24));
  tables[signature(xsdt)] = xsdt;
  for (size_t at = 36; at + 8 <= xsdt.size(); at += 8) {
    uint64_t pointer = 0;
    std::memcpy(&pointer, xsdt.data() + at, 8);
    const Bytes table = table_at(memory, pointer);
    tables[signature(table)] = table;
  }
  uint64_t pointer = 0;
  std::memcpy(&pointer, tables["FACP"].data() + 140, 8);
  tables["DSDT"] = table_at(memory, pointer);
  std::memcpy(&pointer, tables["FACP"].data() + 132, 8);
  EXPECT_EQ(pointer % 64, 0u);
  tables["FACS"] = table_at(memory, pointer);
  return tables;
}

TEST(Acpi, RootPointerIsFoundByScanningAndAddsUp) {
  auto memory = guest_memory(4 * kMiB);
  const auto rsdp = write_acpi(*memory, board());
  ASSERT_TRUE(rsdp);
  EXPECT_GE(rsdp->value, 0xe0000u);
  EXPECT_EQ(rsdp->value % 16, 0u);
  Bytes root(36);
  ASSERT_TRUE(memory->read(*rsdp, std::as_writable_bytes(std::span(root))));
  EXPECT_EQ(std::string(root.begin(), root.begin() + 8), "RSD PTR ");
  EXPECT_EQ(sum(std::span(root).first(20)), 0);
  EXPECT_EQ(sum(root), 0);
}

TEST(Acpi, EveryTableIsThereAndAddsUp) {
  auto memory = guest_memory(4 * kMiB);
  const auto tables = tables_of(*memory, write_acpi(*memory, board()).value());
  for (const char* name : {"XSDT", "FACP", "APIC", "DSDT", "FACS"})
    ASSERT_TRUE(tables.contains(name)) << name;
  for (const auto& [name, table] : tables) {
    if (name != "FACS") {
      EXPECT_EQ(sum(table), 0) << name;
    }
  }
  EXPECT_EQ(tables.at("FACP").size(), 276u) << "ACPI 6.5, table 5.9";
  EXPECT_EQ(tables.at("FACS").size(), 64u);
}

TEST(Acpi, RefusesWhatDoesNotFit) {
  auto memory = guest_memory(4 * kMiB);
  AcpiConfig config = board();
  config.vcpus = 100'000;
  const auto result = write_acpi(*memory, config);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kLimit);
}

// The MADT's entries of one type, each from its length byte's next on.
std::vector<Bytes> madt_entries(const Bytes& madt, uint8_t type) {
  std::vector<Bytes> entries;
  for (size_t at = 44; at + 2 <= madt.size(); at += madt[at + 1]) {
    EXPECT_GE(madt[at + 1], 2);
    if (madt[at] == type)
      entries.emplace_back(madt.begin() + at + 2, madt.begin() + at + madt[at + 1]);
  }
  return entries;
}

TEST(Acpi, ProcessorsBeyondIdentifier254AreX2Apics) {
  AcpiConfig config = board();
  config.vcpus = 258;
  const Bytes table = madt(config);
  EXPECT_EQ(madt_entries(table, 0).size(), 255u);
  const auto x2apics = madt_entries(table, 9);
  ASSERT_EQ(x2apics.size(), 3u);
  EXPECT_EQ(x2apics[0][2], 255);
  EXPECT_EQ(x2apics[2][2] | x2apics[2][3] << 8, 257);
  EXPECT_EQ(madt_entries(table, 10).size(), 1u);
  EXPECT_TRUE(madt_entries(madt(board()), 9).empty());
}

TEST(Acpi, TimerAndSciAreOverridden) {
  const auto overrides = madt_entries(madt(board()), 2);
  ASSERT_EQ(overrides.size(), 2u);
  EXPECT_EQ(overrides[0], (Bytes{0, 0, 2, 0, 0, 0, 0, 0}));
  EXPECT_EQ(overrides[1], (Bytes{0, 9, 9, 0, 0, 0, 0xd, 0})) << "active high, level";
}

// What iasl, the reference disassembler, makes of a table.
std::string disassemble(const Bytes& table) {
  const auto folder =
      std::filesystem::temp_directory_path() / fmt::format("husk-acpi-{}", ::getpid());
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "t.aml", std::ios::binary)
      .write(reinterpret_cast<const char*>(table.data()),
             static_cast<std::streamsize>(table.size()));
  const std::string command =
      fmt::format("cd {} && iasl -d t.aml > log 2>&1 && cat log >> t.dsl", folder.string());
  EXPECT_EQ(std::system(command.c_str()), 0);
  std::ifstream file(folder / "t.dsl");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  std::filesystem::remove_all(folder);
  return text;
}

class Iasl : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("iasl -v > /dev/null 2>&1") != 0)
      GTEST_SKIP() << "iasl (acpica-tools) is not installed";
  }
};

TEST_F(Iasl, ReadsTheDevices) {
  AcpiConfig config = board();
  config.virtio.push_back({0x8000000000, 0x1000, 23});
  const std::string text = disassemble(dsdt(config));
  EXPECT_THAT(text, Not(HasSubstr("rror"))) << text;
  EXPECT_THAT(text, HasSubstr("Name (_HID, \"LNRO0005\")"));
  EXPECT_THAT(text, HasSubstr("EisaId (\"PNP0501\")"));
  EXPECT_THAT(text, HasSubstr("EisaId (\"PNP0B00\")"));
  EXPECT_THAT(text, HasSubstr("Memory32Fixed (ReadWrite,\n                    0xD0001000,"));
  EXPECT_THAT(
      text,
      HasSubstr(
          "QWordMemory (ResourceConsumer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite"));
  EXPECT_THAT(text, HasSubstr("0x0000008000000FFF"));
  EXPECT_THAT(text, HasSubstr("Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive"));
  EXPECT_THAT(text, HasSubstr("Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive"));
  EXPECT_THAT(text, HasSubstr("IO (Decode16,\n                    0x03F8"));
  EXPECT_THAT(text, HasSubstr("Name (\\_S5, Package (0x04)"));
}

TEST_F(Iasl, ReadsTheGenerationIdAndWhoTellsOfIt) {
  AcpiConfig config = board();
  const std::string text = disassemble(dsdt(config));
  EXPECT_THAT(text, HasSubstr("Name (_CID, \"VM_Gen_Counter\")"));
  EXPECT_THAT(text,
              ContainsRegex("Name \\(ADDR, Package \\(0x02\\)[^}]*0x000DF010,[^}]*One[^}]*\\}"));
  EXPECT_THAT(text, HasSubstr("Name (_HID, \"ACPI0013\""));
  EXPECT_THAT(text, ContainsRegex(
                        "Method \\(_EVT, 1, NotSerialized\\)[^}]*Notify \\(\\\\_SB.VGEN, 0x80\\)"));
  config.vm_generation_gsi = 0;
  EXPECT_THAT(disassemble(dsdt(config)), Not(HasSubstr("Gen_Counter")));
}

// Lengths beyond 4095 and 63 bytes have other encodings.
TEST_F(Iasl, ReadsAsManyDevicesAsWanted) {
  for (const size_t count : {size_t{0}, size_t{80}, size_t{1000}}) {
    AcpiConfig config = board();
    config.virtio.assign(count, {0xd0000000, 0x1000, 16});
    const std::string text = disassemble(dsdt(config));
    EXPECT_THAT(text, Not(HasSubstr("rror"))) << count;
    EXPECT_THAT(text, HasSubstr("Device (RTC)")) << count;
    EXPECT_EQ(text.find("Device (V000)") != std::string::npos, count != 0);
    if (count != 0) {
      EXPECT_THAT(text, HasSubstr(fmt::format("Device (V{:03X})", count - 1)));
    }
  }
}

TEST_F(Iasl, ReadsTheFixedHardware) {
  const std::string text = disassemble(fadt(board(), 0xe0040, 0xe0080));
  EXPECT_THAT(text, Not(HasSubstr("nvalid"))) << text;
  EXPECT_THAT(text, HasSubstr("SCI Interrupt : 0009"));
  EXPECT_THAT(text, HasSubstr("Hardware Reduced (V5) : 0"));
  EXPECT_THAT(text, HasSubstr("PM1A Event Block Address : 00000600"));
  EXPECT_THAT(text, HasSubstr("PM Timer Block Address : 00000608"));
  EXPECT_THAT(text, HasSubstr("8042 Present on ports 60/64 (V2) : 0"));
  EXPECT_THAT(text, HasSubstr("VGA Not Present (V4) : 1"));
  EXPECT_THAT(text, HasSubstr("Reset Register Supported (V2) : 1"));
  EXPECT_THAT(text, HasSubstr("Value to cause reset : 06"));
}

TEST_F(Iasl, ReadsProcessorsAndControllers) {
  AcpiConfig config = board();
  config.vcpus = 256;
  const std::string text = disassemble(madt(config));
  EXPECT_THAT(text, Not(HasSubstr("nknown"))) << text;
  EXPECT_THAT(text, HasSubstr("Local Apic ID : FE"));
  EXPECT_THAT(text, HasSubstr("Processor x2Apic ID : 000000FF"));
  EXPECT_THAT(text, HasSubstr("[I/O APIC]"));
  EXPECT_THAT(text, HasSubstr("Interrupt Input LINT : 01"));
}

}  // namespace
}  // namespace husk::boot
