#include "tpm/libtpms_library.hpp"

#include <atomic>
#include <cassert>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include <libtpms/tpm_error.h>
#include <libtpms/tpm_library.h>
#include <libtpms/tpm_nvfilename.h>

#include "protocol/big_endian.hpp"
#include "protocol/error_response.hpp"
#include "protocol/tpm_header.hpp"
#include "protocol/tpmif.hpp"
#include "tpm/crypto/rsa_method.hpp"

namespace vtpm::tpm {

namespace {

/// Whose TPM the library holds. The callbacks carry no context of ours.
std::atomic<libtpms_library*> holder = nullptr;

error library_error(const char* what, TPM_RESULT code) {
  static constexpr char digits[] = "0123456789abcdef";
  auto detail = std::string{"libtpms: "} + what + " failed with code 0x";
  for (auto shift = 12; shift >= 0; shift -= 4)
    detail += digits[(code >> shift) & 0xf];
  return {errc::engine, std::move(detail)};
}

/// TPM_RC_NO_RESULT (2.0 Part 2, 6.6.3): what the library answers when OpenSSL
/// has no key for it.
constexpr std::uint32_t rc_no_result = 0x154;

std::uint32_t code_of(byte_view packet) noexcept {
  return protocol::load_be<std::uint32_t>(packet.data() + 6);
}

/// Returns whether `packet` is one whole response.
bool well_formed(byte_view packet) noexcept {
  return packet.size() >= protocol::tpm_header::encoded_size
    && packet.size() <= protocol::packet_size_max
    && protocol::load_be<std::uint32_t>(packet.data() + 2) == packet.size();
}

} // namespace

/// What the library calls, always from inside one of our calls to it.
struct libtpms_library::callbacks {
  static TPM_RESULT ready() {
    return TPM_SUCCESS;
  }

  static TPM_RESULT load(unsigned char** data, std::uint32_t* length,
                         std::uint32_t, const char* name) {
    const auto* blob = find(*holder.load()->current_, name);
    if (blob == nullptr || blob->empty())
      return TPM_RETRY; // the library's way to hear "no such file"
    auto* copy = static_cast<unsigned char*>(std::malloc(blob->size()));
    if (copy == nullptr)
      return TPM_FAIL;
    std::memcpy(copy, blob->data(), blob->size());
    *data = copy;
    *length = static_cast<std::uint32_t>(blob->size());
    return TPM_SUCCESS;
  }

  static TPM_RESULT store(const unsigned char* data, std::uint32_t length,
                          std::uint32_t, const char* name) {
    return change(name, {data, length});
  }

  static TPM_RESULT remove(std::uint32_t, const char* name,
                           TPM_BOOL must_exist) {
    const auto* blob = find(*holder.load()->current_, name);
    if (blob == nullptr || blob->empty())
      return must_exist ? TPM_FAIL : TPM_SUCCESS;
    return change(name, {});
  }

  static TPM_RESULT locality(TPM_MODIFIER_INDICATOR* value, std::uint32_t) {
    *value = holder.load()->locality_;
    return TPM_SUCCESS;
  }

  static TPM_RESULT presence(TPM_BOOL* value, std::uint32_t) {
    *value = holder.load()->physical_presence_ ? 1 : 0;
    return TPM_SUCCESS;
  }

  /// Returns the blob of that name, or null for one that we do not keep.
  static const secret_bytes* find(const snapshot& state,
                                  std::string_view name) noexcept {
    if (name == TPM_PERMANENT_ALL_NAME)
      return &state.permanent;
    if (name == TPM_SAVESTATE_NAME)
      return &state.savestate;
    return nullptr;
  }

