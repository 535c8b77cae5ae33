// A program of a machine that is moved: `live STOP-FILE` runs until that file is there. Two threads
// keep every XMM register and the whole x87 stack full of values of theirs for a while at a time,
// in which no instruction touches them, and look at them then; a third one sleeps by the clock and
// counts how late it was woken. `live now` prints the time of day and that of the monotonic clock,
// in nanoseconds.
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>
#include <thread>

namespace {

constexpr uint64_t kSpins = 20'000'000;
constexpr int64_t kMillisecond = 1'000'000, kSecond = 1'000 * kMillisecond;

std::atomic<bool> stopping{false};
std::array<std::atomic<uint64_t>, 2> rounds;

int64_t now(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return time.tv_sec * kSecond + time.tv_nsec;
}

struct Values {
  uint64_t xmm[16][2] = {};
  long double x87[8] = {};
};
static_assert(sizeof(long double) == 16 && sizeof(Values::xmm) == 256);

// In, the spinning, and out again are one statement: the compiler has no word in between.
void hold(const Values& in, Values& out) {
  uint64_t spins = kSpins;
  asm volatile(
      ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
      "  movups \\n*16(%[in]), %%xmm\\n\n"
      ".endr\n"
      ".irp n,0,1,2,3,4,5,6,7\n"
      "  fldt 256+\\n*16(%[in])\n"
      ".endr\n"
      "1: dec %[spins]\n"
      "  jnz 1b\n"
      ".irp n,7,6,5,4,3,2,1,0\n"
      "  fstpt 256+\\n*16(%[out])\n"
      ".endr\n"
      ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
      "  movups %%xmm\\n, \\n*16(%[out])\n"
      ".endr\n"
      : [spins] "+r"(spins)
      : [in] "r"(&in), [out] "r"(&out)
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
        "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "st", "st(1)", "st(2)",
        "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
}

Values values_of(uint64_t thread, uint64_t round) {
  Values values;
  for (uint64_t i = 0; i < 16; ++i) {
    values.xmm[i][0] = (round * 32 + i + 1) * 0x9e3779b97f4a7c15 ^ thread;
    values.xmm[i][1] = ~values.xmm[i][0];
  }
  // 64 bits of a fraction, which no double has room for.
  for (uint64_t i = 0; i < 8; ++i)
    values.x87[i] = static_cast<long double>(values.xmm[i][0] | 1) * (i % 2 != 0 ? -1 : 1);
  return values;
}

void keep(uint64_t thread) {
  for (uint64_t round = 1; !stopping; ++round) {
    const Values in = values_of(thread, round);
    Values out;
    hold(in, out);
    if (std::memcmp(in.xmm, out.xmm, sizeof(in.xmm)) != 0) {
      std::printf("live: thread %lu, round %lu: XMM registers have changed\n", thread, round);
      std::exit(3);
    }
    for (size_t i = 0; i < 8; ++i) {
      if (in.x87[i] == out.x87[i]) continue;
      std::printf("live: thread %lu, round %lu: x87 register %zu has changed\n", thread, round, i);
      std::exit(4);
    }
    ++rounds[thread];
  }
}

// How late the worst of many wake-ups was, until the file is there.
int64_t sleep_until(const char* stop_file) {
  int64_t worst = 0;
  while (access(stop_file, F_OK) != 0) {
    const int64_t due = now(CLOCK_MONOTONIC) + 100 * kMillisecond;
    const timespec until{due / kSecond, due % kSecond};
    const int slept = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
    const int64_t late = now(CLOCK_MONOTONIC) - due;
    if (slept != 0 || late < 0) {
      std::puts("live: woken early");
      std::exit(5);
    }
    if (late > worst) worst = late;
  }
  return worst;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return 2;
  if (std::string_view(arguments[1]) == "now") {
    std::printf("%ld %ld\n", now(CLOCK_REALTIME), now(CLOCK_MONOTONIC));
    return 0;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::jthread first(keep, 0), second(keep, 1);
  std::puts("live: started");
  const int64_t worst = sleep_until(arguments[1]);
  stopping = true;
  first.join();
  second.join();
  std::printf("live: worst wake-up %ld ms late\n", worst / kMillisecond);
  if (rounds[0] < 2 || rounds[1] < 2) return 6;
  std::puts("live: all registers kept");
  return worst < 5 * kSecond ? 0 : 7;
}
