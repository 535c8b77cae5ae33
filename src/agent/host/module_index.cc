#include "agent/host/module_index.h"

#include <fmt/core.h>

#include <algorithm>
#include <sstream>

#include "base/fd.h"
#include "base/try.h"

namespace husk::agent {
namespace {

constexpr size_t kLargestList = 16 << 20;

// "kernel/fs/erofs/erofs.ko" is module "erofs"; dashes and underscores are the same.
std::string module_name(std::string_view path) {
  path.remove_prefix(path.rfind('/') + 1);
  std::string name(path.substr(0, path.find('.')));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

Result<std::string> read_list(const std::string& path) {
  return base::read_file(path, "module index", kLargestList);
}

}  // namespace

Result<ModuleIndex> ModuleIndex::read(const std::string& directory) {
  ModuleIndex index;
  index.directory_ = directory;
  HUSK_TRY(index.read_dependencies());
  index.read_soft_dependencies();
  if (!index.wishes_.empty()) index.read_aliases();
  return index;
}

Result<void> ModuleIndex::read_dependencies() {
  std::istringstream dependencies(HUSK_TRY(read_list(directory_ + "/modules.dep")));
  for (std::string line; std::getline(dependencies, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string path = line.substr(0, colon);
    paths_[module_name(path)] = path;
    std::istringstream list(line.substr(colon + 1));
    for (std::string dependency; list >> dependency;) dependencies_[path].push_back(dependency);
  }
  std::istringstream builtin(HUSK_TRY(read_list(directory_ + "/modules.builtin")));
  for (std::string line; std::getline(builtin, line);) builtin_.insert(module_name(line));
  return {};
}

// "softdep MODULE pre: NAME... post: NAME..." (modprobe.d(5)); names before the first label mean
// nothing.
void ModuleIndex::read_soft_dependencies() {
  const auto text = read_list(directory_ + "/modules.softdep");
  if (!text) return;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word, module;
    if (!(words >> word >> module) || word != "softdep") continue;
    bool before = false;
    while (words >> word) {
      if (word.ends_with(':')) {
        before = word == "pre:";
      } else if (before) {
        wishes_[module_name(module)].push_back(word);
      }
    }
  }
}

// "alias NAME MODULE"; patterns, which are for devices, are no name that anybody wishes for.
void ModuleIndex::read_aliases() {
  const auto text = read_list(directory_ + "/modules.alias");
  if (!text) return;
  std::set<std::string_view> wished;
  for (const auto& [module, names] : wishes_) wished.insert(names.begin(), names.end());
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word, name, module;
    if (words >> word >> name >> module && word == "alias" && wished.contains(name))
      aliases_.emplace(name, module);
  }
}

Result<void> ModuleIndex::collect(const std::string& name, std::vector<std::string>& order) const {
  if (builtin_.contains(name)) return {};
  const auto found = paths_.find(name);
  if (found == paths_.end())
    return fail(ErrorKind::kNotFound, directory_, fmt::format("the kernel has no module {}", name));
  std::set<std::string> seen(order.begin(), order.end());
  visit(found->second, seen, order);
  return {};
}

void ModuleIndex::visit(const std::string& path, std::set<std::string>& seen,
                        std::vector<std::string>& order) const {
  if (!seen.insert(path).second) return;
  const auto visit_module = [&](const std::string& module) {
    const auto found = paths_.find(module_name(module));
    if (found != paths_.end()) visit(found->second, seen, order);
  };
  if (const auto wishes = wishes_.find(module_name(path)); wishes != wishes_.end()) {
    for (const std::string& wish : wishes->second) {
      visit_module(wish);
      const auto [first, last] = aliases_.equal_range(wish);
      std::for_each(first, last, [&](const auto& alias) { visit_module(alias.second); });
    }
  }
  // modules.dep lists the whole closure, the nearest first.
  if (const auto found = dependencies_.find(path); found != dependencies_.end())
    std::for_each(found->second.rbegin(), found->second.rend(),
                  [&](const std::string& dependency) { visit(dependency, seen, order); });
  order.push_back(path);
}

}  // namespace husk::agent
