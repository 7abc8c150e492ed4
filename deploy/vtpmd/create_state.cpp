#include "deploy/vtpmd/create_state.hpp"

#include <cerrno>
#include <memory>
#include <utility>

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tpm/block_file.hpp"

namespace vtpm::deploy {

namespace {

/// Returns whether there is something of that name, a dangling link included.
bool is_there(const std::string& path) {
  struct stat ignored;
  return ::lstat(path.c_str(), &ignored) == 0;
}

/// Removes a file that was made for a TPM that did not come to be.
class half_made_file {
public:
  /// Construct once the file is made, and not before: until then whatever comes
  /// to be there is somebody else's.
  half_made_file(std::string path, bool was_there) noexcept
    : path_(std::move(path)), kept_(was_there) {
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

/// Makes `state` the first commit of the store on `device`.
tpm::result<unit> first_commit(tpm::state_store& store, tpm::committer& writer,
                               tpm::generation gen,
                               const tpm::snapshot& state) {
  const auto write = store.prepare(gen, state);
  if (!write)
    return write.error();
  writer.start(write->offset, write->data);
  auto written = wait_for(writer);
  if (written)
    store.acknowledge();
  return written;
}

} // namespace

tpm::result<tpm::secret_bytes> store_new_state(const state_place& place,
                                               tpm_version version,
                                               const tpm::uuid& id,
                                               tpm::generation gen,
                                               const tpm::snapshot& state,
                                               tpm::committer_kind committer) {
  const auto was_there = is_there(place.state_path);
  auto device = tpm::block_file::create(place.state_path);
  if (!device)
    return device.error();
  // After the device: the state goes while it is still locked.
  half_made_file state_file{place.state_path, was_there};
  auto key = tpm::create_local_key(place.key_path);
  if (!key && key.error().code == tpm::errc::exists)
    return tpm::error{tpm::errc::exists,
                      key.error().detail
                        + "; if no state needs that key, remove it"};
  if (!key)
    return key.error();
  half_made_file key_file{place.key_path, /*was_there=*/false};
  auto store = tpm::state_store::create(**device, *key, version, id);
  if (!store)
    return store.error();
  auto writer = tpm::make_committer(committer, (*device)->descriptor());
  if (!writer)
    return writer.error();
  auto stored = first_commit(**store, **writer, gen, state);
  if (!stored)
    return stored.error();
  state_file.keep();
  key_file.keep();
  const auto shadow_key = (*store)->shadow_key();
  return tpm::secret_bytes(shadow_key.begin(), shadow_key.end());
}

tpm::result<tpm::uuid> create_state(const create_options& wanted) {
  // First, because it takes longest and leaves nothing behind.
  const auto state = tpm::manufacture_libtpms(wanted.version, wanted.factory);
  if (!state)
    return state.error();
  const auto id = wanted.id ? *wanted.id : tpm::make_uuid();
  const auto stored = store_new_state(wanted.place, wanted.version, id,
                                      /*gen=*/1, **state, wanted.committer);
  if (!stored)
    return stored.error();
  return id;
}

} // namespace vtpm::deploy
