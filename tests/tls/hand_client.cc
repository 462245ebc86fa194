// SPDX-License-Identifier: GPL-3.0-or-later
#include "hand_client.h"

#include <gtest/gtest.h>
#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/curve25519.h>
#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include <utility>

namespace ringpost::test {
namespace {

constexpr std::size_t kHashBytes = 32;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kHeaderBytes = 5;
constexpr int kFinished = 20;

unsigned char* Octets(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* Octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
word32 Length(std::string_view text) { return static_cast<word32>(text.size()); }

std::size_t Read(std::string_view octets) {
  std::size_t value = 0;
  for (const char octet : octets) {
    value = value << 8 | static_cast<unsigned char>(octet);
  }
  return value;
}

std::string Hash(std::string_view text) {
  std::string out(kHashBytes, '\0');
  EXPECT_EQ(wc_Sha256Hash(Octets(text), Length(text), Octets(out)), 0);
  return out;
}

std::string Extract(std::string_view salt, std::string key) {
  std::string out(kHashBytes, '\0');
  EXPECT_EQ(
      wc_HKDF_Extract(WC_SHA256, Octets(salt), Length(salt), Octets(key), Length(key), Octets(out)),
      0);
  return out;
}

std::string Expand(std::string_view secret, std::string_view label, std::string_view context,
                   std::size_t length) {
  const std::string info =
      Number(length, 2) + Vector(1, "tls13 " + std::string(label)) + Vector(1, context);
  std::string out(length, '\0');
  EXPECT_EQ(wc_HKDF_Expand(WC_SHA256, Octets(secret), Length(secret), Octets(info), Length(info),
                           Octets(out), Length(out)),
            0);
  return out;
}

std::string Hmac(std::string_view key, std::string_view text) {
  ::Hmac hmac;
  std::string out(kHashBytes, '\0');
  EXPECT_EQ(wc_HmacInit(&hmac, nullptr, INVALID_DEVID), 0);
  EXPECT_EQ(wc_HmacSetKey(&hmac, WC_SHA256, Octets(key), Length(key)), 0);
  EXPECT_EQ(wc_HmacUpdate(&hmac, Octets(text), Length(text)), 0);
  EXPECT_EQ(wc_HmacFinal(&hmac, Octets(out)), 0);
  wc_HmacFree(&hmac);
  return out;
}

std::string NonceOf(std::string_view secret, unsigned number) {
  std::string nonce = Expand(secret, "iv", "", 12);
  nonce[11] = static_cast<char>(nonce[11] ^ static_cast<char>(number));
  nonce[10] = static_cast<char>(nonce[10] ^ static_cast<char>(number >> 8));
  return nonce;
}

// Opens the record in place; false: not with this secret.
bool Open(std::string_view secret, unsigned number, std::string_view header, std::string& sealed) {
  const std::string key = Expand(secret, "key", "", 16);
  const std::string nonce = NonceOf(secret, number);
  const std::string tag = sealed.substr(sealed.size() - kTagBytes);
  sealed.resize(sealed.size() - kTagBytes);
  Aes aes;
  EXPECT_EQ(wc_AesInit(&aes, nullptr, INVALID_DEVID), 0);
  EXPECT_EQ(wc_AesGcmSetKey(&aes, Octets(key), Length(key)), 0);
  const int result =
      wc_AesGcmDecrypt(&aes, Octets(sealed), Octets(sealed), Length(sealed), Octets(nonce),
                       Length(nonce), Octets(tag), kTagBytes, Octets(header), kHeaderBytes);
  wc_AesFree(&aes);
  return result == 0;
}

}  // namespace

HandClient::HandClient() : private_key_(32, '\x5a'), public_key_(32, '\0') {
  private_key_.front() = '\x58';  // RFC 7748 5: as a private key must be
  private_key_.back() = '\x5a';
  EXPECT_EQ(wc_curve25519_make_pub(32, Octets(public_key_), 32, Octets(private_key_)), 0);
}

HelloBuilder HandClient::Hello() const {
  HelloBuilder hello = HelloBuilder::Usual();
  hello.suites = {0x1301, 0xc02b, 0xc02f};
  return hello.Set(kKeyShare, Vector(2, Number(0x001d, 2) + Vector(2, public_key_)));
}

void HandClient::Retry(std::string_view record) {
  const std::size_t length = Read(record.substr(3, 2));
  const std::string first = Hash(transcript_);
  transcript_ = Number(254, 1) + Vector(3, first);
  transcript_ += record.substr(kHeaderBytes, length);
}

std::vector<int> HandClient::ReadFlight(std::string_view flight) {
  std::vector<int> types;
  std::string server;
  unsigned opened = 0;
  std::string messages;
  for (std::size_t at = 0; at + kHeaderBytes <= flight.size();) {
    const std::string_view header = flight.substr(at, kHeaderBytes);
    std::string content(flight.substr(at + kHeaderBytes, Read(header.substr(3, 2))));
    at += kHeaderBytes + content.size();
    if (header[0] == 22 && server_hello_.empty()) {
      server_hello_ = content;
      transcript_ += content;
      types.push_back(content[0]);
      const std::string share = ExtensionOf(content, kKeyShare);
      if (share.size() != 4 + 32) {
        return {};
      }
      curve25519_key ours;
      curve25519_key theirs;
      EXPECT_EQ(wc_curve25519_init(&ours), 0);
      EXPECT_EQ(wc_curve25519_init(&theirs), 0);
      EXPECT_EQ(
          wc_curve25519_import_private_ex(Octets(private_key_), 32, &ours, EC25519_LITTLE_ENDIAN),
          0);
      EXPECT_EQ(wc_curve25519_import_public_ex(Octets(std::string_view(share).substr(4)), 32,
                                               &theirs, EC25519_LITTLE_ENDIAN),
                0);
      std::string shared(32, '\0');
      word32 size = 32;
      EXPECT_EQ(wc_curve25519_shared_secret_ex(&ours, &theirs, Octets(shared), &size,
                                               EC25519_LITTLE_ENDIAN),
                0);
      wc_curve25519_free(&ours);
      wc_curve25519_free(&theirs);
      const std::string early = Extract(std::string(kHashBytes, '\0'), std::string(kHashBytes, 0));
      const std::string derived = Expand(early, "derived", Hash(""), kHashBytes);
      const std::string handshake = Extract(derived, shared);
      secret_ = Expand(handshake, "c hs traffic", Hash(transcript_), kHashBytes);
      server = Expand(handshake, "s hs traffic", Hash(transcript_), kHashBytes);
      continue;
    }
    if (header[0] != 23 || server.empty()) {
      continue;  // change_cipher_spec
    }
    if (!Open(server, opened++, header, content)) {
      return {};
    }
    content.pop_back();  // the type
    messages += content;
    while (messages.size() >= 4 && messages.size() >= 4 + Read(messages.substr(1, 3))) {
      const std::string message = messages.substr(0, 4 + Read(messages.substr(1, 3)));
      messages.erase(0, message.size());
      transcript_ += message;
      types.push_back(message[0]);
      if (message[0] == kFinished) {
        return types;
      }
    }
  }
  return {};
}

std::string HandClient::FinishedMessage() const {
  const std::string key = Expand(secret_, "finished", "", kHashBytes);
  return Number(kFinished, 1) + Vector(3, Hmac(key, Hash(transcript_)));
}

std::string HandClient::Finished(std::size_t size) {
  const std::string message = FinishedMessage();
  std::string records;
  for (std::size_t at = 0; at < message.size(); at += size) {
    records += Seal(22, message.substr(at, size));
  }
  return records;
}

std::string HandClient::Seal(unsigned type, std::string_view content) {
  const std::string key = Expand(secret_, "key", "", 16);
  const std::string nonce = NonceOf(secret_, sealed_++);
  std::string text = std::string(content) + static_cast<char>(type);
  const std::string header = Number(23, 1) + Number(0x0303, 2) + Number(text.size() + kTagBytes, 2);
  std::string tag(kTagBytes, '\0');
  Aes aes;
  EXPECT_EQ(wc_AesInit(&aes, nullptr, INVALID_DEVID), 0);
  EXPECT_EQ(wc_AesGcmSetKey(&aes, Octets(key), Length(key)), 0);
  EXPECT_EQ(wc_AesGcmEncrypt(&aes, Octets(text), Octets(text), Length(text), Octets(nonce),
                             Length(nonce), Octets(tag), kTagBytes, Octets(header), kHeaderBytes),
            0);
  wc_AesFree(&aes);
  return header + text + tag;
}

std::string ExtensionOf(std::string_view server_hello, unsigned type) {
  std::size_t at = 4 + 2 + 32;
  at += 1 + Read(server_hello.substr(at, 1));  // session id
  at += 2 + 1 + 2;                             // suite, compression, length of the list
  while (at + 4 <= server_hello.size()) {
    const std::size_t length = Read(server_hello.substr(at + 2, 2));
    if (Read(server_hello.substr(at, 2)) == type) {
      return std::string(server_hello.substr(at + 4, length));
    }
    at += 4 + length;
  }
  return "none";
}

}  // namespace ringpost::test
