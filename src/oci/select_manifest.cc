// The choice of one manifest from an index; declared in manifest.h.
#include <set>

#include "base/try.h"
#include "oci/limits.h"
#include "oci/manifest.h"
#include "oci/media_type.h"

namespace husk::oci {
namespace {

// A descriptor that names no platform may be for any; its configuration is checked later.
bool fits(const Descriptor& descriptor, const Wanted& wanted) {
  return !descriptor.platform || (descriptor.platform->architecture == wanted.architecture &&
                                  descriptor.platform->os == "linux");
}

std::string joined_tags(const std::vector<Descriptor>& descriptors) {
  std::set<std::string> tags;
  for (const Descriptor& d : descriptors)
    if (!d.ref_name.empty()) tags.insert(d.ref_name);
  std::string text;
  for (const std::string& tag : tags) {
    if (text.size() > 400) return text + ", ...";
    text += (text.empty() ? "" : ", ") + tag;
  }
  return text.empty() ? "no tags" : "tags: " + text;
}

std::vector<Descriptor> with_tag(const std::vector<Descriptor>& all, const std::string& tag) {
  std::vector<Descriptor> found;
  for (const Descriptor& d : all)
    if (d.ref_name == tag) found.push_back(d);
  return found;
}

std::vector<Descriptor> for_platform(const std::vector<Descriptor>& all, const Wanted& wanted) {
  std::vector<Descriptor> found;
  for (const Descriptor& d : all)
    if (fits(d, wanted)) found.push_back(d);
  return found;
}

Result<std::vector<Descriptor>> tagged(const std::vector<Descriptor>& top, const Wanted& wanted,
                                       const std::string& subject) {
  if (!wanted.tag.empty()) {
    auto found = with_tag(top, wanted.tag);
    if (found.empty())
      return fail(ErrorKind::kNotFound, subject,
                  "no image tagged '" + wanted.tag + "' (" + joined_tags(top) + ")");
    return found;
  }
  auto usable = for_platform(top, wanted);
  if (usable.empty()) return top;
  if (usable.size() == 1) return usable;
  auto latest = with_tag(usable, "latest");
  if (!latest.empty()) return latest;
  return fail(ErrorKind::kNotFound, subject,
              "several images and none tagged 'latest'; name one (" + joined_tags(top) + ")");
}

// An exact platform is better than none stated.
const Descriptor* best(const std::vector<Descriptor>& candidates, const Wanted& wanted) {
  const Descriptor* unstated = nullptr;
  for (const Descriptor& d : candidates) {
    if (!fits(d, wanted)) continue;
    if (d.platform) return &d;
    if (unstated == nullptr) unstated = &d;
  }
  return unstated;
}

}  // namespace

Result<Descriptor> select_manifest(const std::vector<Descriptor>& top, const Wanted& wanted,
                                   const std::string& subject, const ReadDocument& read) {
  std::vector<Descriptor> candidates = HUSK_TRY(tagged(top, wanted, subject));
  for (int depth = 0; depth <= kMaxIndexDepth; ++depth) {
    const Descriptor* found = best(candidates, wanted);
    if (found == nullptr)
      return fail(
          ErrorKind::kNotFound, subject,
          candidates.empty() ? "holds no image" : "no image for linux/" + wanted.architecture);
    const auto type = document_type(found->media_type);
    if (!type)
      return fail(
          ErrorKind::kUnsupported, subject,
          "neither a manifest nor an index: media type '" + found->media_type.substr(0, 128) + "'");
    if (*type == DocumentType::kManifest) return *found;
    const std::string text = HUSK_TRY(read(*found));
    candidates = HUSK_TRY(parse_index(text, found->digest.text()));
  }
  return fail(ErrorKind::kLimit, subject, "indexes nested too deeply");
}

}  // namespace husk::oci
