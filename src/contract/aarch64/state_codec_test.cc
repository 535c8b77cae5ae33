#include "contract/aarch64/state_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace husk::contract::aarch64 {
namespace {

constexpr uint64_t kU32 = 0x6020'0000'0000'0000, kU64 = 0x6030'0000'0000'0000,
                   kU128 = 0x6040'0000'0000'0000, kU2048 = 0x6080'0000'0000'0000;
// Where things are in the bytes: version, count, 34 words, fpcr, fpsr, 32 vectors, MPIDR, power,
// the counter's frequency, SError.
constexpr size_t kCountAt = 4, kPowerAt = 8 + 34 * 8 + 8 + 32 * 16 + 8,
                 kRegistersAt = kPowerAt + 1 + 8 + 6;

Register reg(uint64_t id, uint8_t fill) {
  return {id, std::vector<std::byte>(register_size(id), std::byte{fill})};
}

// No two fields alike, so that a swap shows.
VcpuState distinct_state() {
  VcpuState state;
  uint64_t next = 0x0102'0304'0506'0700;
  for (uint64_t& value : state.x) value = ++next;
  state.sp = ++next;
  state.pc = ++next;
  state.pstate = ++next;
  state.fpcr = 0x0300'0001;
  state.fpsr = 0x0800'001f;
  for (Vector& vector : state.v) vector = {next += 3, ~next};
  state.mpidr = 0x80'0003'0201;
  state.power = Power::kOff;
  state.counter_hertz = ++next;
  state.serror = {.pending = true, .has_syndrome = false, .syndrome = 0x12'3456};
  state.registers = {reg(kU32 + 1, 1), reg(kU64 + 1, 2), reg(kU128 + 7, 3), reg(kU2048, 4)};
  return state;
}

std::string written(const VcpuState& state) {
  std::ostringstream out;
  const auto result = write_state(state, out);
  EXPECT_TRUE(result) << result.error().message();
  return out.str();
}

Result<VcpuState> read(const std::string& bytes) {
  std::istringstream in(bytes);
  return read_state(in);
}

std::string why(const Result<VcpuState>& result) {
  return result ? "no error" : result.error().message();
}

std::string why_not_written(const VcpuState& state) {
  std::ostringstream out;
  const auto result = write_state(state, out);
  EXPECT_TRUE(out.str().empty()) << "refused after bytes were written";
  return result ? "no error" : result.error().message();
}

TEST(Aarch64StateCodec, EveryFieldComesBack) {
  const VcpuState state = distinct_state();
  const auto back = read(written(state));
  ASSERT_TRUE(back) << why(back);
  EXPECT_EQ(back->x, state.x);
  EXPECT_EQ(back->sp, state.sp);
  EXPECT_EQ(back->pc, state.pc);
  EXPECT_EQ(back->pstate, state.pstate);
  EXPECT_EQ(back->fpcr, state.fpcr);
  EXPECT_EQ(back->fpsr, state.fpsr);
  EXPECT_EQ(back->v, state.v);
  EXPECT_EQ(back->mpidr, state.mpidr);
  EXPECT_EQ(back->power, state.power);
  EXPECT_EQ(back->counter_hertz, state.counter_hertz);
  EXPECT_EQ(back->serror, state.serror);
  EXPECT_EQ(back->registers, state.registers);
}

TEST(Aarch64StateCodec, LayoutIsFixed) {
  VcpuState state;
  state.x[0] = 0x1122334455667788;
  state.counter_hertz = 62'500'000;
  state.serror = {.pending = true, .has_syndrome = true, .syndrome = 0x0102};
  state.registers = {{kU32 + 0x42, {std::byte{0xaa}, std::byte{0xbb}, std::byte{0}, std::byte{0}}}};
  const std::string bytes = written(state);
  using namespace std::string_literals;
  EXPECT_EQ(bytes.substr(0, 16), "\2\0\0\0\1\0\0\0\x88\x77\x66\x55\x44\x33\x22\x11"s);
  EXPECT_EQ(bytes.substr(kPowerAt, kRegistersAt - kPowerAt),
            "\1\xa0\xac\xb9\3\0\0\0\0\1\1\2\1\0\0"s);
  EXPECT_EQ(bytes.substr(kRegistersAt), "\x42\0\0\0\0\0\x20\x60\xaa\xbb\0\0"s);
}

TEST(Aarch64StateCodec, ConsumesExactlyItsBytes) {
  std::istringstream in(written(distinct_state()) + "next");
  ASSERT_TRUE(read_state(in));
  std::string rest;
  in >> rest;
  EXPECT_EQ(rest, "next");
}

TEST(Aarch64StateCodec, RefusesEveryTruncation) {
  const std::string whole = written(distinct_state());
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto result = read(whole.substr(0, size));
    ASSERT_FALSE(result) << size;
    EXPECT_EQ(result.error().kind, ErrorKind::kCorrupt);
  }
}

TEST(Aarch64StateCodec, RefusesOtherVersions) {
  std::string bytes = written(distinct_state());
  for (const char version : {1, 3}) {
    bytes[0] = version;
    EXPECT_EQ(why(read(bytes)), "vCPU state: has an unknown version");
  }
}

TEST(Aarch64StateCodec, RefusesTooManyRegisters) {
  VcpuState state;
  for (uint64_t i = 0; i < kMaxRegisters; ++i) state.registers.push_back(reg(kU32 + i, 0));
  std::string bytes = written(state);
  EXPECT_TRUE(read(bytes)) << why(read(bytes));
  bytes[kCountAt] = 1;
  EXPECT_EQ(why(read(bytes)), "vCPU state: has 4097 registers, more than 4096");
  state.registers.push_back(reg(kU64, 0));
  EXPECT_EQ(why_not_written(state), "vCPU state: has 4097 registers, more than 4096");
}

TEST(Aarch64StateCodec, RefusesUnknownPower) {
  std::string bytes = written(distinct_state());
  ASSERT_EQ(bytes[kPowerAt], 0);
  bytes[kPowerAt] = 2;
  EXPECT_EQ(why(read(bytes)), "vCPU state: has power state 2");
  VcpuState state;
  state.power = static_cast<Power>(7);
  EXPECT_EQ(why_not_written(state), "vCPU state: has power state 7");
}

TEST(Aarch64StateCodec, RefusesFlagsOfAnotherForm) {
  VcpuState state;
  const std::string without = written(state);
  state.serror.pending = true;
  std::string bytes = written(state);
  const auto flag = static_cast<size_t>(
      std::mismatch(bytes.begin(), bytes.end(), without.begin()).first - bytes.begin());
  ASSERT_LT(flag, bytes.size());
  ASSERT_TRUE(read(bytes));
  bytes[flag] = 2;
  EXPECT_THAT(why(read(bytes)), testing::HasSubstr("neither 0 nor 1"));
}

TEST(Aarch64StateCodec, RefusesRegistersOutOfOrderOrTwice) {
  VcpuState state;
  state.registers = {reg(kU32 + 2, 0), reg(kU32 + 1, 0)};
  constexpr auto kSwapped = "vCPU state: has register 0x6020000000000001 after 0x6020000000000002";
  EXPECT_EQ(why_not_written(state), kSwapped);
  state.registers = {reg(kU32 + 2, 0), reg(kU32 + 3, 0)};
  std::string bytes = written(state);
  bytes[kRegistersAt + 12] = 1;
  EXPECT_EQ(why(read(bytes)), kSwapped);
  bytes[kRegistersAt + 12] = 2;
  EXPECT_FALSE(read(bytes)) << "the same twice";
}

TEST(Aarch64StateCodec, RefusesLongRegisters) {
  constexpr uint64_t kU4096 = 0x6090'0000'0000'0000;
  constexpr auto kLong = "vCPU state: has register 0x6090000000000000 of 512 bytes";
  VcpuState state;
  state.registers = {reg(kU4096, 0)};
  EXPECT_EQ(why_not_written(state), kLong);
  state.registers = {reg(kU2048, 0)};
  std::string bytes = written(state);
  bytes[kRegistersAt + 6] = static_cast<char>(0x90);
  bytes.append(1024, '\0');
  EXPECT_EQ(why(read(bytes)), kLong);
}

TEST(Aarch64StateCodec, RefusesToWriteAValueOfTheWrongLength) {
  VcpuState state;
  state.registers = {reg(kU64, 0)};
  state.registers[0].value.pop_back();
  EXPECT_EQ(why_not_written(state), "vCPU state: has 7 bytes for register 0x6030000000000000 of 8");
}

TEST(Aarch64StateCodec, ReportsAStreamThatTakesNothing) {
  std::ostringstream out;
  out.setstate(std::ios::badbit);
  const auto result = write_state({}, out);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kIo);
}

TEST(Aarch64StateCodec, SizesComeFromIds) {
  EXPECT_EQ(register_size(0x6000'0000'0000'0000), 1u);
  EXPECT_EQ(register_size(kU32), 4u);
  EXPECT_EQ(register_size(0x6030'0000'0010'0042), 8u);
  EXPECT_EQ(register_size(kU128), 16u);
  EXPECT_EQ(register_size(kU2048), kMaxRegisterSize);
}

}  // namespace
}  // namespace husk::contract::aarch64
