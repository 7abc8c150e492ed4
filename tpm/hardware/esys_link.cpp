#include "tpm/hardware/esys_link.hpp"

#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include "tpm/hardware/esys_templates.hpp"

namespace vtpm::tpm {

namespace {

/// Layers of tpm2-tss below which a failure has not come from the TPM.
bool is_from_tpm(TSS2_RC code) noexcept {
  const auto layer = code & TSS2_RC_LAYER_MASK;
  return layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER;
}

/// A session, which every command of ours names, is not there any more.
bool is_lost_session(TSS2_RC code) noexcept {
  return code >= TPM2_RC_REFERENCE_S0 && code <= TPM2_RC_REFERENCE_S6;
}

/// Returns what to do about some codes.
std::string advice(TSS2_RC code) {
  if (!is_from_tpm(code))
    return ": is it there, and does nobody else hold it?";
  switch (code) {
    case TPM2_RC_INITIALIZE:
      return ": it was not started, TPM2_Startup is the platform's to give";
    case TPM2_RC_LOCKOUT:
      return ": too many wrong authorizations, wait or reset the lockout";
    case TPM2_RC_OBJECT_MEMORY:
    case TPM2_RC_SESSION_MEMORY:
      return ": its memory is full, name a TCTI with a resource manager such "
             "as device:/dev/tpmrm0";
    case TPM2_RC_NV_SPACE:
      return ": its NV memory is full, remove an index that nobody needs";
    default:
      return {};
  }
}

} // namespace

TSS2_RC reason_of(TSS2_RC code) noexcept {
  if (!is_from_tpm(code))
    return 0;
  const auto plain = code & ~TSS2_RC_LAYER_MASK;
  // Part 2, 6.6: format one has a parameter, handle or session in it.
  return (plain & TPM2_RC_FMT1) != 0 ? plain & ~(TPM2_RC_N_MASK | TPM2_RC_P)
                                     : plain;
}

bool is_refused_parameter(TSS2_RC code) noexcept {
  return is_from_tpm(code) && (code & TPM2_RC_FMT1) != 0
    && (code & TPM2_RC_P) != 0;
}

esys_object::~esys_object() {
  if (handle_ == ESYS_TR_NONE)
    return;
  // What does not work here has no consequence: the connection is lost.
  if (kind_ == kind::transient)
    Esys_FlushContext(context_, handle_);
  else
    Esys_TR_Close(context_, &handle_);
}

result<std::unique_ptr<esys_link>> esys_link::open(
  const esys_options& options) {
  auto link = std::unique_ptr<esys_link>{new esys_link};
  auto connected = link->connect(options);
  if (!connected)
    return connected.error();
  return link;
}

esys_link::~esys_link() {
  session_ = {};
  if (context_ != nullptr)
    Esys_Finalize(&context_);
  if (tcti_ != nullptr)
    Tss2_TctiLdr_Finalize(&tcti_);
}

result<unit> esys_link::connect(const esys_options& options) {
  auto loaded = check(Tss2_TctiLdr_Initialize(options.tcti.c_str(), &tcti_),
                      "be reached");
  if (!loaded)
    return error{errc::hardware,
                 loaded.error().detail + " (" + options.tcti + ")"};
  auto made = check(Esys_Initialize(&context_, tcti_, nullptr), "be used");
  if (!made)
    return made;
  persistent_key_ = options.storage_key;
  auto auth = TPM2B_AUTH{};
  if (options.owner_auth.size() > sizeof(auth.buffer))
    return error{errc::unusable, "the owner's authorization is too long"};
  fill(auth.size, auth.buffer, options.owner_auth);
  auto known = check(Esys_TR_SetAuth(context_, ESYS_TR_RH_OWNER, &auth),
                     "take the owner's authorization");
  wipe(&auth, sizeof(auth));
  if (!known)
    return known;
  auto started = start_session(TPM2_SE_HMAC);
  if (!started)
    return started.error();
  session_ = *std::move(started);
  return unit{};
}

result<unit> esys_link::check(TSS2_RC code, const char* what) {
  if (code == TSS2_RC_SUCCESS)
    return unit{};
  if (!is_from_tpm(code) || is_lost_session(code))
    lost_ = true;
  return error{errc::hardware,
               std::string{"the hardware TPM cannot "} + what + ": "
                 + Tss2_RC_Decode(code) + advice(code)};
}

ESYS_TR esys_link::session(TPMA_SESSION flags) {
  // Of a handle that is ours, and in our own memory only.
  [[maybe_unused]] const auto code = Esys_TRSess_SetAttributes(
    context_, session_.get(), flags | TPMA_SESSION_CONTINUESESSION, 0xFF);
  assert(code == TSS2_RC_SUCCESS);
  return session_.get();
}

result<esys_object> esys_link::start_session(TPM2_SE type) {
  auto key = storage_key();
  if (!key)
    return key.error();
  auto handle = ESYS_TR{ESYS_TR_NONE};
  auto started = check(
    Esys_StartAuthSession(context_, key->get(), ESYS_TR_NONE, ESYS_TR_NONE,
                          ESYS_TR_NONE, ESYS_TR_NONE, nullptr, type,
                          &parameter_cipher, TPM2_ALG_SHA256, &handle),
    "start a session");
  if (!started)
    return started.error();
  auto session = esys_object{context_, handle, esys_object::kind::transient};
  auto set = check(Esys_TRSess_SetAttributes(
                     context_, handle,
                     TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_ENCRYPT, 0xFF),
                   "encrypt in a session");
  if (!set)
    return set.error();
  return session;
}

result<esys_object> esys_link::storage_key() {
  if (!persistent_key_)
    return make_primary();
  auto handle = ESYS_TR{ESYS_TR_NONE};
  auto found
    = check(Esys_TR_FromTPMPublic(context_, *persistent_key_, ESYS_TR_NONE,
                                  ESYS_TR_NONE, ESYS_TR_NONE, &handle),
            "find its persistent storage key");
  if (!found)
    return found.error();
  return esys_object{context_, handle, esys_object::kind::persistent};
}

result<esys_object> esys_link::make_primary() {
  // The owner's authorization must not travel in clear; before there is a key
  // to salt with, an HMAC shows that we know it and does not say it.
  auto owner = ESYS_TR{ESYS_TR_NONE};
  auto started = check(
    Esys_StartAuthSession(context_, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                          ESYS_TR_NONE, ESYS_TR_NONE, nullptr, TPM2_SE_HMAC,
                          &no_cipher, TPM2_ALG_SHA256, &owner),
    "start a session");
  if (!started)
    return started.error();
  const auto session
    = esys_object{context_, owner, esys_object::kind::transient};
  const auto sensitive = TPM2B_SENSITIVE_CREATE{};
  const auto outside = TPM2B_DATA{};
  const auto pcrs = TPML_PCR_SELECTION{};
  const auto wanted = storage_key_template();
  auto handle = ESYS_TR{ESYS_TR_NONE};
  auto made = check(
    Esys_CreatePrimary(context_, ESYS_TR_RH_OWNER, session.get(), ESYS_TR_NONE,
                       ESYS_TR_NONE, &sensitive, &wanted, &outside, &pcrs,
                       &handle, nullptr, nullptr, nullptr, nullptr),
    "make its storage key, is the owner's authorization right?");
  if (!made)
    return made.error();
  return esys_object{context_, handle, esys_object::kind::transient};
}

result<byte_vector> esys_link::name_of(ESYS_TR object) {
  TPM2B_NAME* name = nullptr;
  auto got = check(Esys_TR_GetName(context_, object, &name), "name an object");
  const auto owned = esys_ptr<TPM2B_NAME>{name};
  if (!got)
    return got.error();
  return byte_vector{name->name, name->name + name->size};
}

result<std::optional<std::uint32_t>> esys_link::property(TPM2_PT which) {
  TPMS_CAPABILITY_DATA* data = nullptr;
  auto got = check(Esys_GetCapability(context_, ESYS_TR_NONE, ESYS_TR_NONE,
                                      ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES,
                                      which, 1, nullptr, &data),
                   "tell its properties");
  const auto owned = esys_ptr<TPMS_CAPABILITY_DATA>{data};
  if (!got)
    return got.error();
  const auto& found = data->data.tpmProperties;
  if (found.count == 0 || found.tpmProperty[0].property != which)
    return std::optional<std::uint32_t>{};
  return std::optional<std::uint32_t>{found.tpmProperty[0].value};
}

} // namespace vtpm::tpm
