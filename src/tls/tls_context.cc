// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tls/tls_context.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "certificate.h"
#include "certificate_chain.h"
#include "key_proof.h"
#include "ringpost/crypto/rsa_signer.h"
#include "ringpost/crypto/tls_library.h"
#include "ringpost/x509/chain_warnings.h"
#include "suites.h"
#include "tls_callbacks.h"

namespace ringpost {
namespace {

std::string SuiteList() {
  std::vector<absl::string_view> names;
  for (const TlsSuite& suite : kTlsSuites) {
    names.emplace_back(suite.library_name.data(), suite.library_name.size());
  }
  return absl::StrJoin(names, ":");
}

// Everything that does not depend on the certificate. False: wolfSSL was built without something
// that ringpost counts on.
bool Configure(WOLFSSL_CTX* context, const TlsContextSet* set) {
  std::array<int, kTlsGroups.size()> groups;
  std::transform(kTlsGroups.begin(), kTlsGroups.end(), groups.begin(),
                 [](const TlsGroup& group) { return group.id; });
  bool ok = wolfSSL_CTX_SetMinVersion(context, WOLFSSL_TLSV1_2) == WOLFSSL_SUCCESS &&
            wolfSSL_CTX_set_cipher_list(context, SuiteList().c_str()) == WOLFSSL_SUCCESS &&
            wolfSSL_CTX_set_groups(context, groups.data(), static_cast<int>(groups.size())) ==
                WOLFSSL_SUCCESS &&
            wolfSSL_CTX_set_group_messages(context) == WOLFSSL_SUCCESS &&
            wolfSSL_CTX_only_dhe_psk(context) == 0;  // psk_ke has no forward secrecy
  if (set->ask_certificate()) {
    // No FAIL_IF_NO_PEER_CERT: what is missing is said in SMTP. No CA is ever loaded here: nothing
    // is trusted in the handshake, and the CertificateRequest names no CAs, so that every client
    // feels spoken to.
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_PEER, &TlsCallbacks::Verify);
    wolfSSL_CTX_SetProcessPeerCertCb(context, &TlsCallbacks::PeerCertificate);
  } else {
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_NONE, nullptr);
  }
  // wolfSSL's cache is one per process: its sessions would cross routes and names.
  wolfSSL_CTX_set_session_cache_mode(context, WOLFSSL_SESS_CACHE_OFF);
  wolfSSL_CTX_SetIORecv(context, &TlsCallbacks::Receive);
  wolfSSL_CTX_SetIOSend(context, &TlsCallbacks::Send);

  // Also without keys: wolfSSL has a callback of its own, with keys of its own.
  ok = ok && wolfSSL_CTX_set_TicketEncCb(context, &TlsCallbacks::Ticket) == WOLFSSL_SUCCESS &&
       wolfSSL_CTX_set_TicketEncCtx(context, const_cast<TlsContextSet*>(set)) == WOLFSSL_SUCCESS;
  if (set->ticket_keys() == nullptr) {
    return ok && wolfSSL_CTX_no_ticket_TLSv13(context) == 0 &&
           wolfSSL_CTX_NoTicketTLSv12(context) == WOLFSSL_SUCCESS;
  }
  // A ticket is good for the rest of its key's period and all of the next one.
  constexpr int kLifetimeHint = static_cast<int>(TicketKeys::kPeriodSeconds);
  ok = ok && wolfSSL_CTX_set_TicketHint(context, kLifetimeHint) == WOLFSSL_SUCCESS;
  wolfSSL_CTX_set_timeout(context, 2 * kLifetimeHint);
  return ok;
}

bool IsEcdsa(TlsKeyKind kind) { return kind != TlsKeyKind::kRsa; }

enum class Fit : std::uint8_t { kNone, kLastResort, kGood };

Fit GoodIf(bool condition) { return condition ? Fit::kGood : Fit::kNone; }

// Can this client verify a signature of this key, and does it offer a suite for it?
Fit FitFor(TlsKeyKind kind, const ClientHello& hello) {
  if (!hello.has_signature_algorithms) {
    return Fit::kGood;  // a pre-shared key only, see JudgeClientHello(): no certificate is sent
  }
  if (hello.tls13 && hello.suite_tls13) {
    // RFC 8446 4.2.3: the curve belongs to the algorithm; PKCS#1 does not sign handshakes.
    switch (kind) {
      case TlsKeyKind::kEcdsaP256:
        return GoodIf((hello.signatures & kSignatureEcdsaP256) != 0);
      case TlsKeyKind::kEcdsaP384:
        return GoodIf((hello.signatures & kSignatureEcdsaP384) != 0);
      case TlsKeyKind::kEcdsaP521:
        return GoodIf((hello.signatures & kSignatureEcdsaP521) != 0);
      case TlsKeyKind::kRsa:
        return GoodIf((hello.signatures & kSignatureRsaPss) != 0);
    }
  }
  if (!IsEcdsa(kind)) {
    return GoodIf(hello.suite_rsa &&
                  (hello.signatures & (kSignatureRsaPkcs1 | kSignatureRsaPss)) != 0);
  }
  constexpr unsigned kEcdsa = kSignatureEcdsaP256 | kSignatureEcdsaP384 | kSignatureEcdsaP521;
  if (!hello.suite_ecdsa || (hello.signatures & kEcdsa) == 0) {
    return Fit::kNone;
  }
  // RFC 8422 5.1: the groups also tell which curves a certificate may have. Clients that name only
  // X25519 rarely mean it, so that is better than nothing.
  const bool curve = !hello.has_groups ||
                     (kind == TlsKeyKind::kEcdsaP256 && (hello.groups & kGroupP256) != 0) ||
                     (kind == TlsKeyKind::kEcdsaP384 && (hello.groups & kGroupP384) != 0);
  return curve ? Fit::kGood : Fit::kLastResort;
}

