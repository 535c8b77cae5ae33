#include "oci/blob_store.h"

#include <sys/stat.h>

#include <cerrno>

#include "base/try.h"
#include "oci/file_source.h"
#include "oci/json.h"
#include "oci/verified_source.h"

namespace husk::oci {
namespace {

class LayoutDirectory final : public BlobStore {
 public:
  LayoutDirectory(std::string path, std::string subject)
      : path_(std::move(path)), subject_(std::move(subject)) {}

  // `name` is a constant or made from a parsed digest, so it cannot lead out of the directory.
  [[nodiscard]] Result<std::unique_ptr<ByteSource>> open(const std::string& name) override {
    const std::string path = path_ + "/" + name;
    auto fd = open_regular_file(path, "image file");
    if (!fd && fd.error().os_errno == ENOENT)
      return fail(ErrorKind::kNotFound, subject_, "has no " + name);
    if (!fd) return std::unexpected(std::move(fd.error()));
    return std::make_unique<FileSource>(std::move(*fd), path);
  }

 private:
  std::string path_;
  std::string subject_;
};

}  // namespace

Result<std::unique_ptr<BlobStore>> open_layout_directory(const std::string& path,
                                                         const std::string& subject) {
  struct stat st{};
  if (::stat(path.c_str(), &st) != 0) {
    if (errno == ENOENT)
      return fail(ErrorKind::kNotFound, subject, "no such image: there is no directory " + path);
    return fail_errno(subject, "cannot open the image");
  }
  if (!S_ISDIR(st.st_mode))
    return fail(ErrorKind::kInvalidArgument, subject,
                path + " is not a directory (oci-archive: reads a file)");
  return std::make_unique<LayoutDirectory>(path, subject);
}

Result<std::string> read_document(BlobStore& store, const std::string& name,
                                  const std::optional<Digest>& digest,
                                  std::optional<uint64_t> size) {
  if (size && *size > kMaxJsonBytes)
    return fail(ErrorKind::kLimit, name,
                "a document larger than " + std::to_string(kMaxJsonBytes) + " bytes");
  VerifiedSource source(HUSK_TRY(store.open(name)), digest, size, name);
  std::string text;
  size_t used = 0;
  while (true) {
    if (used > kMaxJsonBytes)
      return fail(ErrorKind::kLimit, name,
                  "a document larger than " + std::to_string(kMaxJsonBytes) + " bytes");
    text.resize(used + (size_t{64} << 10));
    const size_t n = HUSK_TRY(source.read(std::as_writable_bytes(std::span(text)).subspan(used)));
    if (n == 0) break;
    used += n;
  }
  HUSK_TRY(source.finish());
  text.resize(used);
  return text;
}

}  // namespace husk::oci
