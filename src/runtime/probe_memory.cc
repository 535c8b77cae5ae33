#include "runtime/probe_memory.h"

#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "base/temp_file.h"
#include "base/try.h"
#include "runtime/file_identity.h"
#include "snapshot/sha256.h"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLongest = 4096;
constexpr char kYes = '+', kNo = '-';

// All that the answer depends on, as a file's name.
Result<std::string> name_of(const std::string& device) {
  utsname kernel{};
  if (::uname(&kernel) != 0) return fail_errno("uname", "cannot be asked");
  struct stat st{};
  if (::stat(device.c_str(), &st) != 0) return fail_errno(device, "cannot be looked at");
  std::string text = HUSK_TRY(program_identity());
  text += std::string("\n") + kernel.release + "\n" + kernel.version + "\n" +
          HUSK_TRY(base::read_file("/proc/sys/kernel/random/boot_id", "boot id", kLongest)) +
          HUSK_TRY(file_identity(device)) + std::to_string(st.st_rdev);
  return snapshot::to_hex(snapshot::sha256(std::as_bytes(std::span(text))));
}

// Yes and what, or no, about what, and why: a line each.
std::string encode(const Result<std::string>& answer) {
  if (answer) return kYes + *answer;
  return kNo + answer.error().subject + "\n" + answer.error().why;
}

std::optional<Result<std::string>> decode(const std::string& text) {
  if (text.starts_with(kYes)) return text.substr(1);
  const size_t line = text.find('\n');
  if (!text.starts_with(kNo) || line == std::string::npos) return std::nullopt;
  return fail(ErrorKind::kUnsupported, text.substr(1, line - 1), text.substr(line + 1));
}

// In the place of all that was kept before. What fails costs the next run a probe.
Result<void> keep(const std::string& folder, const std::string& name,
                  const Result<std::string>& answer) {
  std::error_code ignored;
  fs::create_directories(folder, ignored);
  for (const fs::directory_entry& old : fs::directory_iterator(folder, ignored))
    fs::remove(old.path(), ignored);
  base::TempFile file = HUSK_TRY(base::TempFile::create(folder));
  const std::string text = encode(answer);
  HUSK_TRY(base::write_exact(file.fd(), std::as_bytes(std::span(text)), 0, folder));
  HUSK_TRY(file.publish(folder + "/" + name));
  return {};
}

}  // namespace

Result<std::string> probe_once(const std::string& directory, const std::string& device,
                               const Probe& probe) {
  const auto name = name_of(device);
  if (directory.empty() || !name || ::access(device.c_str(), R_OK | W_OK) != 0) return probe();
  const std::string folder = directory + "/probe";
  const auto known = base::read_file(folder + "/" + *name, "the probe's answer", kLongest);
  if (known)
    if (auto answer = decode(*known)) return std::move(*answer);
  auto answer = probe();
  if (answer || answer.error().kind == ErrorKind::kUnsupported) (void)keep(folder, *name, answer);
  return answer;
}

}  // namespace husk::runtime
