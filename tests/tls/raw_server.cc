// SPDX-License-Identifier: GPL-3.0-or-later
#include "raw_server.h"

#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/aes.h>

#include <cstdlib>
#include <utility>

#include "first_hello.h"
#include "hello_builder.h"
#include "raw_client.h"

namespace ringpost::test {

struct RawServer::Callbacks {
  static int Status(WOLFSSL* ssl, void* context) {
    auto* const server = static_cast<RawServer*>(context);
    server->asked_to_staple_ = true;
    for (const auto& [index, response] : server->staples_) {
      auto* const copy = static_cast<unsigned char*>(std::malloc(response.size()));
      response.copy(reinterpret_cast<char*>(copy), response.size());
      EXPECT_EQ(wolfSSL_set_tlsext_status_ocsp_resp_multi(ssl, copy,
                                                          static_cast<int>(response.size()), index),
                WOLFSSL_SUCCESS);
    }
    return server->staples_.empty() ? WOLFSSL_OCSP_STATUS_CB_NOACK : WOLFSSL_OCSP_STATUS_CB_OK;
  }
};

RawServer::RawServer(TlsVersions versions, const std::string& cert_pem, const std::string& key_pem)
    : context_(wolfSSL_CTX_new(versions == TlsVersions::kTls12Only ? wolfTLSv1_2_server_method()
                                                                   : wolfTLSv1_3_server_method())) {
  RawChannel::Prepare(context_);
  EXPECT_EQ(wolfSSL_CTX_set_cipher_list(
                context_, versions == TlsVersions::kTls12Only
                              ? "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
                              : "TLS13-AES128-GCM-SHA256"),
            WOLFSSL_SUCCESS);
  if (versions != TlsVersions::kTls12Only) {
    EXPECT_EQ(wolfSSL_CTX_no_ticket_TLSv13(context_), 0);
  }
  EXPECT_EQ(wolfSSL_CTX_use_certificate_chain_buffer(
                context_, reinterpret_cast<const unsigned char*>(cert_pem.data()),
                static_cast<long>(cert_pem.size())),
            WOLFSSL_SUCCESS);
  EXPECT_EQ(wolfSSL_CTX_use_PrivateKey_buffer(
                context_, reinterpret_cast<const unsigned char*>(key_pem.data()),
                static_cast<long>(key_pem.size()), WOLFSSL_FILETYPE_PEM),
            WOLFSSL_SUCCESS);
  EXPECT_EQ(wolfSSL_CTX_EnableOCSPStapling(context_), WOLFSSL_SUCCESS);
  EXPECT_EQ(wolfSSL_CTX_set_tlsext_status_cb(context_, &Callbacks::Status), WOLFSSL_SUCCESS);
  EXPECT_EQ(wolfSSL_CTX_set_tlsext_status_arg(context_, this), WOLFSSL_SUCCESS);
  ssl_ = wolfSSL_new(context_);
  channel_.Attach(ssl_);
}

RawServer::~RawServer() {
  wolfSSL_free(ssl_);
  wolfSSL_CTX_free(context_);
}

void RawServer::Staple(std::string response, unsigned index) {
  staples_.emplace_back(index, std::move(response));
}

void RawServer::UseGroup(int group) {
  EXPECT_EQ(wolfSSL_set_groups(ssl_, &group, 1), WOLFSSL_SUCCESS);
}

TlsOutcome RawServer::Handshake(Side& client, const Tamper& tamper) {
  TlsOutcome outcome = client.Handshake();
  for (int turn = 0; turn < 5 && outcome == TlsOutcome::kNeedInput; ++turn) {
    channel_.in += Side::Drain(client.cipher_out);
    (void)wolfSSL_accept(ssl_);
    std::string flight = std::exchange(channel_.out, {});
    asked_again_ |= IsHelloRetryRequest(flight);
    if (tamper) {
      tamper(flight);
    }
    client.Receive(flight);
    outcome = client.Handshake();
  }
  channel_.in += Side::Drain(client.cipher_out);
  (void)wolfSSL_accept(ssl_);
  secret_ = channel_.secret(SERVER_TRAFFIC_SECRET);
  return outcome;
}

int RawServer::alert() const {
  WOLFSSL_ALERT_HISTORY history{};
  wolfSSL_get_alert_history(ssl_, &history);
  return history.last_rx.code;
}

std::string RawServer::Seal(unsigned type, std::string_view content) {
  constexpr std::size_t kTag = 16;
  const std::string key = ExpandLabel(secret_, "key", 16);
  std::string nonce = ExpandLabel(secret_, "iv", 12);
  for (std::size_t i = 0; i < 8; ++i) {
    nonce[11 - i] = static_cast<char>(nonce[11 - i] ^ static_cast<char>(sequence_ >> (8 * i)));
  }
  ++sequence_;
  std::string text = std::string(content) + Number(type, 1);
  const std::string header = Number(23, 1) + Number(0x0303, 2) + Number(text.size() + kTag, 2);
  std::string tag(kTag, '\0');
  const auto octets = [](std::string& buffer) {
    return reinterpret_cast<unsigned char*>(buffer.data());
  };
  Aes aes;
  EXPECT_EQ(wc_AesInit(&aes, nullptr, INVALID_DEVID), 0);
  EXPECT_EQ(wc_AesGcmSetKey(&aes, reinterpret_cast<const unsigned char*>(key.data()), 16), 0);
  EXPECT_EQ(wc_AesGcmEncrypt(&aes, octets(text), octets(text), static_cast<word32>(text.size()),
                             octets(nonce), 12, octets(tag), kTag,
                             reinterpret_cast<const unsigned char*>(header.data()),
                             static_cast<word32>(header.size())),
            0);
  wc_AesFree(&aes);
  return header + text + tag;
}

std::string RawServer::SealKeyUpdate() {
  std::string record = Seal(22, Number(24, 1) + Vector(3, std::string(1, '\0')));
  secret_ = ExpandLabel(secret_, "traffic upd", secret_.size());
  sequence_ = 0;
  return record;
}

}  // namespace ringpost::test
