#include "boot/aml.h"

#include <gtest/gtest.h>

#include <string>

namespace husk::boot::aml {
namespace {

// The length that `term` states behind its one-byte opcode (ACPI 6.5, 20.2.4).
size_t stated_length(const Bytes& term) {
  const int more = term[1] >> 6;
  if (more == 0) return term[1] & 0x3f;
  size_t length = term[1] & 0xf;
  for (int i = 0; i < more; ++i) length |= size_t{term[2 + static_cast<size_t>(i)]} << (4 + 8 * i);
  return length;
}

TEST(Aml, LengthsCountThemselves) {
  for (const size_t size : {0, 50, 57, 58, 59, 60, 4000, 4084, 4085, 4086, 4087, 4088, 4089, 5000,
                            70'000, 1'048'560, 1'048'570, 1'048'580})
    EXPECT_EQ(stated_length(scope("\\_SB", {Bytes(size)})),
              scope("\\_SB", {Bytes(size)}).size() - 1)
        << size;
}

TEST(Aml, IntegersTakeAsFewBytesAsTheyCan) {
  EXPECT_EQ(integer(0), (Bytes{0x00}));
  EXPECT_EQ(integer(1), (Bytes{0x01}));
  EXPECT_EQ(integer(0xff), (Bytes{0x0a, 0xff}));
  EXPECT_EQ(integer(0x100), (Bytes{0x0b, 0x00, 0x01}));
  EXPECT_EQ(integer(0x10000), (Bytes{0x0c, 0x00, 0x00, 0x01, 0x00}));
  EXPECT_EQ(integer(uint64_t{1} << 32).size(), 9u);
}

TEST(Aml, NamesAreFilledAndPrefixed) {
  const auto text = [](std::string_view path) {
    const Bytes bytes = name(path, integer(0));
    return std::string(bytes.begin() + 1, bytes.end() - 1);
  };
  EXPECT_EQ(text("_S5"), "_S5_");
  EXPECT_EQ(text("\\_SB"), "\\_SB_");
  EXPECT_EQ(text("^COM1"), "^COM1");
  EXPECT_EQ(text("\\_SB.COM1"), "\\\x2e_SB_COM1");
  EXPECT_EQ(text("\\_SB.A.B"), std::string("\\\x2f\x03_SB_A___B___"));
}

TEST(Aml, EisaIdentifiersAreCompressed) {
  EXPECT_EQ(eisa_id("PNP0501"), (Bytes{0x0c, 0x41, 0xd0, 0x05, 0x01}));
  EXPECT_EQ(eisa_id("PNP0C0E"), (Bytes{0x0c, 0x41, 0xd0, 0x0c, 0x0e}));
}

}  // namespace
}  // namespace husk::boot::aml
