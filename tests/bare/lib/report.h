// What a guest says: one line for each check on COM1, and at the end its exit code on port 0xf4.
//
// The runner wants "plan N" first, then N lines that begin with "ok" or "skip", then "end N". N is
// a constant of the guest's, so a guest that stops early or leaves a check out does not pass.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace bare {

// A line in the making. What does not fit is cut off.
class Text {
 public:
  Text() = default;
  Text(const char* start) { *this << start; }  // NOLINT(google-explicit-constructor)
  Text& operator<<(const char* text);
  Text& operator<<(char c);
  Text& operator<<(uint64_t number);  // hexadecimal, the way that error codes are read
  Text& operator<<(uint32_t number) { return *this << uint64_t{number}; }
  Text& operator<<(int number);  // decimal
  [[nodiscard]] const char* c_str() const { return buffer_; }

 private:
  static constexpr size_t kSize = 240;
  size_t used_ = 0;
  char buffer_[kSize] = {};
};

void print(const char* text);

void begin(const char* guest, uint32_t planned);
void check(const Text& name, bool good);
void check_equal(const Text& name, uint64_t got, uint64_t expected);
// A check that this CPU offers no way to make.
void skip(const Text& name, const char* reason);
// A failure beside the plan's checks.
void note_failure(const Text& what);
// The line that says how many checks there were; finish() writes it and ends the machine.
void end_checks();
[[noreturn]] void finish();
// For what leaves no way to go on.
[[noreturn]] void give_up(const Text& why);

}  // namespace bare
