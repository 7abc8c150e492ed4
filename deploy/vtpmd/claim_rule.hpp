#pragma once

#include <string_view>

#include "deploy/result.hpp"
#include "xenio/loopback/hub.hpp"

namespace vtpm::deploy {

/// Reads "uid=1000,domid=3,handle=*,uuid=*": fields in any order, each at most
/// once, exact or "*". `uid` is required and exact; a field left out is "*".
result<xenio::loopback::claim_rule> parse_claim_rule(std::string_view text);

} // namespace vtpm::deploy
