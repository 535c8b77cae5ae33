#include "snapshot/manifest.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "husk/serialize.h"

#include "base/try.h"
#include "snapshot/format.h"
#include "snapshot/manifest_check.h"

namespace husk::snapshot {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxDepth = 16;

// Writing
// -----------------------------------------------------------------------------------------------

Json encode_origin(const Origin& origin) {
  return {{"backend", origin.backend},           {"cpu_model", origin.cpu_model},
          {"monotonic_ns", origin.monotonic_ns}, {"realtime_ns", origin.realtime_ns},
          {"guest_clocks", origin.guest_clocks}, {"identity", origin.identity}};
}

Json encode_part(const Part& part) {
  return {{"name", part.name},
          {"offset", part.offset},
          {"size", part.size},
          {"sha256", to_hex(part.digest)}};
}

Json encode_parts(const std::vector<Part>& parts) {
  Json list = Json::array();
  for (const Part& part : parts) list.push_back(encode_part(part));
  return list;
}

// Reading. Each function fills one value from a member of an object.
// -----------------------------------------------------------------------------------------------

class Reader {
 public:
  Reader(const Json& object, const std::string& subject) : object_(object), subject_(subject) {}

  [[nodiscard]] Result<const Json*> member(const char* name) const {
    const auto found = object_.is_object() ? object_.find(name) : object_.end();
    if (!object_.is_object() || found == object_.end()) return wrong(name, "is missing");
    return &*found;
  }
  [[nodiscard]] Result<void> read(const char* name, std::string& value) const {
    const Json* json = HUSK_TRY(member(name));
    if (!json->is_string()) return wrong(name, "is not a string");
    value = json->get<std::string>();
    return {};
  }
  [[nodiscard]] Result<void> read(const char* name, uint64_t& value) const {
    const Json* json = HUSK_TRY(member(name));
    if (!json->is_number_unsigned()) return wrong(name, "is not a whole number");
    value = json->get<uint64_t>();
    return {};
  }
  [[nodiscard]] Result<void> read(const char* name, Sha256& value) const {
    std::string text;
    HUSK_TRY(read(name, text));
    const auto digest = from_hex(text);
    if (!digest) return wrong(name, "is not a digest");
    value = *digest;
    return {};
  }
  [[nodiscard]] Result<void> read(const char* name, std::optional<std::string>& value) const {
    if (HUSK_TRY(member(name))->is_null()) return {};
    return read(name, value.emplace());
  }
  template <class T>
  [[nodiscard]] Result<void> read(const char* name, std::map<std::string, T>& values) const {
    const Json* json = HUSK_TRY(member(name));
    if (!json->is_object()) return wrong(name, "is not an object");
    const Reader inner(*json, subject_);
    for (const auto& entry : json->items())
      HUSK_TRY(inner.read(entry.key().c_str(), values[entry.key()]));
    return {};
  }
  [[nodiscard]] std::unexpected<Error> wrong(const char* name, const char* why) const {
    return fail(ErrorKind::kCorrupt, subject_, fmt::format("manifest: {} {}", name, why));
  }

