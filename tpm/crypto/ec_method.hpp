#pragma once

namespace vtpm::tpm {

/// While one of these lives, ECDSA signatures on P-256 are computed by
/// OpenSSL's own code for that curve, for whoever asks in this process, also if
/// the curve was given by its parameters and not by its name. libtpms does so,
/// and gets code that works for any curve and takes ten times as long.
///
/// Like `rsa_method`, this is OpenSSL's own extension point, an EC_KEY_METHOD
/// set as the default. What a library computes point by point, as libtpms does
/// for the public part of a new key, has none.
class ec_method {
public:
  /// @pre No other one lives, and no other thread uses EC keys until this one
  ///      is constructed, or while it is destroyed.
  ec_method();

  ~ec_method();

  ec_method(const ec_method&) = delete;
  ec_method& operator=(const ec_method&) = delete;
};

} // namespace vtpm::tpm
