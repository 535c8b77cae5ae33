// Asking a machine's process: one request over its control socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "husk/error.h"

#include "api/json.h"

namespace husk::control {

inline constexpr uint64_t kAnswerLimitNs = 10'000'000'000;

// The answer to `request`, an object with a "verb" (server.h). kNotFound: nobody listens there;
// kState: the process ended, or hung up, without an answer; kTimeout: none within `limit_ns`
// (nothing: however long it takes); kBackend: it said no, and `why` is its reason. `subject` is the
// machine, for errors.
[[nodiscard]] Result<api::Json> ask(const std::string& path, const api::Json& request,
                                    const std::string& subject,
                                    std::optional<uint64_t> limit_ns = kAnswerLimitNs);

}  // namespace husk::control
