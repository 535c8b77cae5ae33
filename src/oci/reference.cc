#include "oci/reference.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/try.h"

namespace husk::oci {
namespace {

constexpr std::string_view kAcceptedForms =
    "expected oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME:TAG]";

constexpr std::array<std::pair<std::string_view, Transport>, 3> kTransports{{
    {"oci", Transport::kOci},
    {"oci-archive", Transport::kOciArchive},
    {"docker-archive", Transport::kDockerArchive},
}};

std::unexpected<Error> invalid(std::string_view text, const std::string& why) {
  return fail(ErrorKind::kInvalidArgument, std::string(text.empty() ? "image reference" : text),
              why + "; " + std::string(kAcceptedForms));
}

std::optional<Transport> find_transport(std::string_view name) {
  for (const auto& [known, transport] : kTransports)
    if (known == name) return transport;
  return std::nullopt;
}

bool is_name_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("._:@+/-").find(c) != std::string_view::npos;
}

// distribution's rule for the part before the first slash: a host, or the first part of a path?
bool is_registry_host(std::string_view part) {
  return part == "localhost" || part.find_first_of(".:") != std::string_view::npos ||
         std::any_of(part.begin(), part.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace

Result<Reference> parse_reference(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return invalid(text, "not an image reference");
  const auto transport = find_transport(text.substr(0, colon));
  if (!transport) return invalid(text, "unknown transport");

  const std::string_view rest = text.substr(colon + 1);
  const size_t path_end = rest.find(':');
  const std::string_view path = rest.substr(0, path_end);
  if (path.empty()) return invalid(text, "no path");
  if (path.find('\0') != std::string_view::npos) return invalid(text, "a NUL byte in the path");
  if (path_end == std::string_view::npos)
    return Reference{*transport, std::string(path), {}, std::string(text)};

  const std::string_view name = rest.substr(path_end + 1);
  if (name.empty()) return invalid(text, "nothing after the last colon");
  if (!std::all_of(name.begin(), name.end(), is_name_character))
    return invalid(text, "a character that no image name has");
  if (*transport == Transport::kDockerArchive && name.find('@') != std::string_view::npos &&
      (name[0] != '@' || name.size() == 1 || name.size() > 6 ||
       name.find_first_not_of("0123456789", 1) != std::string_view::npos))
    return invalid(text, "an image of a docker-archive is named by NAME:TAG or @INDEX");
  return Reference{*transport, std::string(path), std::string(name), std::string(text)};
}

std::string normalize_image_name(std::string_view name) {
  const size_t slash = name.rfind('/');
  const size_t colon = name.find(':', slash == std::string_view::npos ? 0 : slash);
  std::string_view repository = name.substr(0, colon);
  const std::string_view tag =
      colon == std::string_view::npos ? std::string_view("latest") : name.substr(colon + 1);

  std::string_view host = "docker.io";
  const size_t first_slash = repository.find('/');
  if (first_slash != std::string_view::npos &&
      is_registry_host(repository.substr(0, first_slash))) {
    host = repository.substr(0, first_slash);
    repository = repository.substr(first_slash + 1);
  }
  if (host == "index.docker.io") host = "docker.io";
  std::string full(host);
  full += '/';
  if (host == "docker.io" && repository.find('/') == std::string_view::npos) full += "library/";
  full.append(repository).append(":").append(tag);
  return full;
}

}  // namespace husk::oci
