// SPDX-License-Identifier: GPL-3.0-or-later
//
// What wolfSSL asks about the certificates of a peer: of a client that was asked for one, and of a
// server whose certificates are ours to judge.
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ringpost/tls/tls_engine.h"
#include "ringpost/x509/peer_certificate_reader.h"
#include "ringpost/x509/signature.h"
#include "ringpost/x509/x509.h"
#include "tls_callbacks.h"

namespace ringpost {

// wolfSSL's handshake is made to trust nothing and to refuse nothing: what a certificate is worth
// is TrustStore's to say, later, in SMTP. Of the two ways to get there,
// - a verify callback that overrides errors has wolfSSL add each intermediate that claims to be a
//   CA, unverified, to the certificate manager of the context, where it stays, trusted, for all
//   later connections; and it is not asked about certificates that cannot be parsed;
// - this callback comes before that, sees each certificate, replaces the result, and takes away the
//   claim to be a CA, so that nothing is ever added.
// The peer's signature over the handshake is no matter of either: wolfSSL checks it with the leaf's
// key and ends the handshake if it is wrong or missing. Where wolfSSL has no code for that key, it
// is told to go on without: the client then has proved nothing. A server must prove its key: with
// one like that, the handshake fails.
int TlsCallbacks::PeerCertificate(WOLFSSL* ssl, DecodedCert* certificate) {
  certificate->isCA = 0;
  auto* const engine = static_cast<TlsEngine*>(wolfSSL_GetIOReadCtx(ssl));
  if (engine == nullptr) {
    return BAD_FUNC_ARG;
  }
  // The leaf comes last, so in the end this is about the leaf.
  engine->peer_key_read_ = certificate->publicKey != nullptr && certificate->pubKeySize > 0 &&
                           (certificate->keyOID == RSAk || certificate->keyOID == RSAPSSk ||
                            certificate->keyOID == ECDSAk);
  return 0;
}

// Called with the leaf at hand, or with none.
int TlsCallbacks::Verify(int /*verified*/, WOLFSSL_X509_STORE_CTX* store) {
  constexpr int kContinue = 1;
  constexpr int kRefuse = 0;
  auto* const engine = static_cast<TlsEngine*>(store->userCtx);
  // What remains after the callback above.
  bool provable = engine != nullptr && engine->peer_key_read_;
  switch (store->error) {
    case 0:
    case EXTKEYUSE_AUTH_E:  // of these the policy is the judge
    case KEYUSE_SIGNATURE_E:
    case ASN_VERSION_E:
    case RSA_KEY_SIZE_E:
    case ECC_KEY_SIZE_E:
      break;
    case PEER_KEY_ERROR:
      provable = false;
      break;
    default:
      return kRefuse;
  }
  if (store->totalCerts <= 0) {
    return store->error == 0 ? kContinue : kRefuse;
  }
  if (engine == nullptr || store->error_depth != 0) {
    return kRefuse;
  }
  try {
    std::vector<std::string> chain;
    chain.reserve(static_cast<std::size_t>(store->totalCerts));
    for (int i = 0; i < store->totalCerts; ++i) {
      chain.emplace_back(reinterpret_cast<const char*>(store->certs[i].buffer),
                         store->certs[i].length);
    }
    const std::optional<X509View> leaf = ReadX509(chain.front());
    if (leaf.has_value() && IsTooLongRsaKey(leaf->public_key)) {
      provable = false;
    }
    if (!provable) {
      // What is no certificate at all is a broken message, and not a key of another kind. For a
      // server's key wolfSSL does not do it.
      if (!leaf.has_value() || wolfSSL_SetPeerSigUnchecked(engine->ssl_) != WOLFSSL_SUCCESS) {
        return kRefuse;
      }
    }
    engine->peer_certificate_ = ReadPeerCertificate(std::move(chain));
    engine->peer_certificate_->key_proven = provable;
    if (engine->stapled_response_ != nullptr) {
      engine->peer_certificate_->stapled_response =
          std::move(*std::exchange(engine->stapled_response_, nullptr));
    }
  } catch (const std::bad_alloc&) {
    return kRefuse;  // no exception may pass through wolfSSL
  }
  return kContinue;
}

}  // namespace ringpost
