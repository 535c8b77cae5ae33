#include "api/json.h"

#include "base/try.h"

namespace husk::api {
namespace {

// Counted before parsing, because each level costs the parser far more memory than its one byte.
bool is_nested_too_deeply(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxJsonDepth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

std::unexpected<Error> wrong_type(const std::string& subject, const char* key, const char* wanted) {
  return fail(ErrorKind::kCorrupt, subject, std::string(key) + " is not " + wanted);
}

Result<std::string> checked_string(const Json& value, const char* key, const std::string& subject) {
  const auto* text = value.get_ptr<const Json::string_t*>();
  if (text == nullptr) return wrong_type(subject, key, "a string");
  if (text->find('\0') != std::string::npos) return wrong_type(subject, key, "free of NUL bytes");
  return *text;
}

}  // namespace

Result<Json> parse_json(std::string_view text, const std::string& subject) {
  if (text.size() > kMaxJsonBytes)
    return fail(ErrorKind::kLimit, subject,
                "JSON larger than " + std::to_string(kMaxJsonBytes) + " bytes");
  if (is_nested_too_deeply(text)) return fail(ErrorKind::kLimit, subject, "JSON nested too deeply");
  Json document = Json::parse(text.begin(), text.end(), nullptr, false);
  if (document.is_discarded()) return fail(ErrorKind::kCorrupt, subject, "not valid JSON");
  if (!document.is_object() && !document.is_array())
    return fail(ErrorKind::kCorrupt, subject, "JSON that is neither an object nor an array");
  return document;
}

std::string to_line(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

const Json* member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

Result<std::string> string_member(const Json& object, const char* key, const std::string& subject) {
  const Json* value = member(object, key);
  if (value == nullptr) return std::string();
  return checked_string(*value, key, subject);
}

Result<std::vector<std::string>> strings_member(const Json& object, const char* key,
                                                const std::string& subject) {
  std::vector<std::string> strings;
  const Json* array = HUSK_TRY(array_member(object, key, subject));
  if (array == nullptr) return strings;
  for (const Json& value : *array) strings.push_back(HUSK_TRY(checked_string(value, key, subject)));
  return strings;
}

Result<std::optional<uint64_t>> size_member(const Json& object, const char* key,
                                            const std::string& subject) {
  const Json* value = member(object, key);
  if (value == nullptr) return std::nullopt;
  const auto* size = value->get_ptr<const Json::number_unsigned_t*>();
  if (size == nullptr) return wrong_type(subject, key, "a size");
  return *size;
}

Result<const Json*> array_member(const Json& object, const char* key, const std::string& subject) {
  const Json* value = member(object, key);
  if (value != nullptr && !value->is_array()) return wrong_type(subject, key, "an array");
  return value;
}

Result<const Json*> object_member(const Json& object, const char* key, const std::string& subject) {
  const Json* value = member(object, key);
  if (value != nullptr && !value->is_object()) return wrong_type(subject, key, "an object");
  return value;
}

}  // namespace husk::api
