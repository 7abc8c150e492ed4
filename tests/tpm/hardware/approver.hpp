#pragma once

#include <memory>
#include <string>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <doctest/doctest.h>

#include "tpm/hardware/hardware_tpm.hpp"

namespace vtpm::tests {

/// An administrator who approves PCRs, as with openssl dgst -sha256 -sign.
class approver {
public:
  /// @param key A key of OpenSSL's, which this takes over.
  explicit approver(EVP_PKEY* key) : key_(key, EVP_PKEY_free) {
    REQUIRE(key_);
  }

  /// Returns the public key in PEM.
  std::string pem() const {
    const auto sink = std::unique_ptr<BIO, decltype(&BIO_free)>{
      BIO_new(BIO_s_mem()), BIO_free};
    REQUIRE(PEM_write_bio_PUBKEY(sink.get(), key_.get()) == 1);
    char* octets = nullptr;
    const auto size = BIO_get_mem_data(sink.get(), &octets);
    return {octets, static_cast<std::size_t>(size)};
  }

  tpm::pcr_approval approve(byte_vector policy) const {
    const auto context
      = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>{
        EVP_MD_CTX_new(), EVP_MD_CTX_free};
    REQUIRE(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr,
                               key_.get())
            == 1);
    auto size = std::size_t{1024};
    auto signature = byte_vector(size);
    REQUIRE(EVP_DigestSign(context.get(), signature.data(), &size,
                           policy.data(), policy.size())
            == 1);
    signature.resize(size);
    return {std::move(policy), std::move(signature)};
  }

private:
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
};

} // namespace vtpm::tests