  static TPM_RESULT change(std::string_view name, byte_view octets) {
    const auto permanent = name == TPM_PERMANENT_ALL_NAME;
    if (!permanent && name != TPM_SAVESTATE_NAME)
      return TPM_SUCCESS; // volatile state is asked for, never stored
    auto& self = *holder.load();
    // An exception must not cross the library's frames. An error makes the TPM
    // fail stop, so that nothing it could not keep is ever acknowledged.
    try {
      auto next = std::make_shared<snapshot>();
      auto blob = secret_bytes(octets.begin(), octets.end());
      next->permanent = permanent ? std::move(blob) : self.current_->permanent;
      next->savestate = permanent ? self.current_->savestate : std::move(blob);
      self.current_ = std::move(next);
      self.changed_ = true;
    } catch (const std::bad_alloc&) {
      return TPM_FAIL;
    }
    return TPM_SUCCESS;
  }
};

result<std::unique_ptr<libtpms_library>> libtpms_library::claim(
  tpm_version version) {
  auto self = std::unique_ptr<libtpms_library>{new libtpms_library(version)};
  libtpms_library* nobody = nullptr;
  if (!holder.compare_exchange_strong(nobody, self.get()))
    return error{errc::engine,
                 "this process has a TPM already; libtpms can "
                 "be only one"};
  self->rsa_ = std::make_unique<rsa_method>(self->cancelled_);
  self->ec_ = std::make_unique<ec_method>();
  if (auto silent = self->silence(); !silent)
    return silent.error();
  auto table = libtpms_callbacks{};
  table.sizeOfStruct = sizeof(table);
  table.tpm_nvram_init = callbacks::ready;
  table.tpm_nvram_loaddata = callbacks::load;
  table.tpm_nvram_storedata = callbacks::store;
  table.tpm_nvram_deletename = callbacks::remove;
  table.tpm_io_init = callbacks::ready;
  table.tpm_io_getlocality = callbacks::locality;
  table.tpm_io_getphysicalpresence = callbacks::presence;
  const auto kind = version == tpm_version::v1_2 ? TPMLIB_TPM_VERSION_1_2
                                                 : TPMLIB_TPM_VERSION_2;
  if (const auto code = TPMLIB_ChooseTPMVersion(kind); code != TPM_SUCCESS)
    return library_error("choosing the TPM version", code);
  if (const auto code = TPMLIB_RegisterCallbacks(&table); code != TPM_SUCCESS)
    return library_error("registering callbacks", code);
  const auto size
    = TPMLIB_SetBufferSize(protocol::packet_size_max, nullptr, nullptr);
  if (size != protocol::packet_size_max)
    return error{errc::engine, "libtpms refuses packets of our page's size"};
  return self;
}

libtpms_library::libtpms_library(tpm_version version)
  : version_(version), current_(std::make_shared<snapshot>()) {
  request_.reserve(protocol::packet_size_max);
}

libtpms_library::~libtpms_library() {
  power_off();
  wipe(response_, response_capacity_);
  std::free(response_);
  if (sink_ >= 0) {
    TPMLIB_SetDebugFD(-1);
    ::close(sink_);
  }
  ec_.reset();
  rsa_.reset();
  auto* self = this;
  holder.compare_exchange_strong(self, nullptr);
}

result<unit> libtpms_library::silence() {
  sink_ = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (sink_ < 0)
    return io_error("cannot open /dev/null", errno);
  TPMLIB_SetDebugFD(sink_);
  return unit{};
}

void libtpms_library::insert(snapshot_ptr state,
                             secret_bytes volatile_state) noexcept {
  assert(!powered_);
  assert(state != nullptr);
  current_ = std::move(state);
  volatile_ = std::move(volatile_state);
  changed_ = false;
}

std::uint32_t libtpms_library::initialize() {
  // The self-test of a TPM 1.2 makes an RSA key to try RSA with, 100 ms on
  // average. No key of a guest is made in here.
  auto testing = std::optional<rsa_method::self_test>{};
  if (version_ == tpm_version::v1_2)
    testing.emplace(*rsa_);
  return TPMLIB_MainInit();
}

result<unit> libtpms_library::power_on() {
  assert(!powered_);
  cancelled_ = false; // no command of before the power cycle
  // Handed over by callback instead, one that does not unpack would be dropped
  // in silence.
  auto code = TPM_RESULT{TPM_SUCCESS};
  if (const auto octets = std::exchange(volatile_, {}); !octets.empty())
    code = TPMLIB_SetState(TPMLIB_STATE_VOLATILE, octets.data(),
                           static_cast<std::uint32_t>(octets.size()));
  if (code == TPM_SUCCESS)
    code = initialize();
  if (code != TPM_SUCCESS) {
    TPMLIB_Terminate();
    return library_error("TPM_Init", code);
  }
  powered_ = true;
  return unit{};
}

void libtpms_library::power_off() noexcept {
  if (powered_)
    TPMLIB_Terminate();
  powered_ = false;
  if (rsa_ != nullptr)
    rsa_->forget();
}

byte_view libtpms_library::process(std::uint8_t locality, byte_view request) {
  assert(locality <= 4);
  assert(request.size() >= protocol::tpm_header::encoded_size);
  assert(request.size() <= protocol::packet_size_max);
  if (!powered_)
    return {};
  locality_ = locality;
  request_.assign(request.begin(), request.end());
  begin_command();
  const auto size = call();
  end_command();
  const auto response = byte_view{response_, size};
  if (!well_formed(response))
    return {};
  if (cancelled_ && code_of(response) == rc_no_result) {
    static const auto cancelled
      = protocol::error_response(version_, protocol::refusal::cancelled);
    return cancelled;
  }
  return response;
}

std::uint32_t libtpms_library::call() {
  auto size = std::uint32_t{0};
  const auto code
    = TPMLIB_Process(&response_, &size, &response_capacity_, request_.data(),
                     static_cast<std::uint32_t>(request_.size()));
  return code == TPM_SUCCESS ? size : 0;
}

void libtpms_library::begin_command() {
  const auto lock = std::lock_guard{running_mutex_};
  running_ = true;
  cancelled_ = false;
}

void libtpms_library::end_command() {
  const auto lock = std::lock_guard{running_mutex_};
  running_ = false;
}

void libtpms_library::cancel() noexcept {
  const auto lock = std::lock_guard{running_mutex_};
  if (!running_ || version_ != tpm_version::v2_0)
    return;
  cancelled_ = true;
  TPMLIB_CancelCommand();
}

snapshot_ptr libtpms_library::take_change() noexcept {
  return std::exchange(changed_, false) ? current_ : nullptr;
}

result<secret_bytes> libtpms_library::volatile_state() const {
  if (!powered_)
    return error{errc::engine, "the TPM is off and has no volatile state"};
  unsigned char* octets = nullptr;
  auto size = std::uint32_t{0};
  const auto code = TPMLIB_GetState(TPMLIB_STATE_VOLATILE, &octets, &size);
  if (code != TPM_SUCCESS)
    return library_error("reading the volatile state", code);
  auto state = secret_bytes{};
  state.reserve(size + 1); // the engine adds an octet
  state.assign(octets, octets + size);
  wipe(octets, size);
  std::free(octets);
  return state;
}

} // namespace vtpm::tpm
