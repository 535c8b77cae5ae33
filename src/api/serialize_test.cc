#include "husk/serialize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace husk {
namespace {

namespace exits = machine::exits;

template <class T>
void expect_round_trip(const T& value) {
  const auto text = to_json(value);
  ASSERT_TRUE(text) << text.error().message();
  const auto back = from_json<T>(*text);
  ASSERT_TRUE(back) << *text << "\n" << back.error().message();
  EXPECT_EQ(*back, value) << *text;
}

template <class T>
std::string refusal(std::string_view text) {
  const auto result = from_json<T>(text);
  if (result) return "accepted";
  return result.error().message();
}

VmSnapshot sample() {
  Registers regs;
  regs.rax = ~uint64_t{0};
  regs.r15 = 15;
  regs.rflags = 2;
  Arm64Registers arm;
  arm.x[30] = 30;
  arm.v[31] = {1, ~uint64_t{0}};
  VmSnapshot snapshot;
  snapshot.version = ~0u;
  snapshot.vcpus = {VcpuSnapshot::new_x86(0, regs), VcpuSnapshot::new_arm64(1, arm),
                    VcpuSnapshot()};
  snapshot.vcpus[0].extra_state = {std::byte{0}, std::byte{255}};
  snapshot.devices = {{VirtioDeviceType::kGpu, "gpu \"0\"\n", {std::byte{7}}}, {}};
  snapshot.memory_regions = {{uint64_t{1} << 63, 4096, true, 12}};
  snapshot.total_memory = ~uint64_t{0};
  snapshot.compressed = true;
  snapshot.compression = "zstd";
  snapshot.parent_id = "caf\xc3\xa9";
  return snapshot;
}

TEST(Serialize, EveryTypeComesBackAsItWas) {
  expect_round_trip(CpuArch::kAarch64);
  expect_round_trip(host::PlatformCapabilities{
      {CpuArch::kAarch64, CpuArch::kX86_64}, 64, ~uint64_t{0}, true, true});
  expect_round_trip(Registers{.rax = 1, .rip = ~uint64_t{0}});
  expect_round_trip(Arm64Registers{.sp = 1});
  expect_round_trip(VirtioDeviceType::kGpu);
  expect_round_trip(VirtioDeviceConfig::filesystem("/srv", "data", true));
  expect_round_trip(VirtioDeviceConfig::network_with_mac("02:00:00:00:00:01"));
  expect_round_trip(BalloonStats{1, 2, 3});
  expect_round_trip(DirtyPageInfo{4096, 4096});
  expect_round_trip(MemoryRegionSnapshot{1, 2, true, 3});
  expect_round_trip(sample());
  expect_round_trip(VmSnapshot());
}

TEST(Serialize, EveryExitComesBackAsItWas) {
  const machine::VcpuExit all[] = {
      exits::Halt{},
      exits::IoOut{0xffff, 4, ~uint64_t{0}},
      exits::IoIn{1, 2},
      exits::MmioRead{~uint64_t{0}, 8},
      exits::MmioWrite{3, 1, 4},
      exits::Hypercall{9, {1, 2, 3, 4, 5, ~uint64_t{0}}},
      exits::SystemReset{},
      exits::Shutdown{},
      exits::Debug{},
      exits::Unknown{INT32_MIN},
  };
  for (const auto& exit : all) expect_round_trip(exit);
}

TEST(Serialize, TheFormIsFixed) {
  EXPECT_EQ(to_json(CpuArch::kX86_64), "\"X86_64\"");
  EXPECT_EQ(to_json(BalloonStats{1, 2, 3}),
            R"({"target_bytes":1,"current_bytes":2,"configured_bytes":3})");
  EXPECT_EQ(
      to_json(VirtioDeviceConfig::block("/a", true)),
      R"({"device_type":"Block","config":[],"path":"/a","read_only":true,"tag":null,"mac_address":null})");
  EXPECT_EQ(to_json(machine::VcpuExit(exits::Halt{})), "\"Halt\"");
  EXPECT_EQ(to_json(machine::VcpuExit(exits::IoIn{96, 1})), R"({"IoIn":{"port":96,"size":1}})");
}

TEST(Serialize, ADescriptorIsNeverWrittenNorRead) {
  const auto text = to_json(VirtioDeviceConfig::network_file_handle(3));
  ASSERT_TRUE(text);
  EXPECT_THAT(*text, ::testing::Not(::testing::HasSubstr("fd")));
  const auto back = from_json<VirtioDeviceConfig>(
      R"({"device_type":"Net","config":[],"read_only":false,"net_fd":3})");
  ASSERT_TRUE(back);
  EXPECT_EQ(back->net_fd, std::nullopt);
}

TEST(Serialize, UnknownFieldsAndAbsentOptionalsAreFine) {
  const auto config = from_json<VirtioDeviceConfig>(
      R"({"device_type":"Rng","config":[1],"read_only":false,"new":{}})");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->config, std::vector{std::byte{1}});
}

