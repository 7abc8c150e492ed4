#pragma once

#include <nlohmann/json_fwd.hpp>

#include "actors/messages.hpp"

// Reports as JSON. Keys are an interface: vtpmctl(8) documents them, scripts
// read them; add keys, never change or reuse one. Times are microseconds, sizes
// octets, latencies the upper bounds of histogram buckets (about 19 % wide), 0
// where nothing was measured.

namespace vtpm::deploy {

/// `{"tpm":{...},"commits":{...},"platform":{...},"frontends":N}`: the TPM, its
/// store, whose boots reset it and how many frontends are connected.
nlohmann::json status_json(const actors::domain_report& report);

/// `{"frontends":[{...},...],"gone":{...}}`: every frontend, connected or not,
/// and its counters; how many are gone, and their counters together.
nlohmann::json frontends_json(const actors::frontends_report& frontends);

/// `{"tpm":{...},"commits":{...},"platform":{...},"actors":[...],
/// "frontends":[...],"gone":{...}}`: everything.
nlohmann::json stats_json(const actors::domain_report& report);

} // namespace vtpm::deploy
