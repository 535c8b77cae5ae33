#include "statistics.h"

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "backend/kvm/common/calls.h"
#include "base/fd.h"
#include "base/try.h"

namespace husk::kvm_tests {

Result<uint64_t> statistic(int fd, std::string_view name) {
  const base::Fd file(HUSK_TRY(kvm::call(fd, HUSK_KVM_CALL(KVM_GET_STATS_FD))));
  const auto read = [&](void* to, size_t size, uint64_t at) {
    return base::read_exact(file.get(), {static_cast<std::byte*>(to), size}, at, "statistics");
  };
  kvm_stats_header header{};
  HUSK_TRY(read(&header, sizeof(header), 0));
  // A description is followed by its name, in a field of header.name_size bytes.
  std::vector<char> text(header.name_size);
  for (uint32_t i = 0; i < header.num_desc; ++i) {
    const uint64_t at = header.desc_offset + i * (sizeof(kvm_stats_desc) + text.size());
    kvm_stats_desc description{};
    HUSK_TRY(read(&description, sizeof(description), at));
    HUSK_TRY(read(text.data(), text.size(), at + sizeof(description)));
    if (std::string_view(text.data(), ::strnlen(text.data(), text.size())) != name) continue;
    uint64_t value = 0;
    HUSK_TRY(read(&value, sizeof(value), header.data_offset + description.offset));
    return value;
  }
  return fail(ErrorKind::kNotFound, std::string(name), "is not counted");
}

}  // namespace husk::kvm_tests
