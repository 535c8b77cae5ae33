// The JSON documents of an image and its reference's text, hostile: any of them parses or is
// refused. The first byte chooses the document.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "oci/config.h"
#include "oci/docker_archive.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "oci/reference.h"

namespace {

using namespace husk;
using namespace husk::oci;

// Any answer will do.
template <class T>
void take(const T&) {}

void read_index(const std::string& text) {
  const auto index = parse_index(text, "index");
  if (!index) return;
  take(select_manifest(*index, {"latest", "amd64"}, "image",
                       [&text](const Descriptor&) -> Result<std::string> { return text; }));
}

void read_docker_archive(const std::string& text) {
  const auto images = parse_docker_manifest(text, "manifest.json");
  if (!images) return;
  for (const char* name : {"", "@1", "busybox", "a.b/c:d"})
    take(select_docker_image(*images, name, "image"));
}

void read_manifest(const std::string& text) {
  const auto manifest = parse_manifest(text, "manifest");
  if (!manifest) return;
  for (const Descriptor& layer : manifest->layers) take(layer_type(layer.media_type, "layer"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      read_manifest(text);
      break;
    case 1:
      read_index(text);
      break;
    case 2:
      take(parse_config(text, "config"));
      break;
    case 3:
      read_docker_archive(text);
      break;
    default:
      if (const auto reference = parse_reference(text)) take(normalize_image_name(reference->name));
  }
  return 0;
}
