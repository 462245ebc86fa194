// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the tests of this layer share: certificates made once per run by tools/make-certs, a pool,
// and a pair of engines joined in memory.
#ifndef RINGPOST_TESTS_TLS_TLS_FIXTURE_H_
#define RINGPOST_TESTS_TLS_TLS_FIXTURE_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../base/support.h"
#include "ringpost/base/buffer_pool.h"
#include "ringpost/base/byte_queue.h"
#include "ringpost/tls/ticket_keys.h"
#include "ringpost/tls/tls_client.h"
#include "ringpost/tls/tls_context.h"
#include "ringpost/tls/tls_engine.h"

namespace ringpost::test {

// "ecdsa" or "rsa", for these names; made on first use.
TlsCertificatePem Certificate(const std::string& kind, const std::vector<std::string>& names = {
                                                           "mx.example.test", "localhost"});
// By the openssl program, for odd.example: `key_options` are those of genpkey, `options` of req.
TlsCertificatePem SelfSigned(const std::string& name, const std::string& key_options,
                             const std::string& options = "");
// The CA of certificates with the default names.
std::string CaPem();

std::shared_ptr<const TlsContextSet> Contexts(std::vector<TlsCertificatePem> certificates,
                                              TicketKeys* keys = nullptr,
                                              const std::string& route = "mx");

// Changes what one side has just sent before the other receives it.
using Tamper = std::function<void(std::string&)>;

// One side of a connection: an engine and its four queues.
struct Side {
  explicit Side(BufferPool* pool)
      : cipher_in(pool), cipher_out(pool), plain_in(pool), plain_out(pool) {}
  std::unique_ptr<TlsEngine> engine;
  ByteQueue cipher_in;
  ByteQueue cipher_out;
  ByteQueue plain_in;
  ByteQueue plain_out;

  // Takes everything out of a queue as text.
  static std::string Drain(ByteQueue& queue);
  void Receive(std::string_view octets);
  TlsOutcome Handshake() { return engine->Handshake(cipher_in, cipher_out); }
  TlsOutcome Read(std::size_t plain_max = 1 << 20) {
    return engine->Read(cipher_in, plain_in, plain_max, cipher_out);
  }
  TlsOutcome Write(std::string_view text);
};

class TlsPair {
 public:
  TlsPair() : pool_(256, 64), server(&pool_), client(&pool_) {}

  void Start(const TlsContextSet* contexts, const TlsClientContext* client_context,
             std::string_view sni = "mx.example.test", const TlsSession* session = nullptr);
  // Until both are done or one fails. `chunk`: octets handed over at once, 0 for all.
  struct Outcomes {
    TlsOutcome server = TlsOutcome::kNeedInput;
    TlsOutcome client = TlsOutcome::kNeedInput;
  };
  Outcomes Handshake(std::size_t chunk = 0);
  void ToServer() { server.Receive(Side::Drain(client.cipher_out)); }
  void ToClient() { client.Receive(Side::Drain(server.cipher_out)); }

 private:
  BufferPool pool_;

 public:
  Side server;
  Side client;
};

std::unique_ptr<TlsClientContext> ClientContext(const TlsClientOptions& options = {});

}  // namespace ringpost::test

#endif  // RINGPOST_TESTS_TLS_TLS_FIXTURE_H_
