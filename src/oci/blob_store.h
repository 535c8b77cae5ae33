// Where an image's documents and layers are read from, by name: a directory or an archive.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "oci/byte_source.h"
#include "oci/digest.h"

namespace husk::oci {

// Names are relative paths inside the image ("index.json", "blobs/sha256/HEX"). One blob may be
// open while another is opened; the store outlives all of them.
class BlobStore {
 public:
  virtual ~BlobStore() = default;
  // kNotFound names the image and the blob.
  [[nodiscard]] virtual Result<std::unique_ptr<ByteSource>> open(const std::string& name) = 0;
};

// A blob as one string: at most kMaxJsonBytes, and what `digest` and `size` say where they are
// given.
[[nodiscard]] Result<std::string> read_document(BlobStore& store, const std::string& name,
                                                const std::optional<Digest>& digest = {},
                                                std::optional<uint64_t> size = {});

// An OCI image layout in a directory.
[[nodiscard]] Result<std::unique_ptr<BlobStore>> open_layout_directory(const std::string& path,
                                                                       const std::string& subject);

// A tar file, plain or compressed with gzip or zstd. Its members are listed once and never
// extracted; symbolic and hard links between members are followed (older `docker save` stores equal
// layers so), and of two members with one name the later counts. A compressed file is first
// decompressed to an unnamed temporary file in `scratch_directory`, at most `limit` bytes.
[[nodiscard]] Result<std::unique_ptr<BlobStore>> open_archive(const std::string& path,
                                                              const std::string& subject,
                                                              const std::string& scratch_directory,
                                                              uint64_t limit);

}  // namespace husk::oci
