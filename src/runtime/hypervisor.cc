#include "runtime/hypervisor.h"

#include "runtime/backend.h"

namespace husk::runtime {
namespace {

Result<std::unique_ptr<machine::Hypervisor>> open_best() {
  std::string reasons;
  for (const Backend* backend : backends()) {
    const auto usable = backend->probe();
    if (usable) return backend->open();
    reasons += (reasons.empty() ? "" : "; ") + usable.error().message();
  }
  return fail(ErrorKind::kUnsupported, "backend",
              reasons.empty() ? "this build has none for this kind of host" : reasons);
}

}  // namespace

Result<std::unique_ptr<machine::Hypervisor>> open_hypervisor(std::string_view backend) {
  if (backend == "auto") return open_best();
  for (const Backend* candidate : backends())
    if (candidate->name == backend) return candidate->open();
  return fail(ErrorKind::kInvalidArgument, std::string(backend), "no such backend");
}

std::vector<std::string> backend_names() {
  std::vector<std::string> names{"auto"};
  for (const Backend* backend : backends()) names.emplace_back(backend->name);
  return names;
}

}  // namespace husk::runtime
