#include "report.h"

#include "cpu.h"

namespace bare {
namespace {

constexpr uint16_t kCom1 = 0x3f8, kLineStatus = kCom1 + 5, kExitPort = 0xf4;
constexpr uint8_t kReadyToSend = 0x20;
constexpr uint32_t kGood = 0, kBad = 1;

uint32_t planned, made, failed;

void put(char c) {
  while ((in8(kLineStatus) & kReadyToSend) == 0) {
  }
  out8(kCom1, static_cast<uint8_t>(c));
}

[[noreturn]] void leave(uint32_t code) {
  out32(kExitPort, code);
  for (;;) asm volatile("cli; hlt");
}

void result(const char* verdict, const Text& name) {
  ++made;
  Text line;
  line << verdict << " " << name.c_str() << "\n";
  print(line.c_str());
}

}  // namespace

Text& Text::operator<<(char c) {
  if (used_ + 1 < kSize) buffer_[used_++] = c;
  return *this;
}

Text& Text::operator<<(const char* text) {
  while (*text != 0) *this << *text++;
  return *this;
}

Text& Text::operator<<(uint64_t number) {
  *this << "0x";
  int shift = 60;
  while (shift > 0 && (number >> shift & 15) == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) *this << "0123456789abcdef"[number >> shift & 15];
  return *this;
}

Text& Text::operator<<(int number) {
  if (number < 0) *this << '-';
  uint32_t rest = number < 0 ? 0u - static_cast<uint32_t>(number) : static_cast<uint32_t>(number);
  char digits[10];
  int count = 0;
  do {
    digits[count++] = static_cast<char>('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  while (count > 0) *this << digits[--count];
  return *this;
}

void print(const char* text) {
  while (*text != 0) put(*text++);
}

void begin(const char* guest, uint32_t checks) {
  planned = checks;
  Text line;
  line << "guest " << guest << "\nplan " << static_cast<int>(checks) << "\n";
  print(line.c_str());
}

void check(const Text& name, bool good) {
  if (!good) ++failed;
  result(good ? "ok" : "FAIL", name);
}

void check_equal(const Text& name, uint64_t got, uint64_t expected) {
  if (got == expected) return check(name, true);
  Text line = name;
  line << ": got " << got << ", expected " << expected;
  check(line, false);
}

void skip(const Text& name, const char* reason) {
  Text line = name;
  line << ": " << reason;
  result("skip", line);
}

void note_failure(const Text& what) {
  ++failed;
  print("FAIL ");
  print(what.c_str());
  print("\n");
}

void end_checks() {
  Text line;
  line << "end " << static_cast<int>(made) << "\n";
  print(line.c_str());
}

void finish() {
  end_checks();
  leave(failed == 0 && made == planned ? kGood : kBad);
}

void give_up(const Text& why) {
  note_failure(why);
  leave(kBad);
}

}  // namespace bare
