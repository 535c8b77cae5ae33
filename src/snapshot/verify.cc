#include "snapshot/verify.h"

#include <fmt/core.h>

#include <iterator>

#include "base/try.h"
#include "snapshot/ranges.h"

namespace husk::snapshot {
namespace {

class Verifier {
 public:
  explicit Verifier(const SnapshotFile& file) : file_(file), buffer_(kPiece) {}

  std::vector<Damage> run() {
    const Sha256* digest = file_.digests().data();
    for (const Run& run : file_.runs()) {
      if (run.is_zero()) continue;
      for (uint64_t at = run.at; at < run.end() && damage_.size() < kMaxDamage; ++digest) {
        const Piece piece = piece_at(at, run.end());
        const auto result = check(run, piece, *digest);
        if (!result) note(piece, result.error().why);
        at += piece.length;
      }
    }
    return std::move(damage_);
  }

 private:
  Result<void> check(const Run& run, Piece piece, const Sha256& expected) {
    const Sha256 digest = HUSK_TRY(digest_of(run, piece));
    if (digest != expected) return fail(ErrorKind::kCorrupt, file_.path(), "is damaged");
    return {};
  }

  Result<Sha256> digest_of(const Run& run, Piece piece) {
    if (piece.length == kPiece && HUSK_TRY(is_hole(run, piece))) return zero_digest();
    const auto bytes = std::span(buffer_).first(piece.length);
    HUSK_TRY(file_.read(run, piece.at, bytes, unpacked_));
    return sha256(bytes);
  }

  // Most of a sparse memory: no need to read and hash it.
  [[nodiscard]] Result<bool> is_hole(const Run& run, Piece piece) const {
    if (run.is_compressed()) return false;
    const auto data = HUSK_TRY(
        file_data(file_.fd(), run.offset + (piece.at - run.at), piece.length, file_.path()));
    return data.empty();
  }

  Sha256 zero_digest() {
    if (!zero_digest_) zero_digest_ = sha256(std::vector<std::byte>(kPiece));
    return *zero_digest_;
  }

  void note(Piece piece, const std::string& why) {
    damage_.push_back({file_.path(), file_.guest_address(piece.at), piece.length, why});
  }

  const SnapshotFile& file_;
  std::vector<std::byte> buffer_;
  Unpacked unpacked_;
  std::optional<Sha256> zero_digest_;
  std::vector<Damage> damage_;
};

}  // namespace

std::string Damage::message() const {
  return fmt::format("{}: memory {:#x}+{:#x} {}", file, guest_addr, length, why);
}

std::vector<Damage> verify(const SnapshotFile& file) { return Verifier(file).run(); }

std::vector<Damage> verify(const Chain& chain) {
  std::vector<Damage> all;
  for (const SnapshotFile& link : chain.links()) {
    auto damage = verify(link);
    const size_t room = std::min(damage.size(), kMaxDamage - all.size());
    std::move(damage.begin(), damage.begin() + static_cast<ptrdiff_t>(room),
              std::back_inserter(all));
  }
  return all;
}

}  // namespace husk::snapshot
