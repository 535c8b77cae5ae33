// The tool itself: that the host agrees with itself, that cases are what the tables say, that
// faults of an engine are found and made small.
#include <Zydis/Zydis.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>

#include "cpu_diff/broken_engine.h"
#include "cpu_diff/form.h"
#include "cpu_diff/generate.h"
#include "cpu_diff/native_engine.h"
#include "cpu_diff/session.h"
#include "cpu_diff/shrink.h"

namespace husk::cpu_diff {
namespace {

constexpr uint64_t kCases = 20'000;

Engine& native() {
  static const std::unique_ptr<Engine> engine = [] {
    auto created = create_native_engine();
    return created ? std::move(*created) : nullptr;
  }();
  return *engine;
}

SessionOptions options() {
  SessionOptions result;
  result.count = kCases;
  result.generator.segment_bases = native().has_segment_bases();
  return result;
}

SessionResult run_broken(const BrokenEngine::Fault& fault) {
  BrokenEngine broken(native(), fault);
  SessionOptions limited = options();
  limited.most_failures = 1;
  return run_session(native(), broken, limited);
}

TEST(CpuDiff, HostAgreesWithItself) {
  SessionOptions everything = options();
  everything.compare.undefined_flags = true;
  const SessionResult result = run_session(native(), native(), everything);
  EXPECT_EQ(result.cases, kCases);
  for (const Failure& failure : result.failures) ADD_FAILURE() << failure.report;
}

TEST(CpuDiff, CasesFaultAtTimes) {
  const SessionResult result = run_session(native(), native(), options());
  EXPECT_GT(result.faults, kCases / 20);
  EXPECT_LT(result.faults, kCases / 3);
}

TEST(CpuDiff, ReachesEveryExceptionOfUserMode) {
  std::set<int> vectors;
  CpuCase test;
  CpuOutcome outcome;
  for (uint64_t index = 0; index < kCases; ++index) {
    generate(options().generator, index, test);
    native().run(test, outcome);
    vectors.insert(outcome.vector);
  }
  // #DE #DB #BP #UD #SS #GP #PF #MF #XM
  EXPECT_THAT(vectors, testing::IsSupersetOf({0, 1, 3, 6, 12, 13, 14, 16, 19}));
}

// Whole blocks have what makes them blocks.
TEST(CpuDiff, LongCasesLoopRewriteThemselvesAndLackRights) {
  GeneratorOptions blocks = options().generator;
  blocks.longest = CpuCase::kMaxInsns;
  constexpr uint32_t kWriteToReadOnly = 7;
  uint32_t loops = 0;
  uint32_t rewritten = 0;
  uint32_t refused = 0;
  CpuCase test;
  CpuOutcome outcome;
  for (uint64_t index = 0; index < kCases; ++index) {
    generate(blocks, index, test);
    native().run(test, outcome);
    for (uint8_t i = 0; i < test.insn_count; ++i) {
      const uint8_t* code = &test.code[test.insns[i].offset];
      if (code[0] == 0xe2 && code[1] >= 0x80) ++loops;
    }
    if (test.writes_code) ++rewritten;
    if (outcome.vector == kVectorPageFault && outcome.error == kWriteToReadOnly) ++refused;
  }
  EXPECT_GT(loops, 10u);
  EXPECT_GT(rewritten, 10u);
  EXPECT_GT(refused, 10u);
}

TEST(CpuDiff, SameSeedAndIndexGiveTheSameCase) {
  CpuCase first, again;
  for (uint64_t index = 0; index < 200; ++index) {
    generate(options().generator, index, first);
    generate(options().generator, index, again);
    EXPECT_EQ(first.code, again.code);
    EXPECT_EQ(first.start.gpr, again.start.gpr);
    EXPECT_EQ(first.data, again.data);
  }
  generate(options().generator, 1, again);
  EXPECT_NE(first.start.gpr, again.start.gpr);
}

// Zydis finds the same instruction boundaries; what it does not know is #UD here.
TEST(CpuDiff, CasesAreWellFormed) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  CpuCase test;
  CpuOutcome outcome;
  for (uint64_t index = 0; index < kCases; ++index) {
    generate(options().generator, index, test);
    ASSERT_GT(test.insn_count, 0);
    for (uint8_t i = 0; i < test.insn_count; ++i) {
      const CaseInsn& insn = test.insns[i];
      ZydisDecodedInstruction decoded;
      const auto status = ZydisDecoderDecodeInstruction(&decoder, nullptr, &test.code[insn.offset],
                                                        insn.length, &decoded);
      if (ZYAN_SUCCESS(status)) {
        EXPECT_EQ(decoded.length, insn.length) << options().generator.seed << ":" << index;
        continue;
      }
      native().run(test, outcome);
      const bool reached = outcome.state.rip == test.start.rip + insn.offset;
      EXPECT_TRUE(!reached || outcome.vector != kVectorBreakpoint)
          << options().generator.seed << ":" << index;
    }
  }
}

TEST(CpuDiff, EveryNameInTheTablesMakesCases) {
  const FormTables& tables = form_tables();
  std::set<std::string> names;
  for (const auto* table : {&tables.integer, &tables.flow, &tables.sse, &tables.x87}) {
    for (const Form& form : *table) names.insert(form.name);
  }
  EXPECT_GT(names.size(), 350u);
  CpuCase test;
  for (const std::string& name : names) {
    GeneratorOptions only = options().generator;
    only.only = name;
    uint32_t made = 0;
    for (uint64_t index = 0; index < 20; ++index) {
      generate(only, index, test);
      made += test.insn_count;
    }
    EXPECT_GT(made, 0u) << name;
  }
}

TEST(CpuDiff, FindsAWrongFlag) {
  const auto result = run_broken([](const CpuCase&, CpuOutcome& out) {
    if ((out.state.gpr[3] & 0xff) == 0) out.state.rflags ^= kFlagZ;
  });
  EXPECT_EQ(result.failures.size(), 1u);
}

TEST(CpuDiff, FindsALostStore) {
  const auto result =
      run_broken([](const CpuCase& test, CpuOutcome& out) { out.data[kPage] = test.data[kPage]; });
  EXPECT_EQ(result.failures.size(), 1u);
}

TEST(CpuDiff, FindsAFaultThatIsNotPrecise) {
  const auto result = run_broken([](const CpuCase&, CpuOutcome& out) {
    if (out.vector == kVectorPageFault && (out.error & 2) != 0) out.state.gpr[4] -= 8;
  });
  EXPECT_EQ(result.failures.size(), 1u);
}

TEST(CpuDiff, FindsAMissingMxcsrFlag) {
  const auto result = run_broken([](const CpuCase& test, CpuOutcome& out) {
    constexpr uint8_t kInexact = 0x20;
    if ((test.start.fx[24] & kInexact) == 0) out.state.fx[24] &= static_cast<uint8_t>(~kInexact);
  });
  EXPECT_EQ(result.failures.size(), 1u);
}

TEST(CpuDiff, FindsAWrongFaultAddress) {
  const auto result = run_broken([](const CpuCase&, CpuOutcome& out) {
    if (out.address == kDataEnd) out.address -= 1;
  });
  EXPECT_EQ(result.failures.size(), 1u);
}

// A wrong ADD among three NOPs comes out alone, its registers zero but for those that matter.
TEST(CpuDiff, ShrinksToTheInstructionAtFault) {
  CpuCase test;
  generate(options().generator, 0, test);
  const uint8_t code[] = {0x48, 0xff, 0xc1, 0x48, 0x01,
                          0xd0, 0x48, 0xff, 0xc6};  // inc rcx; add rax, rdx; inc rsi
  std::memcpy(test.code.data(), code, sizeof code);
  test.code_length = sizeof code;
  test.insn_count = 3;
  for (uint8_t i = 0; i < 3; ++i) test.insns[i] = {static_cast<uint8_t>(3 * i), 3, 0, kStatusFlags};
  test.start.gpr[0] = 0, test.start.gpr[2] = 5;
  CpuOutcome out;
  const CpuCase small = shrink(test, [&](const CpuCase& candidate) {
    native().run(candidate, out);
    return out.state.gpr[0] == 5;
  });
  EXPECT_EQ(small.code[0], 0x90);
  EXPECT_EQ(small.code[3], 0x48);
  EXPECT_EQ(small.code[6], 0x90);
  EXPECT_EQ(small.start.gpr[2], 5u);
  EXPECT_EQ(small.start.gpr[1], 0u);
}

}  // namespace
}  // namespace husk::cpu_diff
