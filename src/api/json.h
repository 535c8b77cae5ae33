// JSON from elsewhere, hostile until proven otherwise: bounded, no exceptions, every type checked.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "husk/error.h"

namespace husk::api {

using Json = nlohmann::json;

inline constexpr size_t kMaxJsonBytes = size_t{8} << 20;  // any one document
inline constexpr int kMaxJsonDepth = 64;                  // nested arrays and objects

// kLimit beyond kMaxJsonBytes or kMaxJsonDepth, kCorrupt for anything that is not one JSON object
// or array.
[[nodiscard]] Result<Json> parse_json(std::string_view text, const std::string& subject);

// On one line. What is not UTF-8 is replaced, for JSON cannot carry it.
[[nodiscard]] std::string to_line(const Json& value);

// The member `key` of an object; null where it is absent, JSON null (which means absent), or
// `object` is no object.
[[nodiscard]] const Json* member(const Json& object, const char* key);

// A member of one type; absent is empty, another type is kCorrupt and names the key. Strings with a
// NUL byte are refused: none of them could reach exec(2) or a path whole.
[[nodiscard]] Result<std::string> string_member(const Json& object, const char* key,
                                                const std::string& subject);
[[nodiscard]] Result<std::vector<std::string>> strings_member(const Json& object, const char* key,
                                                              const std::string& subject);
[[nodiscard]] Result<std::optional<uint64_t>> size_member(const Json& object, const char* key,
                                                          const std::string& subject);
// The member as an array or object; null when absent.
[[nodiscard]] Result<const Json*> array_member(const Json& object, const char* key,
                                               const std::string& subject);
[[nodiscard]] Result<const Json*> object_member(const Json& object, const char* key,
                                                const std::string& subject);

}  // namespace husk::api
