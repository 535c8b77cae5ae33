#include "boot/arm64/tree_writer.h"

#include <libfdt.h>

#include <bit>

namespace husk::boot::arm64 {
namespace {

static_assert(std::endian::native == std::endian::little);

// A device tree's numbers are big-endian.
template <class T>
void append(std::vector<std::byte>& out, T value) {
  const T swapped = std::byteswap(value);
  const auto bytes = std::as_bytes(std::span(&swapped, 1));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

template <class T>
std::vector<std::byte> big_endian(std::span<const T> values) {
  std::vector<std::byte> out;
  for (const T value : values) append(out, value);
  return out;
}

}  // namespace

TreeWriter::TreeWriter(size_t capacity) : buffer_(capacity) {
  note(fdt_create(buffer_.data(), static_cast<int>(capacity)));
  if (error_ == 0) note(fdt_finish_reservemap(buffer_.data()));
}

void TreeWriter::begin_node(const std::string& name) {
  if (error_ == 0) note(fdt_begin_node(buffer_.data(), name.c_str()));
}

void TreeWriter::end_node() {
  if (error_ == 0) note(fdt_end_node(buffer_.data()));
}

void TreeWriter::bytes(const char* name, std::span<const std::byte> value) {
  if (error_ == 0)
    note(fdt_property(buffer_.data(), name, value.data(), static_cast<int>(value.size())));
}

void TreeWriter::cells(const char* name, std::initializer_list<uint32_t> values) {
  bytes(name, big_endian(std::span(values.begin(), values.size())));
}

void TreeWriter::quads(const char* name, std::initializer_list<uint64_t> values) {
  quads(name, std::span(values.begin(), values.size()));
}

void TreeWriter::quads(const char* name, std::span<const uint64_t> values) {
  bytes(name, big_endian(values));
}

void TreeWriter::text(const char* name, std::string_view value) {
  const std::string terminated(value);
  bytes(name, std::as_bytes(std::span(terminated.c_str(), terminated.size() + 1)));
}

Result<std::vector<std::byte>> TreeWriter::finish(const std::string& subject) {
  if (error_ == 0) note(fdt_finish(buffer_.data()));
  if (error_ != 0)
    return fail(ErrorKind::kLimit, subject,
                std::string("the device tree: ") + fdt_strerror(error_));
  buffer_.resize(fdt_totalsize(buffer_.data()));
  return std::move(buffer_);
}

}  // namespace husk::boot::arm64
