#include "contract/aarch64/gic_codec.h"

#include <gtest/gtest.h>

#include <sstream>

namespace husk::contract::aarch64 {
namespace {

constexpr size_t kRegisterBytes = 20;
// Where things are in the bytes of small_state(): version, count, two registers, count, vCPUs.
constexpr size_t kDistributorAt = 8, kVcpuCountAt = kDistributorAt + 2 * kRegisterBytes,
                 kFirstVcpuAt = kVcpuCountAt + 4,
                 kSecondVcpuAt = kFirstVcpuAt + 8 + 4 + kRegisterBytes + 4 + kRegisterBytes;

GicState small_state() {
  GicState state;
  state.distributor = {{1, 0x0, 0x12}, {1, 0x104, 0xffff0000}};
  state.vcpus = {{0x0, {{5, 0x14, 2}}, {{6, 0xc230, 0xf0}}},
                 {0x80000001, {{5, 0x14, 0}, {7, 0x20, 1}}, {{6, 0xc230, 0x8000'0000'0000'00f8}}}};
  return state;
}

std::string written(const GicState& state) {
  std::ostringstream out;
  const auto result = write_gic_state(state, out);
  EXPECT_TRUE(result) << result.error().message();
  return out.str();
}

Result<GicState> read(const std::string& bytes) {
  std::istringstream in(bytes);
  return read_gic_state(in);
}

std::string why(const Result<GicState>& result) {
  return result ? "no error" : result.error().message();
}

std::string why_not_written(const GicState& state) {
  std::ostringstream out;
  const auto result = write_gic_state(state, out);
  EXPECT_TRUE(out.str().empty()) << "refused after bytes were written";
  return result ? "no error" : result.error().message();
}

std::vector<GicRegister> registers(size_t count) {
  std::vector<GicRegister> list(count);
  for (size_t i = 0; i < count; ++i) list[i] = {1, i, i};
  return list;
}

TEST(GicCodec, EveryFieldComesBack) {
  const GicState state = small_state();
  const auto back = read(written(state));
  ASSERT_TRUE(back) << why(back);
  EXPECT_EQ(back->distributor, state.distributor);
  EXPECT_EQ(back->vcpus, state.vcpus);
  EXPECT_EQ(read(written({})).value(), GicState{});
}

TEST(GicCodec, LayoutIsFixed) {
  GicState state;
  state.distributor = {{1, 0x0807060504030201, 0x1122334455667788}};
  state.vcpus = {{3, {}, {}}};
  using namespace std::string_literals;
  EXPECT_EQ(written(state),
            "\1\0\0\0\1\0\0\0\1\0\0\0\1\2\3\4\5\6\7\x08\x88\x77\x66\x55\x44\x33\x22\x11"s
            "\1\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"s);
}

TEST(GicCodec, ConsumesExactlyItsBytes) {
  std::istringstream in(written(small_state()) + "next");
  ASSERT_TRUE(read_gic_state(in));
  std::string rest;
  in >> rest;
  EXPECT_EQ(rest, "next");
}

TEST(GicCodec, RefusesEveryTruncation) {
  const std::string whole = written(small_state());
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto result = read(whole.substr(0, size));
    ASSERT_FALSE(result) << size;
    EXPECT_EQ(result.error().kind, ErrorKind::kCorrupt);
  }
}

TEST(GicCodec, RefusesOtherVersions) {
  std::string bytes = written(small_state());
  bytes[3] = 1;
  EXPECT_EQ(why(read(bytes)), "GIC state: has an unknown version");
}

TEST(GicCodec, RefusesLongLists) {
  constexpr auto kLong = "GIC state: has 4097 registers in a list, more than 4096";
  GicState state;
  state.distributor = registers(kMaxGicRegisters);
  std::string bytes = written(state);
  EXPECT_TRUE(read(bytes)) << why(read(bytes));
  bytes[4] = 1;
  EXPECT_EQ(why(read(bytes)), kLong);
  for (auto* list : {&state.distributor, &state.vcpus.emplace_back().redistributor,
                     &state.vcpus.back().cpu_interface}) {
    state.distributor.clear();
    *list = registers(kMaxGicRegisters + 1);
    EXPECT_EQ(why_not_written(state), kLong);
    list->clear();
  }
}

TEST(GicCodec, RefusesTooManyVcpus) {
  constexpr auto kMany = "GIC state: has 513 vCPUs, more than 512";
  GicState state;
  for (uint64_t i = 0; i < kMaxGicVcpus; ++i) state.vcpus.push_back({i, {}, {}});
  std::string bytes = written(state);
  EXPECT_TRUE(read(bytes)) << why(read(bytes));
  bytes[8] = 1;
  EXPECT_EQ(why(read(bytes)), kMany);
  state.vcpus.push_back({kMaxGicVcpus, {}, {}});
  EXPECT_EQ(why_not_written(state), kMany);
}

TEST(GicCodec, RefusesRegistersOutOfOrderOrTwice) {
  constexpr auto kSwapped = "GIC state: has register 1:0x0 after 2:0x0";
  std::string bytes = written(small_state());
  bytes[kDistributorAt] = 2;
  bytes[kDistributorAt + kRegisterBytes + 4] = 0;
  bytes[kDistributorAt + kRegisterBytes + 5] = 0;
  EXPECT_EQ(why(read(bytes)), kSwapped);
  bytes[kDistributorAt] = 1;
  EXPECT_EQ(why(read(bytes)), "GIC state: has register 1:0x0 after 1:0x0");
  GicState state = small_state();
  for (auto* list : {&state.vcpus[0].redistributor, &state.vcpus[1].cpu_interface}) {
    const auto good = *list;
    *list = {{2, 0, 0}, {1, 0, 0}};
    EXPECT_EQ(why_not_written(state), kSwapped);
    *list = good;
  }
}

TEST(GicCodec, RefusesVcpusOutOfOrderOrTwice) {
  GicState state = small_state();
  std::swap(state.vcpus[0], state.vcpus[1]);
  EXPECT_EQ(why_not_written(state), "GIC state: has vCPU 0x0 after 0x80000001");
  std::string bytes = written(small_state());
  bytes[kFirstVcpuAt] = 2;
  bytes[kFirstVcpuAt + 3] = static_cast<char>(0x80);
  EXPECT_EQ(why(read(bytes)), "GIC state: has vCPU 0x80000001 after 0x80000002");
  bytes[kSecondVcpuAt] = 2;
  EXPECT_EQ(why(read(bytes)), "GIC state: has vCPU 0x80000002 after 0x80000002");
}

TEST(GicCodec, ALengthAloneTakesNoMemory) {
  using namespace std::string_literals;
  EXPECT_EQ(why(read("\1\0\0\0\0\x10\0\0"s)), "GIC state: ends early");
  EXPECT_EQ(why(read("\1\0\0\0\0\0\0\0\0\2\0\0"s)), "GIC state: ends early");
}

TEST(GicCodec, ReportsAStreamThatTakesNothing) {
  std::ostringstream out;
  out.setstate(std::ios::badbit);
  const auto result = write_gic_state({}, out);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kIo);
}

}  // namespace
}  // namespace husk::contract::aarch64
