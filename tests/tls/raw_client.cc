// SPDX-License-Identifier: GPL-3.0-or-later
#include "raw_client.h"

#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/hmac.h>

#include <algorithm>
#include <cstring>

#include "hello_builder.h"

namespace ringpost::test {
std::string ExpandLabel(const std::string& secret, const std::string& label, std::size_t length) {
  const std::string info = Number(length, 2) + Vector(1, "tls13 " + label) + Vector(1, "");
  std::string out(length, '\0');
  EXPECT_EQ(
      wc_HKDF_Expand(WC_SHA256, reinterpret_cast<const unsigned char*>(secret.data()),
                     static_cast<word32>(secret.size()),
                     reinterpret_cast<const unsigned char*>(info.data()),
                     static_cast<word32>(info.size()), reinterpret_cast<unsigned char*>(out.data()),
                     static_cast<word32>(length)),
      0);
  return out;
}

RawClient::RawClient(TlsVersions versions)
    : versions_(versions),
      context_(
          wolfSSL_CTX_new(tls13() ? wolfTLSv1_3_client_method() : wolfTLSv1_2_client_method())) {
  RawChannel::Prepare(context_);
  EXPECT_EQ(wolfSSL_CTX_set_cipher_list(
                context_, tls13() ? "TLS13-AES128-GCM-SHA256"
                                  : "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"),
            WOLFSSL_SUCCESS);
  ssl_ = wolfSSL_new(context_);
  channel_.Attach(ssl_);
}

RawClient::~RawClient() {
  wolfSSL_free(ssl_);
  wolfSSL_CTX_free(context_);
}

void RawClient::Handshake(Side& server, const Tamper& tamper) {
  ASSERT_TRUE(TryHandshake(server, tamper)) << server.engine->error();
}

bool RawClient::TryHandshake(Side& server, const Tamper& tamper) {
  for (int turn = 0; turn < 10; ++turn) {
    const int result = wolfSSL_connect(ssl_);
    std::string flight = std::exchange(channel_.out, {});
    if (tamper) {
      tamper(flight);
    }
    server.Receive(flight);
    const TlsOutcome outcome = server.Handshake();
    if (outcome != TlsOutcome::kDone && outcome != TlsOutcome::kNeedInput) {
      return false;
    }
    channel_.in += Side::Drain(server.cipher_out);
    if (result == WOLFSSL_SUCCESS && outcome == TlsOutcome::kDone) {
      TakeKeys();
      return true;
    }
  }
  return false;
}

void RawClient::TakeKeys13() {
  const std::string key = ExpandLabel(secret_, "key", key_.size());
  const std::string nonce = ExpandLabel(secret_, "iv", nonce_.size());
  std::copy(key.begin(), key.end(), key_.begin());
  std::copy(nonce.begin(), nonce.end(), nonce_.begin());
  sequence_ = 0;
}

void RawClient::UseX25519() {
  EXPECT_EQ(wolfSSL_UseSupportedCurve(ssl_, WOLFSSL_ECC_X25519), WOLFSSL_SUCCESS);
}

void RawClient::UseCertificate(const std::string& cert_pem, const std::string& key_pem) {
  EXPECT_EQ(wolfSSL_use_certificate_chain_buffer(
                ssl_, reinterpret_cast<const unsigned char*>(cert_pem.data()),
                static_cast<long>(cert_pem.size())),
            WOLFSSL_SUCCESS);
  EXPECT_EQ(
      wolfSSL_use_PrivateKey_buffer(ssl_, reinterpret_cast<const unsigned char*>(key_pem.data()),
                                    static_cast<long>(key_pem.size()), WOLFSSL_FILETYPE_PEM),
      WOLFSSL_SUCCESS);
}

bool RawClient::ChangeCertificateVerify(std::string& flight, const Change& change) const {
  constexpr char kHandshake = 22;
  constexpr char kApplicationData = 23;
  constexpr char kCertificateVerify = 15;
  constexpr std::size_t kHeader = 5;
  constexpr std::size_t kTag = 16;
  Aes aes;
  std::string iv;
  const std::string secret = channel_.secret(CLIENT_HANDSHAKE_TRAFFIC_SECRET);
  if (tls13() && !secret.empty()) {
    const std::string key = ExpandLabel(secret, "key", 16);
    iv = ExpandLabel(secret, "iv", 12);
    EXPECT_EQ(wc_AesInit(&aes, nullptr, INVALID_DEVID), 0);
    EXPECT_EQ(wc_AesGcmSetKey(&aes, reinterpret_cast<const unsigned char*>(key.data()), 16), 0);
  }
  const auto nonce = [&](std::size_t sequence) {
    std::string octets = iv;
    octets.back() = static_cast<char>(octets.back() ^ static_cast<char>(sequence));
    return octets;
  };
  const auto octets = [](std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
  };

  std::string changed;
  std::size_t read = 0;
  std::size_t written = 0;
  bool found = false;
  for (std::size_t at = 0; at + kHeader <= flight.size();) {
    std::string header = flight.substr(at, kHeader);
    const std::size_t length = static_cast<std::size_t>(static_cast<unsigned char>(header[3]))
                                   << 8 |
                               static_cast<unsigned char>(header[4]);
    std::string content = flight.substr(at + kHeader, length);
    at += kHeader + length;
    if (!tls13()) {
      if (header[0] == kHandshake && content[0] == kCertificateVerify) {
        found = true;
        change(content);
        if (content.empty()) {
          continue;
        }
      }
      changed += header + content;
      continue;
    }
    if (header[0] != kApplicationData || iv.empty()) {
      changed += header + content;
      continue;
    }
    std::string tag = content.substr(content.size() - kTag);
    content.resize(content.size() - kTag);
    std::string number = nonce(read++);
    EXPECT_EQ(wc_AesGcmDecrypt(&aes, octets(content), octets(content),
                               static_cast<word32>(content.size()), octets(number), 12, octets(tag),
                               kTag, octets(header), kHeader),
              0);
    if (content[0] == kCertificateVerify) {
      found = true;
      change(content);
      if (content.empty()) {
        continue;
      }
    }
    number = nonce(written++);
    EXPECT_EQ(wc_AesGcmEncrypt(&aes, octets(content), octets(content),
                               static_cast<word32>(content.size()), octets(number), 12, octets(tag),
                               kTag, octets(header), kHeader),
              0);
    changed += header + content + tag;
  }
  if (!iv.empty()) {
    wc_AesFree(&aes);
  }
  flight = changed;
  return found;
}

std::string RawClient::SealKeyUpdate() {
  std::string record = Seal(22, Number(24, 1) + Vector(3, std::string(1, '\0')));
  secret_ = ExpandLabel(secret_, "traffic upd", secret_.size());
  TakeKeys13();
  return record;
}

void RawClient::Resume(WOLFSSL_SESSION* session, PskMode mode) {
  AskForTicket();
  EXPECT_EQ(wolfSSL_set_session(ssl_, session), WOLFSSL_SUCCESS);
  if (mode == PskMode::kAlone) {
    EXPECT_EQ(wolfSSL_no_dhe_psk(ssl_), 0);
  }
}

void RawClient::AskForTicket() { EXPECT_EQ(wolfSSL_UseSessionTicket(ssl_), WOLFSSL_SUCCESS); }

void RawClient::NoExtendedMasterSecret() {
  EXPECT_EQ(wolfSSL_DisableExtendedMasterSecret(ssl_), WOLFSSL_SUCCESS);
}

WOLFSSL_SESSION* RawClient::TakeSession() { return wolfSSL_get1_session(ssl_); }

bool RawClient::resumed() const { return wolfSSL_session_reused(ssl_) == 1; }

void RawClient::TakeKeys() {
  if (tls13()) {
    secret_ = channel_.secret(CLIENT_TRAFFIC_SECRET);
    ASSERT_EQ(secret_.size(), 32U);
    TakeKeys13();
    return;
  }
  ASSERT_EQ(wolfSSL_GetKeySize(ssl_), static_cast<int>(key_.size()));
  std::memcpy(key_.data(), wolfSSL_GetClientWriteKey(ssl_), key_.size());
  std::memcpy(nonce_.data(), wolfSSL_GetClientWriteIV(ssl_), 4);
  sequence_ = 1;  // Finished was 0
}

std::string RawClient::Seal(unsigned type, std::string_view content) {
  std::string text(content);
  std::string bound;
  std::string explicit_nonce;
  std::array<unsigned char, 12> nonce = nonce_;
  const std::string sequence = Number(sequence_++, 8);
  if (tls13()) {
    text += static_cast<char>(type);
    type = 23;
    bound = Number(type, 1) + Number(0x0303, 2) + Number(text.size() + 16, 2);
    for (std::size_t i = 0; i < 8; ++i) {
      nonce[4 + i] =
          static_cast<unsigned char>(nonce[4 + i] ^ static_cast<unsigned char>(sequence[i]));
    }
  } else {
    bound = sequence + Number(type, 1) + Number(0x0303, 2) + Number(text.size(), 2);
    explicit_nonce = sequence;
    std::memcpy(nonce.data() + 4, sequence.data(), 8);
  }
  std::string tag(16, '\0');
  Aes aes;
  EXPECT_EQ(wc_AesInit(&aes, nullptr, INVALID_DEVID), 0);
  EXPECT_EQ(wc_AesGcmSetKey(&aes, key_.data(), static_cast<word32>(key_.size())), 0);
  auto* const octets = reinterpret_cast<unsigned char*>(text.data());
  EXPECT_EQ(wc_AesGcmEncrypt(&aes, octets, octets, static_cast<word32>(text.size()), nonce.data(),
                             static_cast<word32>(nonce.size()),
                             reinterpret_cast<unsigned char*>(tag.data()), 16,
                             reinterpret_cast<const unsigned char*>(bound.data()),
                             static_cast<word32>(bound.size())),
            0);
  wc_AesFree(&aes);
  return Record(type, explicit_nonce + text + tag, 0x0303);
}

std::string RawClient::Open(std::string_view octets) {
  channel_.in += octets;
  std::string text;
  std::array<char, 20000> buffer;
  while (true) {
    const int result = wolfSSL_read(ssl_, buffer.data(), static_cast<int>(buffer.size()));
    if (result <= 0) {
      return text;
    }
    text.append(buffer.data(), static_cast<std::size_t>(result));
  }
}

int RawClient::alert() const {
  WOLFSSL_ALERT_HISTORY history{};
  wolfSSL_get_alert_history(ssl_, &history);
  return history.last_rx.level > 0 ? history.last_rx.code : -1;
}

}  // namespace ringpost::test
