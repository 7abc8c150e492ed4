#pragma once

#include <algorithm>
#include <cassert>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <tss2/tss2_esys.h>

#include "tpm/hardware/esys_tpm.hpp"

// One connection to the hardware TPM, and the objects in it that must not stay.

namespace vtpm::tpm {

/// What ESAPI has allocated for an answer.
struct esys_free {
  void operator()(void* memory) const noexcept {
    Esys_Free(memory);
  }
};

template <class T>
using esys_ptr = std::unique_ptr<T, esys_free>;

/// Returns a response code without what it names: a TPM2_RC_ constant, or zero
/// if it is not from a TPM.
TSS2_RC reason_of(TSS2_RC code) noexcept;

/// Returns whether a TPM has refused one of a command's parameters.
bool is_refused_parameter(TSS2_RC code) noexcept;

/// A transient object or a session, flushed with its owner; or a persistent
/// object or an NV index, which only ESAPI forgets then.
class esys_object {
public:
  enum class kind { transient, persistent };

  esys_object() = default;

  esys_object(ESYS_CONTEXT* context, ESYS_TR handle, kind what) noexcept
    : context_(context), handle_(handle), kind_(what) {
    // nop
  }

  esys_object(esys_object&& other) noexcept
    : context_(other.context_),
      handle_(std::exchange(other.handle_, ESYS_TR_NONE)),
      kind_(other.kind_) {
    // nop
  }

  esys_object& operator=(esys_object&& other) noexcept {
    std::swap(context_, other.context_);
    std::swap(handle_, other.handle_);
    std::swap(kind_, other.kind_);
    return *this;
  }

  ~esys_object();

  ESYS_TR get() const noexcept {
    return handle_;
  }

private:
  ESYS_CONTEXT* context_ = nullptr;
  ESYS_TR handle_ = ESYS_TR_NONE;
  kind kind_ = kind::transient;
};

/// A connection, with a session that authorizes and encrypts.
class esys_link {
public:
  static result<std::unique_ptr<esys_link>> open(const esys_options& options);

  esys_link(const esys_link&) = delete;
  esys_link& operator=(const esys_link&) = delete;
  ~esys_link();

  ESYS_CONTEXT* context() const noexcept {
    return context_;
  }

  /// Translates a response code. `what` ends "the hardware TPM cannot ...".
  result<unit> check(TSS2_RC code, const char* what);

  /// Returns whether a call has failed in a way that only a new connection can
  /// mend: it is broken, or the TPM was reset and has lost the session.
  bool is_lost() const noexcept {
    return lost_;
  }

  /// Returns the session, for the next command: `flags` of TPMA_SESSION_DECRYPT
  /// and TPMA_SESSION_ENCRYPT say which parameters are encrypted.
  ESYS_TR session(TPMA_SESSION flags);

  /// Starts another session, salted like that one.
  result<esys_object> start_session(TPM2_SE type);

  /// Returns the storage key, to be used and flushed.
  result<esys_object> storage_key();

  /// Returns an object's or index' Name.
  result<byte_vector> name_of(ESYS_TR object);

  /// Returns one of TPM2_CAP_TPM_PROPERTIES, nullopt if the TPM has it not.
  result<std::optional<std::uint32_t>> property(TPM2_PT which);

private:
  esys_link() = default;

  result<unit> connect(const esys_options& options);
  result<esys_object> make_primary();

  TSS2_TCTI_CONTEXT* tcti_ = nullptr;
  ESYS_CONTEXT* context_ = nullptr;
  std::optional<std::uint32_t> persistent_key_;
  esys_object session_;
  bool lost_ = false;
};

/// Copies octets into one of the TPM's sized buffers.
/// @pre They fit.
template <class Buffer, std::size_t Size, class Octets>
void fill(Buffer& size, std::uint8_t (&target)[Size], const Octets& octets) {
  assert(octets.size() <= Size);
  size = static_cast<Buffer>(octets.size());
  std::copy(octets.begin(), octets.end(), target);
}

} // namespace vtpm::tpm