 private:
  const Json& object_;
  const std::string& subject_;
};

Result<Origin> decode_origin(const Json& json, const std::string& subject) {
  const Reader reader(json, subject);
  Origin origin;
  HUSK_TRY(reader.read("backend", origin.backend));
  HUSK_TRY(reader.read("cpu_model", origin.cpu_model));
  HUSK_TRY(reader.read("monotonic_ns", origin.monotonic_ns));
  HUSK_TRY(reader.read("realtime_ns", origin.realtime_ns));
  HUSK_TRY(reader.read("guest_clocks", origin.guest_clocks));
  HUSK_TRY(reader.read("identity", origin.identity));
  return origin;
}

Result<Part> decode_part(const Json& json, const std::string& subject) {
  const Reader reader(json, subject);
  Part part;
  HUSK_TRY(reader.read("name", part.name));
  HUSK_TRY(reader.read("offset", part.offset));
  HUSK_TRY(reader.read("size", part.size));
  HUSK_TRY(reader.read("sha256", part.digest));
  return part;
}

Result<std::vector<Part>> decode_parts(const Reader& reader, const std::string& subject) {
  const Json* json = HUSK_TRY(reader.member("parts"));
  if (!json->is_array()) return reader.wrong("parts", "is not a list");
  if (json->size() > kMaxParts) return reader.wrong("parts", "are too many");
  std::vector<Part> parts;
  for (const Json& part : *json) parts.push_back(HUSK_TRY(decode_part(part, subject)));
  return parts;
}

Result<VmSnapshot> decode_machine(const Reader& reader, const std::string& subject) {
  const Json* json = HUSK_TRY(reader.member("machine"));
  auto machine = from_json<VmSnapshot>(json->dump());
  if (!machine)
    return fail(machine.error().kind, subject, "manifest: machine: " + machine.error().message());
  return machine;
}

}  // namespace

Result<std::string> encode(const Manifest& manifest) {
  const std::string machine = HUSK_TRY(to_json(manifest.machine));
  try {
    const Json json{{"machine", Json::parse(machine)},
                    {"origin", encode_origin(manifest.origin)},
                    {"parent_file", manifest.parent_file ? Json(*manifest.parent_file) : Json()},
                    {"memory_end", manifest.memory_end},
                    {"parts", encode_parts(manifest.parts)}};
    return json.dump(1);
  } catch (const Json::exception&) {
    return fail(ErrorKind::kCorrupt, "snapshot", "a name is not UTF-8");
  }
}

Result<Manifest> decode_manifest(std::string_view text, uint64_t manifest_offset,
                                 const std::string& subject) {
  if (text.size() > kMaxManifest)
    return fail(ErrorKind::kLimit, subject, "its manifest is too large");
  // What is nested deeper is dropped while it is parsed: each bracket of it costs far more than its
  // byte.
  const auto shallow = [](int depth, Json::parse_event_t, Json&) { return depth <= kMaxDepth; };
  const Json json = Json::parse(text, shallow, false);
  if (json.is_discarded()) return fail(ErrorKind::kCorrupt, subject, "manifest: is malformed");
  const Reader reader(json, subject);
  Manifest manifest;
  manifest.machine = HUSK_TRY(decode_machine(reader, subject));
  const Json* origin = HUSK_TRY(reader.member("origin"));
  manifest.origin = HUSK_TRY(decode_origin(*origin, subject));
  HUSK_TRY(reader.read("parent_file", manifest.parent_file));
  HUSK_TRY(reader.read("memory_end", manifest.memory_end));
  manifest.parts = HUSK_TRY(decode_parts(reader, subject));
  HUSK_TRY(check_manifest(manifest, manifest_offset, subject));
  return manifest;
}

std::vector<StatePart> state_parts(Contents& contents) {
  std::vector<StatePart> parts;
  for (VcpuSnapshot& vcpu : contents.machine.vcpus)
    parts.push_back({fmt::format("vcpu/{}", vcpu.id), &vcpu.extra_state});
  for (DeviceSnapshot& device : contents.machine.devices)
    parts.push_back({"device/" + device.name, &device.state});
  for (NamedState& state : contents.states) parts.push_back({"state/" + state.name, &state.bytes});
  return parts;
}

bool is_file_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= 255 &&
         std::ranges::none_of(name, [](char c) { return c == '/' || c == '\0'; });
}

std::vector<memory::RegionSpec> region_specs(const VmSnapshot& machine) {
  std::vector<memory::RegionSpec> specs;
  for (const MemoryRegionSnapshot& region : machine.memory_regions)
    specs.push_back({Gpa{region.guest_addr}, region.size});
  return specs;
}

}  // namespace husk::snapshot
