#include "deploy/vtpmd/create_state.hpp"

#include <cerrno>
#include <memory>
#include <utility>

#include <poll.h>
#include <unistd.h>

#include "tpm/block_file.hpp"

namespace vtpm::deploy {

namespace {

/// Removes a file that was made for a TPM that did not come to be.
class half_made_file {
public:
  /// Construct before anything is made.
  explicit half_made_file(std::string path)
    : path_(std::move(path)), kept_(::access(path_.c_str(), F_OK) == 0) {
    // nop
  }

  half_made_file(const half_made_file&) = delete;
  half_made_file& operator=(const half_made_file&) = delete;

  ~half_made_file() {
    if (!kept_)
      ::unlink(path_.c_str());
  }

  void keep() noexcept {
    kept_ = true;
  }

private:
  std::string path_;
  /// Was there before, or is whole.
  bool kept_;
};

/// Waits for the write under way.
tpm::result<unit> wait_for(tpm::committer& writer) {
  for (;;) {
    if (auto ended = writer.finish())
      return std::move(*ended);
    pollfd readable{writer.descriptor(), POLLIN, 0};
    if (::poll(&readable, 1, /*timeout=*/-1) < 0 && errno != EINTR)
      return tpm::io_error("cannot wait for the first commit", errno);
  }
}

/// Makes `state` generation 1 of the store on `device`.
tpm::result<unit> first_commit(const create_options& wanted,
                               tpm::block_file& device,
                               const tpm::local_key& key, const tpm::uuid& id,
                               const tpm::snapshot& state) {
  auto store = tpm::state_store::create(device, key, wanted.version, id);
  if (!store)
    return store.error();
  auto writer = tpm::make_committer(wanted.committer, device.descriptor());
  if (!writer)
    return writer.error();
  const auto write = (*store)->prepare(1, state);
  if (!write)
    return write.error();
  (*writer)->start(write->offset, write->data);
  auto written = wait_for(**writer);
  if (written)
    (*store)->acknowledge();
  return written;
}

} // namespace

tpm::result<tpm::uuid> create_state(const create_options& wanted) {
  // First, because it takes longest and leaves nothing behind.
  const auto state = tpm::manufacture_libtpms(wanted.version, wanted.factory);
  if (!state)
    return state.error();
  half_made_file state_file{wanted.state_path};
  auto device = tpm::block_file::create(wanted.state_path);
  if (!device)
    return device.error();
  half_made_file key_file{wanted.key_path};
  auto key = tpm::create_local_key(wanted.key_path);
  if (!key && key.error().code == tpm::errc::exists)
    return tpm::error{tpm::errc::exists,
                      key.error().detail
                        + "; if no state needs that key, remove it"};
  if (!key)
    return key.error();
  const auto id = wanted.id ? *wanted.id : tpm::make_uuid();
  const auto stored = first_commit(wanted, **device, *key, id, **state);
  if (!stored)
    return stored.error();
  state_file.keep();
  key_file.keep();
  return id;
}

} // namespace vtpm::deploy
