#include "snapshot/frame.h"

#include <fmt/core.h>
#include <zstd.h>

#include "base/try.h"

namespace husk::snapshot {
namespace {

ZSTD_CCtx* as_context(void* context) { return static_cast<ZSTD_CCtx*>(context); }

std::unexpected<Error> refused(size_t status) {
  return fail(ErrorKind::kUnsupported, "zstd", ZSTD_getErrorName(status));
}

}  // namespace

void Packer::Free::operator()(void* context) const { ZSTD_freeCCtx(as_context(context)); }

Result<Packer> Packer::create(int level) {
  Packer packer;
  packer.context_.reset(ZSTD_createCCtx());
  if (packer.context_ == nullptr)
    return fail(ErrorKind::kUnsupported, "zstd", "no memory for its state");
  ZSTD_CCtx* context = as_context(packer.context_.get());
  for (const auto& [parameter, value] :
       {std::pair{ZSTD_c_compressionLevel, level}, std::pair{ZSTD_c_checksumFlag, 1}}) {
    const size_t status = ZSTD_CCtx_setParameter(context, parameter, value);
    if (ZSTD_isError(status) != 0) return refused(status);
  }
  return packer;
}

Result<std::span<const std::byte>> Packer::pack(std::span<const std::byte> bytes) {
  buffer_.resize(ZSTD_compressBound(bytes.size()));
  const size_t size = ZSTD_compress2(as_context(context_.get()), buffer_.data(), buffer_.size(),
                                     bytes.data(), bytes.size());
  if (ZSTD_isError(size) != 0) return refused(size);
  if (size >= bytes.size()) return std::span<const std::byte>();
  return std::span<const std::byte>(buffer_).first(size);
}

Result<void> unpack(std::span<const std::byte> frame, std::span<std::byte> out,
                    const std::string& subject) {
  const size_t size = ZSTD_decompress(out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(size) != 0)
    return fail(ErrorKind::kCorrupt, subject,
                fmt::format("its zstd frame is damaged ({})", ZSTD_getErrorName(size)));
  if (size != out.size())
    return fail(ErrorKind::kCorrupt, subject,
                fmt::format("its zstd frame holds {} bytes, not {}", size, out.size()));
  return {};
}

}  // namespace husk::snapshot