TEST(Serialize, RefusalsNameTheField) {
  EXPECT_EQ(refusal<BalloonStats>(R"({"target_bytes":1,"current_bytes":2})"),
            "configured_bytes: is missing");
  EXPECT_EQ(refusal<DirtyPageInfo>(R"({"guest_addr":-1,"size":1})"), "guest_addr: is out of range");
  EXPECT_EQ(refusal<DirtyPageInfo>(R"({"guest_addr":1.5,"size":1})"),
            "guest_addr: is not an integer");
  EXPECT_EQ(refusal<DirtyPageInfo>(R"({"guest_addr":18446744073709551616,"size":1})"),
            "guest_addr: is not an integer");
  EXPECT_EQ(refusal<DirtyPageInfo>(R"({"guest_addr":"1","size":1})"),
            "guest_addr: is not an integer");
  EXPECT_EQ(
      refusal<MemoryRegionSnapshot>(R"({"guest_addr":1,"size":1,"read_only":1,"file_offset":0})"),
      "read_only: is not true or false");
  EXPECT_EQ(refusal<DeviceSnapshot>(R"({"device_type":"Disk","name":"a","state":[]})"),
            "device_type: is not a known name");
  EXPECT_EQ(refusal<DeviceSnapshot>(R"({"device_type":"Net","name":null,"state":[]})"),
            "name: is not a string");
  EXPECT_EQ(refusal<DeviceSnapshot>(R"({"device_type":"Net","name":"","state":[1,256]})"),
            "state[1]: is out of range");
  EXPECT_EQ(refusal<DeviceSnapshot>(R"({"device_type":"Net","name":"","state":"AA=="})"),
            "state: is not a list");
}

TEST(Serialize, RefusalsNameThePath) {
  auto text = *to_json(sample());
  const auto replace = [&](std::string_view from, std::string_view to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return refusal<VmSnapshot>(changed);
  };
  EXPECT_EQ(replace("\"rax\":18446744073709551615", "\"rax\":true"),
            "vcpus[0].x86_regs.rax: is not an integer");
  EXPECT_EQ(replace("\"x\":[0,", "\"x\":["), "vcpus[1].arm64_regs.x: does not have 31 elements");
  EXPECT_EQ(replace("[1,18446744073709551615]", "[1]"),
            "vcpus[1].arm64_regs.v[31]: does not have 2 elements");
}

TEST(Serialize, RefusesExitsThatAreNone) {
  using machine::VcpuExit;
  EXPECT_EQ(refusal<VcpuExit>("\"IoIn\""), "is not an exit");
  EXPECT_EQ(refusal<VcpuExit>(R"({"Halt":{}})"), "is not an exit");
  EXPECT_EQ(refusal<VcpuExit>("\"Reboot\""), "is not a known name");
  EXPECT_EQ(refusal<VcpuExit>("{}"), "does not have exactly one member");
  EXPECT_EQ(refusal<VcpuExit>(R"({"Debug":1,"Halt":1})"), "does not have exactly one member");
  EXPECT_EQ(refusal<VcpuExit>(R"({"IoIn":{"port":65536,"size":1}})"), "IoIn.port: is out of range");
  EXPECT_EQ(refusal<VcpuExit>("3"), "is not a name");
}

TEST(Serialize, RefusesWhatIsNotJson) {
  for (const char* text : {"", "{", "nul", "{}x", "{\"a\":}", "[1,]", "\"\xff\"", "'a'"}) {
    EXPECT_EQ(refusal<Registers>(text), "JSON: is malformed") << text;
  }
  EXPECT_EQ(refusal<Registers>("[]"), "is not an object");
}

TEST(Serialize, BoundsSizeAndDepth) {
  EXPECT_EQ(from_json<Registers>(std::string((16 << 20) + 1, ' ')).error().kind, ErrorKind::kLimit);
  EXPECT_EQ(refusal<Registers>(std::string(1 << 20, '[')), "JSON: is nested too deeply");
  EXPECT_EQ(refusal<Registers>("\"" + std::string(100, '[') + "\""), "is not an object")
      << "not in a string";
  EXPECT_EQ(refusal<Registers>("\"\\\"" + std::string(100, '[') + "\""), "is not an object");
}

TEST(Serialize, RefusesToWriteWhatIsNotText) {
  EXPECT_EQ(to_json(VirtioDeviceConfig::block("/\xff", false)).error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace husk
