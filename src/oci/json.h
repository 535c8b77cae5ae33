// An image's documents, read with the room api's bounded JSON; null means absent in them
// (config.md).
#pragma once

#include "api/json.h"

namespace husk::oci {

using api::array_member;
using api::Json;
using api::kMaxJsonBytes;
using api::member;
using api::object_member;
using api::parse_json;
using api::size_member;
using api::string_member;
using api::strings_member;

}  // namespace husk::oci