absl::Status WhyKeyDoesNotFit(const TlsCertificatePem& pem, const std::vector<std::string>& chain) {
  if (DescribesItsCurve(pem)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the key ", pem.key_path,
        " spells out its curve instead of naming it; write it anew with: openssl pkey -in ",
        pem.key_path, " -ec_param_enc named_curve -out NEW.key"));
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    const absl::StatusOr<CertificateFacts> facts = ReadCertificate(pem, chain[i]);
    if (facts.ok() && KeySigns(pem, facts->kind, chain[i])) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the key ", pem.key_path, " is that of certificate number ", i + 1, " in ", pem.cert_path,
          "; put that one first, and behind it the one that signed it, and so on"));
    }
  }
  return absl::InvalidArgumentError(absl::StrCat("the key ", pem.key_path,
                                                 " does not match the certificate ", pem.cert_path,
                                                 "; give the pair that was issued together"));
}

}  // namespace

bool TlsNameMatches(std::string_view pattern, std::string_view name) {
  if (pattern == name) {
    return !name.empty();
  }
  if (!pattern.starts_with("*.")) {
    return false;
  }
  const std::size_t dot = name.find('.');
  // At least two labels after the star: nobody has a certificate for a whole top-level domain.
  return dot != std::string_view::npos && dot > 0 && name.substr(dot) == pattern.substr(1) &&
         pattern.find('.', 2) != std::string_view::npos;
}

absl::StatusOr<std::shared_ptr<const TlsContextSet>> TlsContextSet::Load(
    const TlsContextOptions& options, std::int64_t now) {
  if (!TlsLibraryStart()) {
    return absl::InternalError("wolfSSL could not be started; its self-test failed");
  }
  if (options.certificates.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("route ", options.route, " has no certificate; give --cert and --key"));
  }
  std::shared_ptr<TlsContextSet> set(new TlsContextSet);
  set->route_ = options.route;
  set->ask_certificate_ = options.ask_certificate;
  // PROTOCOL 30: a resumed session shows no certificate.
  set->ticket_keys_ = options.ask_certificate ? nullptr : options.ticket_keys;
  for (const TlsCertificatePem& certificate : options.certificates) {
    if (absl::Status status = set->Add(certificate, now); !status.ok()) {
      return status;
    }
  }
  set->MarkDefaults();
  return std::shared_ptr<const TlsContextSet>(std::move(set));
}

absl::Status TlsContextSet::ProveKey(const TlsCertificatePem& certificate) {
  TlsContextOptions options;
  options.certificates = {certificate};
  const absl::StatusOr<std::shared_ptr<const TlsContextSet>> set = Load(options, 0);
  if (!set.ok()) {
    return set.status();
  }
  const absl::StatusOr<std::vector<std::string>> chain = ReadCertificateChain(certificate);
  if (!chain.ok() || !KeySigns(certificate, (*set)->entries_.front().kind, chain->front())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the key ", certificate.key_path, " makes no signature that the certificate ",
        certificate.cert_path,
        " verifies, so no handshake would work; is the key damaged? Have the pair issued again"));
  }
  return absl::OkStatus();
}

TlsContextSet::TlsContextSet() = default;

TlsContextSet::~TlsContextSet() {
  for (const Entry& entry : entries_) {
    wolfSSL_CTX_free(entry.context);
  }
}

