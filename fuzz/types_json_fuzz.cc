// A snapshot's or a device's description as JSON, which comes from a file: any bytes are read or
// refused, and what was read is written and read again as the same value.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "husk/serialize.h"

namespace {

template <class T>
void try_type(std::string_view text) {
  const auto value = husk::from_json<T>(text);
  if (!value) return;
  const auto again = husk::to_json(*value);
  if (!again || husk::from_json<T>(*again) != *value) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try_type<husk::VmSnapshot>(text);
  try_type<husk::VirtioDeviceConfig>(text);
  try_type<husk::machine::VcpuExit>(text);
  return 0;
}
