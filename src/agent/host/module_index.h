// The modules of a kernel by name, and what each needs: the lists that depmod(8) leaves in
// .../lib/modules/RELEASE.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "husk/error.h"

namespace husk::agent {

class ModuleIndex {
 public:
  // modules.dep and modules.builtin must be there; modules.softdep and modules.alias may be.
  [[nodiscard]] static Result<ModuleIndex> read(const std::string& directory);

  // Appends the paths of a module and of what it needs, that first, each once; nothing for one that
  // is built into the kernel. kNotFound where the kernel has none of that name. What modprobe(8)
  // would load before it without knowing whether it is there ("softdep ... pre:") comes where it
  // is.
  [[nodiscard]] Result<void> collect(const std::string& name,
                                     std::vector<std::string>& order) const;

 private:
  [[nodiscard]] Result<void> read_dependencies();
  void read_soft_dependencies();
  void read_aliases();
  void visit(const std::string& path, std::set<std::string>& seen,
             std::vector<std::string>& order) const;

  std::string directory_;
  std::map<std::string, std::string> paths_;                      // by module
  std::map<std::string, std::vector<std::string>> dependencies_;  // by path
  std::map<std::string, std::vector<std::string>> wishes_;        // by module: names or aliases
  std::multimap<std::string, std::string> aliases_;               // of the wishes alone: modules
  std::set<std::string> builtin_;
};

}  // namespace husk::agent
