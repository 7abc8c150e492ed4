#include "deploy/ctl/secret_source.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "tpm/owned_file.hpp"

namespace vtpm::deploy {

namespace {

using tpm::errc;
using tpm::error;
using tpm::secret_bytes;

constexpr std::size_t passphrase_size_max = 1024;

error unusable(std::string why) {
  return {errc::unusable, std::move(why)};
}

/// Reads up to a line feed or the end. Octet by octet: what follows the line
/// may be for somebody else.
tpm::result<secret_bytes> read_line(int descriptor, const std::string& what) {
  // In one piece, so that growing leaves no copy behind.
  auto line = secret_bytes{};
  line.reserve(passphrase_size_max);
  for (;;) {
    auto octet = std::uint8_t{0};
    const auto got = ::read(descriptor, &octet, 1);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return tpm::io_error("cannot read the passphrase from " + what, errno);
    if (got == 0 || octet == '\n')
      break;
    if (line.size() == passphrase_size_max)
      return unusable("the passphrase is longer than "
                      + std::to_string(passphrase_size_max) + " octets");
    line.push_back(octet);
  }
  if (line.empty())
    return unusable("the passphrase is empty");
  return line;
}

tpm::result<secret_bytes> read_from(const passphrase_file& source) {
  const auto file = tpm::owned_descriptor{
    ::open(source.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
  if (!file)
    return tpm::io_error("cannot open " + source.path, errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0)
    return tpm::io_error("cannot examine " + source.path, errno);
  if (S_ISREG(info.st_mode) && (info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return unusable("others may access " + source.path + ", make it 0600");
  return read_line(file.get(), source.path);
}

tpm::result<secret_bytes> read_from(const passphrase_descriptor& source) {
  return read_line(source.number,
                   "descriptor " + std::to_string(source.number));
}

/// The terminal without echo, for as long as it lives.
class silent_terminal {
public:
  explicit silent_terminal(int terminal) : terminal_(terminal) {
    known_ = ::tcgetattr(terminal_, &before_) == 0;
    auto silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (known_)
      ::tcsetattr(terminal_, TCSAFLUSH, &silent);
  }

  silent_terminal(const silent_terminal&) = delete;
  silent_terminal& operator=(const silent_terminal&) = delete;

  ~silent_terminal() {
    if (known_)
      ::tcsetattr(terminal_, TCSAFLUSH, &before_);
  }

private:
  int terminal_;
  bool known_ = false;
  termios before_{};
};

tpm::result<secret_bytes> ask(int terminal, const char* question) {
  const auto silence = silent_terminal{terminal};
  ::dprintf(terminal, "%s: ", question);
  auto line = read_line(terminal, "the terminal");
  ::dprintf(terminal, "\n");
  return line;
}

tpm::result<secret_bytes> read_from(const passphrase_prompt& source) {
  const auto terminal
    = tpm::owned_descriptor{::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)};
  if (!terminal)
    return unusable("there is no terminal to ask for a passphrase: give "
                    "--passphrase-file, --passphrase-fd or --key-file");
  auto line = ask(terminal.get(), "Passphrase of the export");
  if (!line || !source.twice)
    return line;
  const auto again = ask(terminal.get(), "Again");
  if (!again)
    return again.error();
  if (*line != *again)
    return unusable("the two passphrases differ");
  return line;
}

tpm::result<secret_bytes> read_from(const export_key_file& source) {
  auto key = tpm::load_local_key(source.path);
  if (!key)
    return key.error();
  return std::move(key->octets);
}

} // namespace

tpm::export_lock_kind kind_of(const secret_source& source) noexcept {
  return std::holds_alternative<export_key_file>(source)
    ? tpm::export_lock_kind::key_file
    : tpm::export_lock_kind::passphrase;
}

tpm::result<secret_bytes> read_secret(const secret_source& source) {
  return std::visit([](const auto& which) { return read_from(which); }, source);
}

} // namespace vtpm::deploy
