// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a peer presented in its handshake, whatever it is worth: the chain as sent, and the leaf's
// facts as the policies and the log need them. Proven is only that the peer holds the leaf's
// private key (its CertificateVerify was good), and even that only where key_proven says so; trust
// is TrustStore's to judge.
//
// Owner: the TLS engine makes it when the handshake is complete; the session takes it. Immutable.
// Of clients only those have one that presented a certificate.
#ifndef RINGPOST_X509_PEER_CERTIFICATE_H_
#define RINGPOST_X509_PEER_CERTIFICATE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ringpost/base/fingerprint.h"

namespace ringpost {

struct PeerCertificate {
  // DER, the leaf first, as sent. Empty: too large to be kept (SessionPolicy::kKeptMax).
  std::vector<std::string> chain;
  // What a server that was asked for it stapled for the leaf: an OCSP response, as sent. Empty:
  // nothing.
  std::string stapled_response;
  // False: wolfSSL has no code for a key of this kind, so that anybody may have presented this.
  bool key_proven = false;
  // For the log: "CN=mail.contoso.example, O=Contoso"; printable, at most 256 octets, cut with
  // "...".
  std::string subject;
  std::string issuer;
  // The one common name of the subject, for people to read; empty if there is none, several, or one
  // with a NUL or control character.
  std::string common_name;
  // The same as a host name in lower case, the only form that is ever matched; empty: it is none,
  // or there are dNSNames.
  std::string common_host_name;
  // SAN dNSNames in lower case, in the certificate's order. A name with a NUL or anything else that
  // is not a host name or a wildcard for one is left out (PROTOCOL 44).
  std::vector<std::string> names;
  bool has_dns_names = false;  // also where none of them was any good
  // SAN iPAddresses as they stand there: 4 or 16 octets each, in network order. Others are left
  // out.
  std::vector<std::string> addresses;
  Fingerprint certificate{};    // of the whole leaf
  Fingerprint public_key{};     // of its SubjectPublicKeyInfo
  std::int64_t not_before = 0;  // seconds since the epoch
  std::int64_t not_after = 0;
  // The purposes it may be used for: extended key usage, or both where it has none or "any"; false
  // also where its key usage forbids signatures.
  bool client_auth = false;
  bool server_auth = false;

  // What all of it takes in memory, in octets, what the allocator adds included.
  [[nodiscard]] std::size_t MemoryOctets() const;
};

}  // namespace ringpost

#endif  // RINGPOST_X509_PEER_CERTIFICATE_H_
