// SPDX-License-Identifier: GPL-3.0-or-later
//
// What wolfSSL asks about a ticket: sealed and opened with our own keys, bound to the route and the
// name.
#include <cstring>
#include <new>
#include <span>
#include <string>

#include "ringpost/crypto/tls_library.h"
#include "ringpost/tls/tls_context.h"
#include "ringpost/tls/tls_engine.h"
#include "tls_callbacks.h"

namespace ringpost {
namespace {

// wolfSSL 5.9.2 numbers the tickets of a whole chain of resumptions in one octet and aborts the
// handshake that would issue the 257th. So each ticket says how many were issued before it, in an
// octet of its nonce field that AES-GCM leaves free; a client that resumes too often gets a full
// handshake, which begins a new chain.
constexpr unsigned char kTicketChainMax = 250;
constexpr std::size_t kChainOctet = TicketKeys::kNonceBytes;
static_assert(kChainOctet < WOLFSSL_TICKET_IV_SZ);

// Bound to the route and the name (PROTOCOL 30), which cannot hold the separator, to what is asked
// of the client, and to the count. Empty: there is no memory for it, and no exception may pass
// through wolfSSL.
std::string BoundTo(const TlsContextSet& set, std::string_view sni, unsigned char chain) {
  try {
    return set.route() + '\0' + std::string(sni) + '\0' + (set.ask_certificate() ? 'c' : '-') +
           static_cast<char>(chain);
  } catch (const std::bad_alloc&) {
    return {};
  }
}

}  // namespace

int TlsCallbacks::Ticket(WOLFSSL* ssl, unsigned char* name, unsigned char* nonce,
                         unsigned char* tag, int seal, unsigned char* text, int text_size,
                         int* out_size, void* context) {
  auto* const engine = static_cast<TlsEngine*>(wolfSSL_GetIOReadCtx(ssl));
  const auto* const set = static_cast<const TlsContextSet*>(context);
  if (engine == nullptr || text_size < 0 || set->ticket_keys() == nullptr ||
      (seal == 0 && !engine->resumable_)) {
    return WOLFSSL_TICKET_RET_REJECT;
  }
  if (seal != 0) {
    // wolfSSL has room for 16 and 32 octets here.
    std::memset(nonce + TicketKeys::kNonceBytes, 0, WOLFSSL_TICKET_IV_SZ - TicketKeys::kNonceBytes);
    std::memset(tag + TicketKeys::kTagBytes, 0, WOLFSSL_TICKET_MAC_SZ - TicketKeys::kTagBytes);
    nonce[kChainOctet] = engine->ticket_chain_;
    engine->ticket_next_ =
        engine->records_of_ == TlsRecords::kOwn && wolfSSL_version(ssl) == kVersionTls13;
  }
  const unsigned char chain = nonce[kChainOctet];
  const std::string bound = BoundTo(*set, engine->sni(), chain);
  if (bound.empty()) {
    return WOLFSSL_TICKET_RET_REJECT;
  }
  const std::span<unsigned char> octets(text, static_cast<std::size_t>(text_size));
  const std::span<unsigned char, TicketKeys::kNameBytes> key_name(name, TicketKeys::kNameBytes);
  const std::span<unsigned char, TicketKeys::kNonceBytes> iv(nonce, TicketKeys::kNonceBytes);
  const std::span<unsigned char, TicketKeys::kTagBytes> mac(tag, TicketKeys::kTagBytes);
  *out_size = text_size;
  if (seal != 0) {
    return set->ticket_keys()->Seal(octets, bound, key_name, iv, mac) ? WOLFSSL_TICKET_RET_OK
                                                                      : WOLFSSL_TICKET_RET_FATAL;
  }
  if (chain >= kTicketChainMax || !set->ticket_keys()->Open(octets, bound, key_name, iv, mac)) {
    return WOLFSSL_TICKET_RET_REJECT;
  }
  engine->ticket_chain_ = static_cast<unsigned char>(chain + 1);
  return WOLFSSL_TICKET_RET_OK;
}

}  // namespace ringpost
