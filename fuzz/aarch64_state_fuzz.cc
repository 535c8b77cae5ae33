// A saved aarch64 vCPU or GIC as an attacker would write it.
//
// Input: byte 0 chooses which, the rest is the file. Property: no crash, and what is accepted is
// written again as exactly the bytes that were read, so that nothing has two forms and nothing is
// read over.
#include <sstream>
#include <string>

#include "contract/aarch64/gic_codec.h"
#include "contract/aarch64/state_codec.h"
#include "input.h"

namespace {

using namespace husk::contract::aarch64;  // NOLINT(google-build-using-namespace): what is fuzzed
using husk::fuzz::require;

template <class Read, class Write>
void check(const std::string& file, Read read, Write write) {
  std::istringstream in(file);
  const auto state = read(in);
  if (!state) return require(state.error().kind == husk::ErrorKind::kCorrupt);
  std::ostringstream out;
  require(write(*state, out).has_value());
  require(out.str() == file.substr(0, static_cast<size_t>(in.tellg())));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string file(reinterpret_cast<const char*>(data + 1), size - 1);
  if ((data[0] & 1) == 0) {
    check(file, read_state, write_state);
  } else {
    check(file, read_gic_state, write_gic_state);
  }
  return 0;
}
