// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tls/tls_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ringpost/crypto/tls_library.h"
#include "suites.h"
#include "tls_callbacks.h"

namespace ringpost {
namespace {

void AppendToList(std::string_view name, std::string& list) {
  if (!list.empty()) {
    list += ':';
  }
  list += name;
}

absl::StatusOr<std::string> SuiteList(const TlsClientOptions& options) {
  std::string list;
  for (const std::string& name : options.suites) {
    const auto* const found =
        std::find_if(kTlsSuites.begin(), kTlsSuites.end(),
                     [&](const TlsSuite& suite) { return suite.name == name; });
    if (found == kTlsSuites.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown cipher suite ", name, "; --list_ciphers prints the known ones"));
    }
    AppendToList(found->library_name, list);
  }
  if (options.suites.empty()) {
    for (const TlsSuite& suite : kTlsSuites) {
      AppendToList(suite.library_name, list);
    }
  }
  return list;
}

absl::StatusOr<std::vector<int>> GroupIds(const TlsClientOptions& options) {
  std::vector<int> ids;
  for (const std::string& name : options.groups) {
    const auto* const found =
        std::find_if(kTlsGroups.begin(), kTlsGroups.end(),
                     [&](const TlsGroup& group) { return group.name == name; });
    if (found == kTlsGroups.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "unknown group ", name, "; known are X25519MLKEM768, X25519, P-256 and P-384"));
    }
    ids.push_back(found->id);
  }
  if (ids.empty() || options.key_shares == 0) {
    return absl::InvalidArgumentError("a TLS client needs at least one group and one key share");
  }
  return ids;
}

absl::Status UseCertificate(WOLFSSL_CTX* context, const TlsClientOptions& options) {
  const std::string_view key = options.key_pem.view();
  if (options.cert_pem.empty() && key.empty()) {
    return absl::OkStatus();
  }
  if (wolfSSL_CTX_use_certificate_chain_buffer_format(
          context, reinterpret_cast<const unsigned char*>(options.cert_pem.data()),
          static_cast<long>(options.cert_pem.size()), WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS) {
    return absl::InvalidArgumentError("the client certificate is not a usable one in PEM form");
  }
  if (wolfSSL_CTX_use_PrivateKey_buffer(context, reinterpret_cast<const unsigned char*>(key.data()),
                                        static_cast<long>(key.size()),
                                        WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS ||
      wolfSSL_CTX_check_private_key(context) != WOLFSSL_SUCCESS) {
    return absl::InvalidArgumentError(
        "the client key does not match the client certificate, or is not an unencrypted one in PEM "
        "form");
  }
  return absl::OkStatus();
}

absl::Status AskForStaples(WOLFSSL_CTX* context) {
  wolfSSL_CTX_SetStapledResponseCb(context, &TlsCallbacks::StapledResponse);
  constexpr unsigned char kNoNonce = 0;
  const bool ok =
      wolfSSL_CTX_UseOCSPStapling(context, WOLFSSL_CSR_OCSP, kNoNonce) == WOLFSSL_SUCCESS &&
      wolfSSL_CTX_EnableOCSPStapling(context) == WOLFSSL_SUCCESS;
  return ok ? absl::OkStatus()
            : absl::ResourceExhaustedError("no memory for a request for OCSP responses");
}

absl::Status JudgeServersBy(WOLFSSL_CTX* context, const TlsClientOptions& options) {
  if (options.server_certificates == ServerCertificates::kTaken) {
    if (!options.ca_pem.empty()) {
      return absl::InvalidArgumentError("a CA where the TLS library is to judge no certificate");
    }
    // No CA is loaded: nothing is trusted in the handshake.
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_PEER, &TlsCallbacks::Verify);
    wolfSSL_CTX_SetProcessPeerCertCb(context, &TlsCallbacks::PeerCertificate);
    return options.ocsp_stapling == OcspStapling::kOn ? AskForStaples(context) : absl::OkStatus();
  }
  if (options.ocsp_stapling == OcspStapling::kOn) {
    return absl::InvalidArgumentError("a stapled OCSP response that nobody would look at");
  }
  if (options.ca_pem.empty()) {
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_NONE, nullptr);
    return absl::OkStatus();
  }
  wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_PEER, nullptr);
  if (wolfSSL_CTX_load_verify_buffer(
          context, reinterpret_cast<const unsigned char*>(options.ca_pem.data()),
          static_cast<long>(options.ca_pem.size()), WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS) {
    return absl::InvalidArgumentError("the CA file holds no usable certificate in PEM form");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<TlsClientContext>> TlsClientContext::Create(
    const TlsClientOptions& options) {
  if (!TlsLibraryStart()) {
    return absl::InternalError("wolfSSL could not be started; its self-test failed");
  }
  absl::StatusOr<std::string> suites = SuiteList(options);
  if (!suites.ok()) {
    return suites.status();
  }
  absl::StatusOr<std::vector<int>> groups = GroupIds(options);
  if (!groups.ok()) {
    return groups.status();
  }

  std::unique_ptr<TlsClientContext> made(new TlsClientContext(options));
  const bool tls12_only = options.versions == TlsVersions::kTls12Only;
  made->context_ =
      wolfSSL_CTX_new(tls12_only ? wolfTLSv1_2_client_method() : wolfTLS_client_method());
  WOLFSSL_CTX* const context = made->context_;
  if (context == nullptr) {
    return absl::ResourceExhaustedError("no memory for a TLS context");
  }
  wolfSSL_CTX_SetDevId(context, TlsCryptoDevice());
  if (!tls12_only) {
    const std::size_t shares = std::min(options.key_shares, groups->size());
    made->key_share_groups_.assign(groups->begin(),
                                   groups->begin() + static_cast<std::ptrdiff_t>(shares));
    const bool tls13_only = options.versions == TlsVersions::kTls13Only;
    if (wolfSSL_CTX_SetMinVersion(context, tls13_only ? WOLFSSL_TLSV1_3 : WOLFSSL_TLSV1_2) !=
        WOLFSSL_SUCCESS) {
      return absl::InternalError("wolfSSL refused the range of TLS versions");
    }
  }
  if (wolfSSL_CTX_set_cipher_list(context, suites->c_str()) != WOLFSSL_SUCCESS ||
      wolfSSL_CTX_set_groups(context, groups->data(), static_cast<int>(groups->size())) !=
          WOLFSSL_SUCCESS ||
      wolfSSL_CTX_set_group_messages(context) != WOLFSSL_SUCCESS) {
    return absl::InternalError("wolfSSL refused the suites or the groups");
  }
  if (options.resumption == TlsResumption::kOn &&
      wolfSSL_CTX_UseSessionTicket(context) != WOLFSSL_SUCCESS) {
    return absl::InternalError("wolfSSL refused session tickets");
  }
  if (absl::Status status = JudgeServersBy(context, options); !status.ok()) {
    return status;
  }
  if (absl::Status status = UseCertificate(context, options); !status.ok()) {
    return status;
  }
  wolfSSL_CTX_set_session_cache_mode(context, WOLFSSL_SESS_CACHE_OFF);
  wolfSSL_CTX_SetIORecv(context, &TlsCallbacks::Receive);
  wolfSSL_CTX_SetIOSend(context, &TlsCallbacks::Send);
  return made;
}

TlsClientContext::~TlsClientContext() {
  if (context_ != nullptr) {
    wolfSSL_CTX_free(context_);
  }
}

TlsSession::~TlsSession() { wolfSSL_SESSION_free(session_); }

}  // namespace ringpost
