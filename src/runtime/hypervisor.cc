#include "runtime/hypervisor.h"

#include "base/try.h"
#include "oci/cache.h"
#include "runtime/backend.h"
#include "runtime/probe_memory.h"

namespace husk::runtime {
namespace {

Result<std::string> probe(const Backend& backend) {
  if (backend.device.empty()) return backend.probe();
  return probe_once(oci::default_cache_directory().value_or(""), std::string(backend.device),
                    backend.probe);
}

Result<const Backend*> find_best() {
  std::string reasons;
  for (const Backend* backend : backends()) {
    const auto usable = probe(*backend);
    if (usable) return backend;
    reasons += (reasons.empty() ? "" : "; ") + usable.error().message();
  }
  return fail(ErrorKind::kUnsupported, "backend",
              reasons.empty() ? "this build has none for this kind of host" : reasons);
}

Result<const Backend*> find(std::string_view name) {
  if (name == "auto") return find_best();
  for (const Backend* backend : backends())
    if (backend->name == name) return backend;
  return fail(ErrorKind::kInvalidArgument, std::string(name), "no such backend");
}

}  // namespace

Result<std::unique_ptr<machine::Hypervisor>> open_hypervisor(std::string_view backend) {
  const Backend* found = HUSK_TRY(find(backend));
  return found->open();
}

Result<std::string> resolve_backend(std::string_view backend) {
  const Backend* found = HUSK_TRY(find(backend));
  return std::string(found->name);
}

Result<CpuModel> usual_cpu_model(std::string_view backend) {
  const Backend* found = HUSK_TRY(find(backend));
  return found->can_show(found->usual) ? found->usual : CpuModel::kHost;
}

std::vector<std::string> backend_names() {
  std::vector<std::string> names{"auto"};
  for (const Backend* backend : backends()) names.emplace_back(backend->name);
  return names;
}

void learn_code(bool on) {
  for (const Backend* backend : backends())
    if (backend->learn_code != nullptr) backend->learn_code(on);
}

}  // namespace husk::runtime
