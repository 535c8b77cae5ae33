// For tests: tar streams byte by byte, good ones and hostile ones, and their compression.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace husk::oci::testing {

// One ustar header's fields (POSIX.1-2017, pax, "ustar Interchange Format").
struct TarFields {
  std::string name = {};
  char type = '0';
  unsigned mode = 0644;
  uint64_t uid = 0;
  uint64_t gid = 0;
  uint64_t mtime = 0;
  std::string link = {};
  uint64_t major = 0;
  uint64_t minor = 0;
};

class TarBuilder {
 public:
  TarBuilder& add(const TarFields& fields, const std::string& data = {}) {
    std::string block(512, '\0');
    put(block, 0, fields.name.substr(0, 100));
    put(block, 100, octal(fields.mode, 7));
    put(block, 108, octal(fields.uid, 7));
    put(block, 116, octal(fields.gid, 7));
    put(block, 124, octal(data.size(), 11));
    put(block, 136, octal(fields.mtime, 11));
    put(block, 148, "        ");
    block[156] = fields.type;
    put(block, 157, fields.link.substr(0, 100));
    put(block, 257, std::string("ustar\0", 6) + "00");
    put(block, 329, octal(fields.major, 7));
    put(block, 337, octal(fields.minor, 7));
    unsigned sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    put(block, 148, octal(sum, 6) + std::string("\0 ", 2));
    bytes_ += block + data;
    bytes_.resize((bytes_.size() + 511) / 512 * 512);
    return *this;
  }

  TarBuilder& file(const std::string& name, const std::string& data = {}) {
    return add({.name = name}, data);
  }
  TarBuilder& directory(const std::string& name, unsigned mode = 0755) {
    return add({.name = name, .type = '5', .mode = mode});
  }
  TarBuilder& symlink(const std::string& name, const std::string& target) {
    return add({.name = name, .type = '2', .mode = 0777, .link = target});
  }
  TarBuilder& hard_link(const std::string& name, const std::string& target) {
    return add({.name = name, .type = '1', .link = target});
  }
  // Keywords for the next entry.
  TarBuilder& pax(const std::map<std::string, std::string>& keywords) {
    std::string records;
    for (const auto& [key, value] : keywords) records += pax_record(key, value);
    return add({.name = "pax", .type = 'x'}, records);
  }
  // GNU tar's long name for the next entry.
  TarBuilder& gnu_long_name(const std::string& name) {
    return add({.name = "././@LongLink", .type = 'L'}, name + '\0');
  }
  TarBuilder& raw(const std::string& bytes) {
    bytes_ += bytes;
    return *this;
  }

  // With the two zero blocks that end an archive.
  [[nodiscard]] std::string bytes() const { return bytes_ + std::string(1024, '\0'); }
  [[nodiscard]] std::string without_end() const { return bytes_; }

 private:
  static void put(std::string& block, size_t at, const std::string& text) {
    block.replace(at, text.size(), text);
  }
  static std::string octal(uint64_t value, int digits) {
    char text[32];
    std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
    return text;
  }
  // "LENGTH KEY=VALUE\n", the length counting itself.
  static std::string pax_record(const std::string& key, const std::string& value) {
    const std::string rest = " " + key + "=" + value + "\n";
    size_t length = rest.size();
    while (std::to_string(length).size() + rest.size() != length)
      length = std::to_string(length).size() + rest.size();
    return std::to_string(length) + rest;
  }

  std::string bytes_;
};

inline std::string compress(const std::string& data, int (*add_filter)(archive*)) {
  std::string out(data.size() * 2 + 65536, '\0');
  size_t used = 0;
  archive* writer = ::archive_write_new();
  ::archive_write_set_format_raw(writer);
  add_filter(writer);
  ::archive_write_set_bytes_per_block(writer, 0);
  ::archive_write_open_memory(writer, out.data(), out.size(), &used);
  archive_entry* entry = ::archive_entry_new();
  ::archive_entry_set_filetype(entry, AE_IFREG);
  ::archive_write_header(writer, entry);
  ::archive_write_data(writer, data.data(), data.size());
  ::archive_write_close(writer);
  ::archive_write_free(writer);
  ::archive_entry_free(entry);
  out.resize(used);
  return out;
}
inline std::string gzip(const std::string& data) {
  return compress(data, ::archive_write_add_filter_gzip);
}
inline std::string zstd(const std::string& data) {
  return compress(data, ::archive_write_add_filter_zstd);
}

}  // namespace husk::oci::testing
