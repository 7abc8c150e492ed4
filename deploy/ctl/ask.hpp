#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "deploy/ctl/ctl_options.hpp"
#include "deploy/result.hpp"
#include "protocol/version.hpp"
#include "xenio/frontend.hpp"

namespace vtpm::deploy {

/// Why there is no reply.
struct ask_failure {
  /// One of `exit_code`.
  int code;
  std::string text;
};

template <class T>
using ask_result = basic_result<T, ask_failure>;

/// Upper bound on a reply; the largest real one, stats with 1024 frontends, has
/// about 400 KiB.
inline constexpr std::size_t reply_size_max = 4 * 1024 * 1024;

/// How long a reply may take: a reset waits for the command under way, which
/// may be a 1.2 key generation, and for its commit.
inline constexpr auto reply_limit = std::chrono::seconds{60};

/// Sends one request text over a control socket. Returns the reply's text.
ask_result<std::string> ask_socket(const std::string& path,
                                   const std::string& request);

/// Sends one request text over a ring, at the administrator's locality, and
/// reads its reply page by page.
/// @param version Empty: tries the 1.2 form, then the 2.0 form.
ask_result<std::string> ask_ring(xenio::frontend& ring,
                                 std::optional<tpm_version> version,
                                 const std::string& request);

/// Takes a question where it is meant to go. Returns the reply's text.
ask_result<std::string> ask(const ask_command& question);

} // namespace vtpm::deploy
