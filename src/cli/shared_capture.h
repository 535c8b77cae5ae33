// A running machine's capture that lives in memory for as long as copies are made of it.
#pragma once

#include <string>

#include "husk/error.h"

#include "base/fd.h"
#include "registry/registry.h"

namespace husk::cli {

// A folder with one snapshot, on the file system that is memory where there is one. It goes with
// this object in the process that made it, or when another capture is made after that process was
// killed. Copies that have mapped it by then keep what they need.
class SharedCapture {
 public:
  // Asks the machine's process for it.
  [[nodiscard]] static Result<SharedCapture> of(const registry::Machine& machine, bool live);
  ~SharedCapture();
  SharedCapture(SharedCapture&& other) noexcept;
  SharedCapture& operator=(SharedCapture&&) = delete;

  [[nodiscard]] std::string path() const { return folder_ + "/memory"; }  // the snapshot's

 private:
  SharedCapture(std::string folder, base::Fd lock);
  [[nodiscard]] static Result<SharedCapture> make();

  std::string folder_;  // empty: another object has it
  base::Fd lock_;       // on the folder: somebody makes copies of it
  pid_t maker_;
};

}  // namespace husk::cli
