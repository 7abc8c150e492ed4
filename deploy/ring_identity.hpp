#pragma once

#include <cstdint>
#include <string>

#include <CLI/App.hpp>

#include "deploy/result.hpp"
#include "xenio/loopback/frontend.hpp"

// The options that say which frontend a tool is. For .cpp files only.

namespace vtpm::deploy {

/// `--domid`, `--handle` and `--uuid` as CLI11 fills them in.
struct identity_options {
  xenio::domid domain = xenio::loopback::identity{}.domain;
  std::uint32_t handle = xenio::loopback::identity{}.handle;
  std::string uuid = xenio::loopback::identity{}.uuid;
};

/// Adds the three options to `app`.
/// @param target Must outlive `app`.
void add_identity_options(CLI::App& app, identity_options& target);

/// Returns the identity that the options name.
result<xenio::loopback::identity> identity_of(const identity_options& given);

} // namespace vtpm::deploy