absl::Status TlsContextSet::Add(const TlsCertificatePem& certificate, std::int64_t now) {
  const absl::StatusOr<std::vector<std::string>> read = ReadCertificateChain(certificate);
  if (!read.ok()) {
    return read.status();
  }
  absl::StatusOr<CertificateFacts> facts = ReadCertificate(certificate, read->front());
  if (!facts.ok()) {
    return facts.status();
  }
  if (absl::Status status = CheckKeyPem(certificate); !status.ok()) {
    return status;
  }

  WOLFSSL_CTX* const context = wolfSSL_CTX_new(wolfTLS_server_method());
  if (context == nullptr) {
    return absl::ResourceExhaustedError("no memory for a TLS context");
  }
  entries_.push_back({.context = context, .signer = nullptr, .kind = facts->kind});
  summaries_.push_back(facts->summary);
  const TlsCertificateSummary& summary = summaries_.back();

  if (!Configure(context, this)) {
    return absl::InternalError(
        "this wolfSSL was built without a suite, group or feature that ringpost needs; remove the "
        "folder subprojects/wolfssl-* and set up the build again");
  }
  const std::string chain_pem = CertificateChainPem(*read);
  const int chain = wolfSSL_CTX_use_certificate_chain_buffer_format(
      context, reinterpret_cast<const unsigned char*>(chain_pem.data()),
      static_cast<long>(chain_pem.size()), WOLFSSL_FILETYPE_PEM);
  if (chain != WOLFSSL_SUCCESS) {
    return absl::InvalidArgumentError(absl::StrCat("the certificate chain in ",
                                                   certificate.cert_path,
                                                   " cannot be used: ", TlsLibraryError(chain)));
  }
  const int key = wolfSSL_CTX_use_PrivateKey_buffer(
      context, reinterpret_cast<const unsigned char*>(certificate.key_pem.view().data()),
      static_cast<long>(certificate.key_pem.view().size()), WOLFSSL_FILETYPE_PEM);
  if (key != WOLFSSL_SUCCESS || wolfSSL_CTX_check_private_key(context) != WOLFSSL_SUCCESS) {
    return WhyKeyDoesNotFit(certificate, *read);
  }

  if (facts->kind == TlsKeyKind::kRsa) {
    entries_.back().signer = RsaSigner::Make(ReadKeyDer(certificate).view());
    if (entries_.back().signer == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("the RSA key ", certificate.key_path,
                       " cannot be used; write it anew with: openssl pkey -in ",
                       certificate.key_path, " -out NEW.key"));
    }
    wolfSSL_CTX_SetRsaSignCb(context, &TlsCallbacks::RsaSign);
    wolfSSL_CTX_SetRsaPssSignCb(context, &TlsCallbacks::RsaPssSign);
  }

  const auto day = [](std::int64_t seconds) {
    return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixSeconds(seconds),
                            absl::UTCTimeZone());
  };
  if (now >= summary.not_after) {
    warnings_.push_back(absl::StrCat("the certificate ", certificate.cert_path, " expired on ",
                                     day(summary.not_after),
                                     "; senders that verify will refuse it"));
  } else if (now < summary.not_before) {
    warnings_.push_back(absl::StrCat("the certificate ", certificate.cert_path,
                                     " is valid only from ", day(summary.not_before)));
  }
  for (std::string& warning : ChainWarnings(*read, certificate.cert_path, now)) {
    warnings_.push_back(std::move(warning));
  }
  return absl::OkStatus();
}

void TlsContextSet::MarkDefaults() {
  const std::vector<std::string>& names = summaries_.front().names;
  entries_.front().is_default = true;
  for (std::size_t i = 1; i < entries_.size(); ++i) {
    entries_[i].is_default = std::any_of(
        summaries_[i].names.begin(), summaries_[i].names.end(), [&](const std::string& name) {
          return std::find(names.begin(), names.end(), name) != names.end();
        });
  }
}

TlsContextSet::Match TlsContextSet::MatchName(std::size_t index, std::string_view name) const {
  Match best = entries_[index].is_default ? Match::kDefault : Match::kNone;
  if (name.empty()) {
    return best;
  }
  for (const std::string& pattern : summaries_[index].names) {
    if (pattern == name) {
      return Match::kExact;
    }
    if (TlsNameMatches(pattern, name)) {
      best = Match::kWildcard;
    }
  }
  return best;
}

WOLFSSL_CTX* TlsContextSet::Choose(const ClientHello& hello) const {
  WOLFSSL_CTX* best = nullptr;
  // The name counts most. ECDSA before RSA: a signature on P-256 costs 13 µs, one of RSA-2048 some
  // 200.
  std::tuple<Match, Fit, bool> best_rank;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Match match = MatchName(i, hello.sni());
    const Fit fit = FitFor(entries_[i].kind, hello);
    const std::tuple rank(match, fit, IsEcdsa(entries_[i].kind));
    if (match != Match::kNone && fit != Fit::kNone && (best == nullptr || rank > best_rank)) {
      best = entries_[i].context;
      best_rank = rank;
    }
  }
  return best;
}

RsaSigner* TlsContextSet::SignerOf(const WOLFSSL_CTX* context) const {
  const auto entry = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& candidate) {
    return candidate.context == context;
  });
  return entry == entries_.end() ? nullptr : entry->signer.get();
}

std::vector<std::string> OfferedCiphers() {
  std::vector<std::string> lines;
  for (const TlsSuite& suite : kTlsSuites) {
    lines.push_back(std::string(suite.version) + " " + std::string(suite.name));
  }
  return lines;
}

std::vector<std::string> OfferedGroups() {
  std::vector<std::string> lines;
  for (const TlsGroup& group : kTlsGroups) {
    lines.emplace_back(group.name);
  }
  return lines;
}

}  // namespace ringpost
