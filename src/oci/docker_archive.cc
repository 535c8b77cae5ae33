#include "oci/docker_archive.h"

#include <charconv>

#include "base/try.h"
#include "oci/entry_path.h"
#include "oci/json.h"
#include "oci/limits.h"
#include "oci/reference.h"

namespace husk::oci {
namespace {

Result<DockerImage> parse_image(const Json& value, const std::string& subject) {
  if (!value.is_object()) return fail(ErrorKind::kCorrupt, subject, "an image is not an object");
  DockerImage image;
  const std::string config = HUSK_TRY(string_member(value, "Config", subject));
  image.config = HUSK_TRY(clean_entry_path(config));
  for (const std::string& layer : HUSK_TRY(strings_member(value, "Layers", subject)))
    image.layers.push_back(HUSK_TRY(clean_entry_path(layer)));
  if (image.layers.size() > kMaxLayers)
    return fail(ErrorKind::kLimit, subject, "more than " + std::to_string(kMaxLayers) + " layers");
  image.tags = HUSK_TRY(strings_member(value, "RepoTags", subject));
  return image;
}

std::string listed_tags(const std::vector<DockerImage>& images) {
  std::string text;
  for (const DockerImage& image : images)
    for (const std::string& tag : image.tags) {
      if (text.size() > 400) return text + ", ...";
      text += (text.empty() ? "" : ", ") + printable(tag);
    }
  return text.empty() ? "no tags" : "tags: " + text;
}

}  // namespace

Result<std::vector<DockerImage>> parse_docker_manifest(std::string_view text,
                                                       const std::string& subject) {
  const Json document = HUSK_TRY(parse_json(text, subject));
  if (!document.is_array()) return fail(ErrorKind::kCorrupt, subject, "not an array of images");
  if (document.size() > kMaxIndexEntries)
    return fail(ErrorKind::kLimit, subject, "holds too many images");
  std::vector<DockerImage> images;
  for (const Json& value : document) images.push_back(HUSK_TRY(parse_image(value, subject)));
  return images;
}

Result<DockerImage> select_docker_image(const std::vector<DockerImage>& images,
                                        const std::string& name, const std::string& subject) {
  if (name.empty()) {
    if (images.size() == 1) return images[0];
    return fail(ErrorKind::kNotFound, subject,
                images.empty() ? "holds no image"
                               : "holds several images; name one (" + listed_tags(images) + ")");
  }
  if (name[0] == '@') {
    size_t index = images.size();
    std::from_chars(name.data() + 1, name.data() + name.size(), index);
    if (index < images.size()) return images[index];
    return fail(ErrorKind::kNotFound, subject,
                "holds " + std::to_string(images.size()) + " images, counted from @0");
  }
  const std::string wanted = normalize_image_name(name);
  for (const DockerImage& image : images)
    for (const std::string& tag : image.tags)
      if (normalize_image_name(tag) == wanted) return image;
  return fail(ErrorKind::kNotFound, subject, "no image " + name + " (" + listed_tags(images) + ")");
}

}  // namespace husk::oci
