#include "husk/serialize.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "api/fields.h"
#include "base/try.h"

namespace husk {

namespace {

using Json = nlohmann::ordered_json;
using api::fields;
using api::kNames;
using machine::VcpuExit;

constexpr size_t kMaxText = size_t{16} << 20;
constexpr int kMaxDepth = 16;  // no type here comes near

template <class T>
constexpr bool kIsOptional = false;
template <class T>
constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
constexpr bool kIsVector = false;
template <class T>
constexpr bool kIsVector<std::vector<T>> = true;
template <class T>
constexpr bool kIsArray = false;
template <class T, size_t n>
constexpr bool kIsArray<std::array<T, n>> = true;

// Writing
// -----------------------------------------------------------------------------------------------------

template <class T>
Json encode(const T& value);

Json encode_exit(const VcpuExit& exit) {
  const std::string name(kNames<VcpuExit>[exit.index()]);
  return std::visit(
      [&](const auto& kind) {
        if constexpr (std::is_empty_v<std::decay_t<decltype(kind)>>)
          return Json(name);
        else
          return Json{{name, encode(kind)}};
      },
      exit);
}

template <class T>
Json encode(const T& value) {
  if constexpr (std::same_as<T, std::byte>) {
    return std::to_integer<uint8_t>(value);
  } else if constexpr (std::is_arithmetic_v<T> || std::same_as<T, std::string>) {
    return value;
  } else if constexpr (std::is_enum_v<T>) {
    return kNames<T>[static_cast<size_t>(value)];
  } else if constexpr (kIsOptional<T>) {
    return value ? encode(*value) : Json(nullptr);
  } else if constexpr (kIsVector<T> || kIsArray<T>) {
    Json list = Json::array();
    for (const auto& element : value) list.push_back(encode(element));
    return list;
  } else if constexpr (std::same_as<T, VcpuExit>) {
    return encode_exit(value);
  } else {
    Json object = Json::object();
    fields(value, [&](const char* name, const auto& field) { object[name] = encode(field); });
    return object;
  }
}

// Reading
// -----------------------------------------------------------------------------------------------------

std::unexpected<Error> corrupt(std::string why) {
  return fail(ErrorKind::kCorrupt, "", std::move(why));
}

// Puts `step` before the path that the error's subject is.
std::unexpected<Error> within(std::string step, Error error) {
  const bool joins = error.subject.empty() || error.subject.front() == '[';
  error.subject = std::move(step) + (joins ? "" : ".") + error.subject;
  return std::unexpected(std::move(error));
}

template <class T>
Result<T> decode(const Json& json);

template <std::integral T>
Result<T> decode_integer(const Json& json) {
  if (!json.is_number_integer()) return corrupt("is not an integer");
  if (json.is_number_unsigned()) {
    const auto value = json.get<uint64_t>();
    if (std::in_range<T>(value)) return static_cast<T>(value);
  } else if (const auto value = json.get<int64_t>(); std::in_range<T>(value)) {
    return static_cast<T>(value);
  }
  return corrupt("is out of range");
}

Result<size_t> decode_name(const Json& json, std::span<const std::string_view> names) {
  if (!json.is_string()) return corrupt("is not a name");
  const auto found = std::ranges::find(names, json.get_ref<const std::string&>());
  if (found == names.end()) return corrupt("is not a known name");
  return static_cast<size_t>(found - names.begin());
}

template <class Element, class Store>
Result<void> decode_elements(const Json& json, Store store) {
  size_t index = 0;
  for (const Json& item : json) {
    auto element = decode<Element>(item);
    if (!element) return within("[" + std::to_string(index) + "]", element.error());
    store(index++, std::move(*element));
  }
  return {};
}

template <class T>
Result<T> decode_list(const Json& json) {
  if (!json.is_array()) return corrupt("is not a list");
  T list{};
  if constexpr (kIsArray<T>) {
    if (json.size() != list.size())
      return corrupt("does not have " + std::to_string(list.size()) + " elements");
  } else {
    list.resize(json.size());
  }
  HUSK_TRY(decode_elements<typename T::value_type>(
      json, [&](size_t index, auto&& element) { list[index] = std::move(element); }));
  return list;
}

template <class T>
Result<void> decode_field(const Json& object, const char* name, T& field) {
  const auto found = object.find(name);
  if (found == object.end()) {
    if constexpr (kIsOptional<T>)
      return {};
    else
      return within(name, Error{ErrorKind::kCorrupt, "", "is missing", 0});
  }
  auto value = decode<T>(*found);
  if (!value) return within(name, value.error());
  field = std::move(*value);
  return {};
}

template <class T>
Result<T> decode_object(const Json& json) {
  if (!json.is_object()) return corrupt("is not an object");
  T value{};
  Result<void> result;
  fields(value, [&](const char* name, auto& field) {
    if (result) result = decode_field(json, name, field);
  });
  if (!result) return std::unexpected(result.error());
  return value;
}

// The alternative `index`; only those without fields come as a bare name.
template <size_t... indices>
Result<VcpuExit> decode_alternative(size_t index, const Json* body,
                                    std::index_sequence<indices...>) {
  Result<VcpuExit> result = corrupt("is not an exit");
  const auto attempt = [&]<size_t i>() {
    using Kind = std::variant_alternative_t<i, VcpuExit>;
    if constexpr (std::is_empty_v<Kind>) {
      if (body == nullptr) result = Kind{};
    } else if (body != nullptr) {
      auto kind = decode<Kind>(*body);
      if (kind)
        result = *kind;
      else
        result = within(std::string(kNames<VcpuExit>[i]), kind.error());
    }
  };
  ((index == indices ? attempt.template operator()<indices>() : void()), ...);
  return result;
}

Result<VcpuExit> decode_exit(const Json& json) {
  constexpr auto kAlternatives = std::make_index_sequence<std::variant_size_v<VcpuExit>>();
  if (!json.is_object())
    return decode_alternative(HUSK_TRY(decode_name(json, kNames<VcpuExit>)), nullptr,
                              kAlternatives);
  if (json.size() != 1) return corrupt("does not have exactly one member");
  const size_t index = HUSK_TRY(decode_name(json.begin().key(), kNames<VcpuExit>));
  return decode_alternative(index, &json.begin().value(), kAlternatives);
}

template <class T>
Result<T> decode(const Json& json) {
  if constexpr (std::same_as<T, bool>) {
    if (!json.is_boolean()) return corrupt("is not true or false");
    return json.get<bool>();
  } else if constexpr (std::same_as<T, std::byte>) {
    return static_cast<std::byte>(HUSK_TRY(decode_integer<uint8_t>(json)));
  } else if constexpr (std::integral<T>) {
    return decode_integer<T>(json);
  } else if constexpr (std::same_as<T, std::string>) {
    if (!json.is_string()) return corrupt("is not a string");
    return json.get<std::string>();
  } else if constexpr (std::is_enum_v<T>) {
    return static_cast<T>(HUSK_TRY(decode_name(json, kNames<T>)));
  } else if constexpr (kIsOptional<T>) {
    if (json.is_null()) return T();
    return HUSK_TRY(decode<typename T::value_type>(json));
  } else if constexpr (kIsVector<T> || kIsArray<T>) {
    return decode_list<T>(json);
  } else if constexpr (std::same_as<T, VcpuExit>) {
    return decode_exit(json);
  } else {
    return decode_object<T>(json);
  }
}

// Before parsing, since a parsed bracket takes many times its byte.
bool is_too_deep(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == '[' || c == '{')) {
      if (++depth > kMaxDepth) return true;
    } else if (!quoted && (c == ']' || c == '}')) {
      --depth;
    }
  }
  return false;
}

}  // namespace

