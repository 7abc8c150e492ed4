#pragma once

#include <string>
#include <string_view>

namespace vtpm::deploy {

/// Tells the service manager how far we are, by sd_notify(3)'s protocol: one
/// datagram of assignments to the socket that NOTIFY_SOCKET names. A manager
/// whose queue is full keeps us waiting for half a second at most; what cannot
/// be sent is logged.
class service_notifier {
public:
  /// @param socket What NOTIFY_SOCKET says: an absolute path, or a name in the
  ///               abstract namespace after "@". Null or empty: no manager
  ///               listens, and nothing is sent.
  explicit service_notifier(const char* socket);

  /// For the manager that the environment names.
  static service_notifier from_environment();

  /// Start-up is complete.
  void ready() const;

  /// The drain has begun.
  void stopping() const;

  /// One line on what we are doing, for `systemctl status`.
  void status(std::string_view line) const;

private:
  void send(std::string_view assignments) const;

  std::string socket_;
};

} // namespace vtpm::deploy
