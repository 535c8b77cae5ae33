// Exit codes of `husk`, which are Docker's.
#pragma once

namespace husk::cli {

constexpr int kFailed = 125;  // husk itself could not do it
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;
constexpr int kSignalBase = 128;  // ended by signal n: 128 + n
constexpr int kGuestPanic = 1;    // `husk boot`: the guest's kernel gave up

}  // namespace husk::cli
