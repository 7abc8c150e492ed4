#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "deploy/vtpmd/control_request.hpp"

namespace vtpm::deploy {

/// Returns a reply for people: aligned tables, with units. What the reply does
/// not have shows as "-"; characters that could steer a terminal as "?".
std::string to_tables(control_request request, const nlohmann::json& reply);

} // namespace vtpm::deploy