template <Serializable T>
Result<std::string> to_json(const T& value) {
  try {
    return encode(value).dump();
  } catch (const Json::exception&) {
    return corrupt("a string is not UTF-8");
  }
}

template <Serializable T>
Result<T> from_json(std::string_view text) {
  if (text.size() > kMaxText) return fail(ErrorKind::kLimit, "JSON", "is larger than 16 MiB");
  if (is_too_deep(text)) return fail(ErrorKind::kCorrupt, "JSON", "is nested too deeply");
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return fail(ErrorKind::kCorrupt, "JSON", "is malformed");
  return decode<T>(json);
}

template Result<std::string> to_json(const CpuArch&);
template Result<CpuArch> from_json(std::string_view);
template Result<std::string> to_json(const host::PlatformCapabilities&);
template Result<host::PlatformCapabilities> from_json(std::string_view);
template Result<std::string> to_json(const Registers&);
template Result<Registers> from_json(std::string_view);
template Result<std::string> to_json(const Arm64Registers&);
template Result<Arm64Registers> from_json(std::string_view);
template Result<std::string> to_json(const machine::VcpuExit&);
template Result<machine::VcpuExit> from_json(std::string_view);
template Result<std::string> to_json(const VirtioDeviceType&);
template Result<VirtioDeviceType> from_json(std::string_view);
template Result<std::string> to_json(const VirtioDeviceConfig&);
template Result<VirtioDeviceConfig> from_json(std::string_view);
template Result<std::string> to_json(const BalloonStats&);
template Result<BalloonStats> from_json(std::string_view);
template Result<std::string> to_json(const VcpuSnapshot&);
template Result<VcpuSnapshot> from_json(std::string_view);
template Result<std::string> to_json(const DeviceSnapshot&);
template Result<DeviceSnapshot> from_json(std::string_view);
template Result<std::string> to_json(const MemoryRegionSnapshot&);
template Result<MemoryRegionSnapshot> from_json(std::string_view);
template Result<std::string> to_json(const DirtyPageInfo&);
template Result<DirtyPageInfo> from_json(std::string_view);
template Result<std::string> to_json(const VmSnapshot&);
template Result<VmSnapshot> from_json(std::string_view);

}  // namespace husk
