#include "tpm/libtpms_engine.hpp"

#include <utility>

#include "protocol/big_endian.hpp"
#include "protocol/error_response.hpp"
#include "tpm/libtpms_commands.hpp"
#include "tpm/libtpms_library.hpp"

namespace vtpm::tpm {

namespace {

/// What our volatile state ends with: whether the last command was a Shutdown.
enum class ended_by : std::uint8_t { other_command = 0, shutdown = 1 };

constexpr std::size_t ended_by_size = 1;

class libtpms_engine final : public engine {
public:
  explicit libtpms_engine(std::unique_ptr<libtpms_library> library) noexcept
    : library_(std::move(library)) {
    // nop
  }

  tpm_version version() const noexcept override {
    return library_->version();
  }

  execution execute(std::uint8_t locality, byte_view request) override {
    const auto response = library_->process(locality, request);
    shut_down_ = is_shutdown(request) && succeeded(response);
    auto done = execution{};
    if (response.empty()) {
      const auto packet
        = protocol::error_response(version(), protocol::refusal::failure);
      done.response.assign(packet.begin(), packet.end());
    } else {
      done.response.assign(response.begin(), response.end());
    }
    done.changed = library_->take_change();
    return done;
  }

  result<snapshot_ptr> reset(startup how) override {
    if (auto possible = check_startup(version(), how); !possible)
      return possible.error();
    shut_down();
    library_->power_off();
    return start(how);
  }

  result<snapshot_ptr> prepare_exit() override {
    shut_down();
    return library_->take_change();
  }

  snapshot_ptr current() const override {
    return library_->current();
  }

  result<secret_bytes> volatile_state() const override {
    auto octets = library_->volatile_state();
    if (!octets)
      return octets.error();
    const auto ended
      = shut_down_ ? ended_by::shutdown : ended_by::other_command;
    octets->push_back(static_cast<std::uint8_t>(ended));
    return octets;
  }

  void cancel() noexcept override {
    library_->cancel();
  }

  /// TPM_Init, then `how`. Returns the state if anything changed since it was
  /// last asked for.
  /// @pre The TPM is off.
  result<snapshot_ptr> start(startup how) {
    shut_down_ = false;
    if (auto on = library_->power_on(); !on)
      return on.error();
    if (auto started = start_up(*library_, how); !started)
      return started.error();
    return library_->take_change();
  }

  /// @pre Not called before.
  void start_key_pool(std::size_t count) {
    library_->start_key_pool(count);
  }

  /// TPM_Init with a volatile state inserted, and fresh entropy. Returns the
  /// state if that changed any.
  /// @pre The TPM is off.
  result<snapshot_ptr> go_on(ended_by last) {
    shut_down_ = last == ended_by::shutdown;
    if (auto on = library_->power_on(); !on)
      return on.error();
    if (version() == tpm_version::v2_0)
      stir_random(*library_);
    return library_->take_change();
  }

private:
  bool is_shutdown(byte_view request) const noexcept {
    return version() == tpm_version::v2_0
      && protocol::load_be<std::uint32_t>(request.data() + 6) == cc_shutdown;
  }

  /// An answer other than success means that there is nothing to shut down:
  /// before Startup, or in failure mode.
  void shut_down() {
    if (version() == tpm_version::v2_0 && !shut_down_)
      shut_down_ = shut_down_clear(*library_);
  }

  std::unique_ptr<libtpms_library> library_;
  /// The last command was a TPM2_Shutdown and succeeded.
  bool shut_down_ = false;
};

} // namespace

result<powered_engine> power_on_libtpms(tpm_version version, snapshot_ptr state,
                                        startup how, bool physical_presence,
                                        std::size_t key_pool) {
  if (state == nullptr || state->permanent.empty())
    return error{errc::engine, "there is no TPM state to start from"};
  if (auto possible = check_startup(version, how); !possible)
    return possible.error();
  auto library = libtpms_library::claim(version);
  if (!library)
    return library.error();
  (*library)->physical_presence(physical_presence);
  (*library)->insert(std::move(state));
  auto instance = std::make_unique<libtpms_engine>(std::move(*library));
  auto changed = instance->start(how);
  if (!changed)
    return changed.error();
  if (key_pool > 0)
    instance->start_key_pool(key_pool);
  return powered_engine{std::move(instance), std::move(*changed)};
}

result<powered_engine> resume_libtpms(tpm_version version, snapshot_ptr state,
                                      byte_view volatile_state,
                                      bool physical_presence,
                                      std::size_t key_pool) {
  if (state == nullptr || state->permanent.empty()
      || volatile_state.size() <= ended_by_size)
    return error{errc::engine, "there is no TPM state to go on from"};
  const auto last = volatile_state.back();
  if (last > static_cast<std::uint8_t>(ended_by::shutdown))
    return error{errc::engine, "the volatile state is of a later version"};
  auto library = libtpms_library::claim(version);
  if (!library)
    return library.error();
  (*library)->physical_presence(physical_presence);
  volatile_state = volatile_state.first(volatile_state.size() - ended_by_size);
  (*library)->insert(std::move(state),
                     {volatile_state.begin(), volatile_state.end()});
  auto instance = std::make_unique<libtpms_engine>(std::move(*library));
  auto changed = instance->go_on(static_cast<ended_by>(last));
  if (!changed)
    return changed.error();
  if (key_pool > 0)
    instance->start_key_pool(key_pool);
  return powered_engine{std::move(instance), std::move(*changed)};
}

} // namespace vtpm::tpm
