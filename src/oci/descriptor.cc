#include "oci/descriptor.h"

#include "base/try.h"

namespace husk::oci {

Result<Descriptor> parse_descriptor(const Json& value, const std::string& subject) {
  if (!value.is_object())
    return fail(ErrorKind::kCorrupt, subject, "a descriptor is not an object");
  Descriptor descriptor;
  descriptor.media_type = HUSK_TRY(string_member(value, "mediaType", subject));
  const std::string digest = HUSK_TRY(string_member(value, "digest", subject));
  descriptor.digest = HUSK_TRY(Digest::parse(digest, subject));
  const auto size = HUSK_TRY(size_member(value, "size", subject));
  if (!size) return fail(ErrorKind::kCorrupt, subject, "a descriptor has no size");
  descriptor.size = *size;
  if (const Json* platform = HUSK_TRY(object_member(value, "platform", subject)))
    descriptor.platform = Platform{HUSK_TRY(string_member(*platform, "architecture", subject)),
                                   HUSK_TRY(string_member(*platform, "os", subject))};
  if (const Json* annotations = HUSK_TRY(object_member(value, "annotations", subject)))
    descriptor.ref_name =
        HUSK_TRY(string_member(*annotations, "org.opencontainers.image.ref.name", subject));
  return descriptor;
}

}  // namespace husk::oci
