#include "tpm/hardware/esys_counter.hpp"

#include "protocol/big_endian.hpp"
#include "tpm/hardware/esys_templates.hpp"

namespace vtpm::tpm {

namespace {

std::string place_of(const nv_counter& counter) {
  constexpr auto digits = "0123456789ABCDEF";
  auto out = std::string{"NV index 0x"};
  for (auto shift = 28; shift >= 0; shift -= 4)
    out += digits[counter.index >> shift & 0xF];
  return out;
}

error is_another(const nv_counter& counter) {
  return {errc::not_found,
          place_of(counter)
            + " of the hardware TPM is not a counter of this "
              "kind: is it the right TPM?"};
}

/// Translates what a command on the index has come to.
result<unit> check(esys_link& link, TSS2_RC code, const nv_counter& counter,
                   const char* what) {
  const auto reason = reason_of(code);
  if (reason == TPM2_RC_AUTH_FAIL || reason == TPM2_RC_BAD_AUTH)
    return error{errc::wrong_key,
                 place_of(counter)
                   + " of the hardware TPM is not ours: it has "
                     "another authorization"};
  return link.check(code, what);
}

/// Makes the index' authorization known to ESAPI, for HMACs.
result<unit> authorize(esys_link& link, const esys_object& index,
                       const nv_counter& counter) {
  auto auth = TPM2B_AUTH{};
  assert(counter.auth.size() <= sizeof(auth.buffer));
  fill(auth.size, auth.buffer, counter.auth);
  auto set = link.check(Esys_TR_SetAuth(link.context(), index.get(), &auth),
                        "take an authorization");
  wipe(&auth, sizeof(auth));
  return set;
}

/// Refuses an index that somebody else has made, with other properties.
result<unit> check_kind(esys_link& link, const esys_object& index,
                        const nv_counter& counter) {
  TPM2B_NV_PUBLIC* area = nullptr;
  auto read
    = link.check(Esys_NV_ReadPublic(link.context(), index.get(), ESYS_TR_NONE,
                                    ESYS_TR_NONE, ESYS_TR_NONE, &area, nullptr),
                 "describe an NV index");
  const auto owned = esys_ptr<TPM2B_NV_PUBLIC>{area};
  if (!read)
    return read;
  const auto wanted = counter_template(counter).nvPublic.attributes;
  if ((area->nvPublic.attributes & ~TPMA_NV_WRITTEN) != wanted)
    return is_another(counter);
  return unit{};
}

result<esys_object> find(esys_link& link, const nv_counter& counter) {
  auto handle = ESYS_TR{ESYS_TR_NONE};
  const auto code
    = Esys_TR_FromTPMPublic(link.context(), counter.index, ESYS_TR_NONE,
                            ESYS_TR_NONE, ESYS_TR_NONE, &handle);
  if (reason_of(code) == TPM2_RC_HANDLE)
    return error{errc::not_found,
                 "there is no counter at " + place_of(counter)
                   + " of the hardware TPM: is it the right TPM, or was it "
                     "cleared?"};
  auto found = link.check(code, "find an NV index");
  if (!found)
    return found.error();
  auto index
    = esys_object{link.context(), handle, esys_object::kind::persistent};
  auto right = check_kind(link, index, counter);
  if (!right)
    return right.error();
  auto authorized = authorize(link, index, counter);
  if (!authorized)
    return authorized.error();
  return index;
}

/// Returns by how much a counter of this kind jumps.
result<std::uint64_t> window_of(esys_link& link, counter_kind kind) {
  if (kind == counter_kind::strict)
    return std::uint64_t{0};
  auto count = link.property(TPM2_PT_ORDERLY_COUNT);
  if (!count)
    return count.error();
  // Part 2, 6.13: of the form 2^N - 1.
  const auto window = std::uint64_t{count->value_or(0)};
  if (window == 0 || (window & (window + 1)) != 0)
    return error{errc::hardware,
                 "the hardware TPM does not say how it keeps orderly counters: "
                 "take --counter strict"};
  return window;
}

result<counter_reading> read(esys_link& link, const esys_object& index,
                             const nv_counter& counter) {
  auto window = window_of(link, counter.kind);
  if (!window)
    return window.error();
  TPM2B_MAX_NV_BUFFER* data = nullptr;
  const auto code
    = Esys_NV_Read(link.context(), index.get(), index.get(),
                   link.session(TPMA_SESSION_ENCRYPT), ESYS_TR_NONE,
                   ESYS_TR_NONE, sizeof(std::uint64_t), 0, &data);
  const auto owned = esys_ptr<TPM2B_MAX_NV_BUFFER>{data};
  auto got = check(link, code, counter, "read its counter");
  if (!got)
    return got.error();
  if (data->size != sizeof(std::uint64_t))
    return is_another(counter);
  return counter_reading{protocol::load_be<std::uint64_t>(data->buffer),
                         *window};
}

result<counter_reading> increment(esys_link& link, const esys_object& index,
                                  const nv_counter& counter) {
  const auto code
    = Esys_NV_Increment(link.context(), index.get(), index.get(),
                        link.session(0), ESYS_TR_NONE, ESYS_TR_NONE);
  auto counted = check(link, code, counter, "count");
  if (!counted)
    return counted.error();
  return read(link, index, counter);
}

} // namespace

result<counter_reading> define_counter(esys_link& link,
                                       const nv_counter& counter) {
  auto auth = TPM2B_AUTH{};
  assert(counter.auth.size() <= sizeof(auth.buffer));
  fill(auth.size, auth.buffer, counter.auth);
  const auto area = counter_template(counter);
  auto handle = ESYS_TR{ESYS_TR_NONE};
  const auto code = Esys_NV_DefineSpace(
    link.context(), ESYS_TR_RH_OWNER, link.session(TPMA_SESSION_DECRYPT),
    ESYS_TR_NONE, ESYS_TR_NONE, &auth, &area, &handle);
  wipe(&auth, sizeof(auth));
  if (reason_of(code) == TPM2_RC_NV_DEFINED)
    return error{errc::exists,
                 "there is something at " + place_of(counter)
                   + " of the hardware TPM already: name another index, or "
                     "remove it with tpm2_nvundefine if nobody needs it"};
  auto defined = link.check(code, "make a counter");
  if (!defined)
    return defined.error();
  const auto index
    = esys_object{link.context(), handle, esys_object::kind::persistent};
  return increment(link, index, counter);
}

result<counter_reading> read_counter(esys_link& link,
                                     const nv_counter& counter) {
  auto index = find(link, counter);
  if (!index)
    return index.error();
  return read(link, *index, counter);
}

result<counter_reading> increment_counter(esys_link& link,
                                          const nv_counter& counter) {
  auto index = find(link, counter);
  if (!index)
    return index.error();
  return increment(link, *index, counter);
}

result<unit> remove_counter(esys_link& link, const nv_counter& counter) {
  auto index = find(link, counter);
  if (!index)
    return index.error();
  return link.check(Esys_NV_UndefineSpace(link.context(), ESYS_TR_RH_OWNER,
                                          index->get(), link.session(0),
                                          ESYS_TR_NONE, ESYS_TR_NONE),
                    "remove a counter");
}

} // namespace vtpm::tpm
