// What a machine's folder holds, which others may have written: a record, and recorded output. Any
// bytes are read or refused; a record that was read is written and read again as the same one.
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "registry/output_log.h"
#include "registry/record.h"

namespace {

using namespace husk::registry;

void try_record(std::string_view text) {
  const auto record = parse_record(text, "record");
  if (!record) return;
  const auto again = parse_record(to_json(*record).dump(), "record");
  if (!again || *again != *record) std::abort();
}

// A new file each time would be most of the time.
const std::string& output_file() {
  static const std::string path = "/dev/shm/husk-fuzz-output-" + std::to_string(::getpid());
  static const bool made = [] {
    std::atexit([] { ::unlink(path.c_str()); });
    return true;
  }();
  (void)made;
  return path;
}

// The pieces are what the file holds, in their order, and no more.
void try_output(const uint8_t* data, size_t size) {
  const husk::base::Fd file(
      ::open(output_file().c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid() || ::write(file.get(), data, size) != static_cast<ssize_t>(size)) std::abort();
  auto reader = OutputReader::open(output_file());
  if (!reader) std::abort();
  size_t read = 0;
  for (;;) {
    const auto piece = reader->next();
    if (!piece || !*piece) break;
    const std::string& text = (*piece)->text;
    read += 16 + text.size();
    if (text.empty() || read > size ||
        std::string_view(reinterpret_cast<const char*>(data) + read - text.size(), text.size()) !=
            text)
      std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  if (data[0] % 2 == 0) {
    try_output(data + 1, size - 1);
  } else {
    try_record({reinterpret_cast<const char*>(data + 1), size - 1});
  }
  return 0;
}
