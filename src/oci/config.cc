#include "oci/config.h"

#include "base/try.h"
#include "oci/json.h"
#include "oci/limits.h"

namespace husk::oci {
namespace {

Result<std::vector<Digest>> parse_diff_ids(const Json& document, const std::string& subject) {
  const Json* rootfs = HUSK_TRY(object_member(document, "rootfs", subject));
  if (rootfs == nullptr) return fail(ErrorKind::kCorrupt, subject, "has no rootfs");
  if (HUSK_TRY(string_member(*rootfs, "type", subject)) != "layers")
    return fail(ErrorKind::kCorrupt, subject, "rootfs type is not 'layers'");
  std::vector<Digest> diff_ids;
  for (const std::string& text : HUSK_TRY(strings_member(*rootfs, "diff_ids", subject)))
    diff_ids.push_back(HUSK_TRY(Digest::parse(text, subject)));
  if (diff_ids.size() > kMaxLayers)
    return fail(ErrorKind::kLimit, subject, "more than " + std::to_string(kMaxLayers) + " layers");
  return diff_ids;
}

// Go writes a set as an object whose values are empty objects; only its keys mean anything.
Result<std::vector<std::string>> parse_volumes(const Json& settings, const std::string& subject) {
  std::vector<std::string> volumes;
  const Json* object = HUSK_TRY(object_member(settings, "Volumes", subject));
  if (object == nullptr) return volumes;
  for (const auto& [path, ignored] : object->items()) {
    if (!path.starts_with('/') || path.find('\0') != std::string::npos)
      return fail(ErrorKind::kCorrupt, subject, "Volumes holds a path that is not absolute");
    volumes.push_back(path);
  }
  return volumes;
}

Result<std::map<std::string, std::string>> parse_labels(const Json& settings,
                                                        const std::string& subject) {
  std::map<std::string, std::string> labels;
  const Json* object = HUSK_TRY(object_member(settings, "Labels", subject));
  if (object == nullptr) return labels;
  for (const auto& [key, ignored] : object->items())
    labels[key] = HUSK_TRY(string_member(*object, key.c_str(), subject));
  return labels;
}

Result<void> parse_settings(const Json& settings, const std::string& subject,
                            image::ImageConfig& config) {
  config.entrypoint = HUSK_TRY(strings_member(settings, "Entrypoint", subject));
  config.cmd = HUSK_TRY(strings_member(settings, "Cmd", subject));
  config.env = HUSK_TRY(strings_member(settings, "Env", subject));
  config.working_dir = HUSK_TRY(string_member(settings, "WorkingDir", subject));
  config.user = HUSK_TRY(string_member(settings, "User", subject));
  config.stop_signal = HUSK_TRY(string_member(settings, "StopSignal", subject));
  config.labels = HUSK_TRY(parse_labels(settings, subject));
  config.volumes = HUSK_TRY(parse_volumes(settings, subject));
  return {};
}

}  // namespace

Result<ConfigDocument> parse_config(std::string_view text, const std::string& subject) {
  const Json document = HUSK_TRY(parse_json(text, subject));
  ConfigDocument parsed;
  parsed.config.architecture = HUSK_TRY(string_member(document, "architecture", subject));
  parsed.config.os = HUSK_TRY(string_member(document, "os", subject));
  if (const Json* settings = HUSK_TRY(object_member(document, "config", subject)))
    HUSK_TRY(parse_settings(*settings, subject, parsed.config));
  parsed.diff_ids = HUSK_TRY(parse_diff_ids(document, subject));
  return parsed;
}

}  // namespace husk::oci
