#include "contract/state_archive.h"

namespace husk::contract {

void StateArchive::version(uint32_t current) {
  uint32_t found = current;
  value(found);
  check(found == current, "a version other than " + std::to_string(current));
}

size_t StateArchive::count(size_t count, size_t most) {
  uint64_t found = count;
  value(found);
  check(found <= most, "more than there can be");
  return failed() ? 0 : static_cast<size_t>(found);
}

void StateArchive::check(bool good, std::string_view what) {
  if (reading_ && !good && !failed()) wrong_ = what;
}

Result<void> StateArchive::finish(const std::string& subject) const {
  if (failed()) return fail(ErrorKind::kCorrupt, subject, "has " + wrong_);
  if (!in_.empty())
    return fail(ErrorKind::kCorrupt, subject,
                "is " + std::to_string(in_.size()) + " bytes too long");
  return {};
}

void StateArchive::put(uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) out_.push_back(static_cast<std::byte>(value >> 8 * i));
}

uint64_t StateArchive::get(size_t size) {
  check(in_.size() >= size, "an end too early");
  if (failed()) return 0;
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value |= uint64_t{std::to_integer<uint8_t>(in_[i])} << 8 * i;
  in_ = in_.subspan(size);
  return value;
}

}  // namespace husk::contract
