// SPDX-License-Identifier: GPL-3.0-or-later
//
// Reads the records that carry a ClientHello, as they come. A hello in one record, which is what
// clients send, stays where it is, and wolfSSL reads that record. One in several is put together
// here, octet for octet once, in whatever pieces it comes: the queue gives its octets up, and only
// the message is kept.
//
// Bounds: kClientHelloBytesMax octets, known from the message's header on, in blocks of the pool,
// so that who keeps them is subject to the rules about blocks.
//
// Owner: the engine. It holds nothing before a first octet and after a last one.
#ifndef RINGPOST_TLS_CLIENT_HELLO_READER_H_
#define RINGPOST_TLS_CLIENT_HELLO_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "ringpost/base/byte_queue.h"
#include "ringpost/tls/client_hello.h"

namespace ringpost {

enum class HelloStatus : std::uint8_t {
  kComplete,
  kNeedMore,
  kMalformed,  // answer with `alert`
  kNotTls,     // no alert: the peer would not understand it
  kNoBlocks,
};

struct HelloResult {
  HelloStatus status = HelloStatus::kNeedMore;
  TlsAlert alert = TlsAlert::kDecodeError;
  std::string_view reason;  // a phrase for the log, static storage
  // kComplete: with its four header octets; until the next Read() of this thread.
  std::string_view message;
  // kComplete: the message lies in a record at the front of the queue. Otherwise it came in several
  // records, which are no longer there.
  bool in_place = false;
};

class ClientHelloReader {
 public:
  ClientHelloReader();
  ~ClientHelloReader();
  ClientHelloReader(const ClientHelloReader&) = delete;
  ClientHelloReader& operator=(const ClientHelloReader&) = delete;

  // `in` continues where the last call ended; at first it begins with the client's first octet, or
  // with the first behind a HelloRetryRequest. With anything but kNeedMore the reader is as new.
  [[nodiscard]] HelloResult Read(ByteQueue& in, ClientHello& hello);

  // A part of the message has been taken off the queue.
  [[nodiscard]] bool holds_part() const { return assembly_ != nullptr; }
  void CountBlocks(std::size_t* large, std::size_t* small) const;

 private:
  struct Assembly;

  [[nodiscard]] HelloResult ReadFirst(ByteQueue& in, ClientHello& hello);
  [[nodiscard]] HelloResult Assemble(ByteQueue& in, ClientHello& hello);

  std::unique_ptr<Assembly> assembly_;
  std::uint32_t needed_ = 1;  // octets that must be there before another look says more
};

}  // namespace ringpost

#endif  // RINGPOST_TLS_CLIENT_HELLO_READER_H_
