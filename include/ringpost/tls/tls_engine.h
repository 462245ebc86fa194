// SPDX-License-Identifier: GPL-3.0-or-later
//
// One TLS connection in memory: octets in, octets out, no socket. The leg owns it and the queues it
// is handed on each call; the engine keeps no octets but those of a record, or a ClientHello, that
// has not come as a whole. It is the server of a connection, or its client.
//
// Contract with the caller: before each call the pool has at least kBlocksNeeded large blocks free,
// so that output never fails half-way; where it does anyway, the outcome is kFailed.
//
// Once the handshake of TLS 1.3 is over, wolfSSL's connection is freed and records are opened and
// sealed by our own record layer (src/tls/record_layer.h); TLS 1.2 stays with wolfSSL. A client
// changes over with the first content that it receives: servers send their tickets before it, and
// those are wolfSSL's to read. A server's ticket waits for the first record that is sealed:
// libesmtp takes a socket that can be read before EHLO was sent for the answer to EHLO, and waits
// for the rest of it.
//
// Invariants: wolfSSL is given one record at a time, so that a record without content can be
// counted; after kPeerClosed no octet is read; after kFlood or kFailed every call returns the same
// again.
#ifndef RINGPOST_TLS_TLS_ENGINE_H_
#define RINGPOST_TLS_TLS_ENGINE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ringpost/base/byte_queue.h"
#include "ringpost/tls/client_hello_reader.h"
#include "ringpost/tls/tls_alert.h"
#include "ringpost/x509/peer_certificate.h"

typedef struct WOLFSSL WOLFSSL;

namespace ringpost {

class EarlyData;
class FirstHello;
class RecordLayer;
class TlsClientContext;
class TlsContextSet;
class TlsSession;
struct TrafficSecrets;

enum class TlsOutcome : std::uint8_t {
  kDone,        // handshake complete, or: all that could be done was done
  kNeedInput,   // more octets from the peer are needed
  kPeerClosed,  // close_notify received: nothing may be read from this connection again (PROTOCOL
                // 36)
  kFlood,       // too many records without content (PROTOCOL 31)
  kFailed,      // fatal; an alert, if one is due, is in the output; error() says what
};

// What the log, the PROXY header and the policy service say of a connection.
struct TlsFacts {
  std::string_view version;  // "TLSv1.3"
  std::string_view suite;    // IANA name, "TLS_AES_128_GCM_SHA256"
  std::string_view group;    // "X25519"
  bool resumed = false;
};

// Whose record layer a connection of TLS 1.3 has after the handshake.
enum class TlsRecords : std::uint8_t {
  kOwn,
  kLibrary,  // wolfSSL's: what the tests compare ours with
};

class TlsEngine {
 public:
  static constexpr std::size_t kBlocksNeeded = 6;

  // Server: the ClientHello is at the front of `cipher_in` on the first calls and is read by our
  // own reader until the certificate is chosen; nothing is allocated in wolfSSL before. `contexts`
  // must outlive the engine (the session holds a reference).
  static std::unique_ptr<TlsEngine> Server(const TlsContextSet* contexts,
                                           TlsRecords records = TlsRecords::kOwn);
  // Client: `sni` may be empty; `session` (or nullptr) is one that TakeSession() gave earlier.
  // nullptr: wolfSSL could not be given this name or session.
  static std::unique_ptr<TlsEngine> Client(const TlsClientContext* context, std::string_view sni,
                                           const TlsSession* session,
                                           TlsRecords records = TlsRecords::kOwn);

  ~TlsEngine();  // wipes keys
  TlsEngine(const TlsEngine&) = delete;
  TlsEngine& operator=(const TlsEngine&) = delete;

  // Consumes from `cipher_in`, appends to `cipher_out`. kDone once the handshake is complete.
  [[nodiscard]] TlsOutcome Handshake(ByteQueue& cipher_in, ByteQueue& cipher_out);
  // After the handshake. Decrypts until `cipher_in` holds no complete record or `plain_in` holds
  // `plain_max` octets (at most one record more). May append alerts and KeyUpdate answers to
  // `cipher_out`. With every outcome, also kPeerClosed, `plain_in` may have grown.
  [[nodiscard]] TlsOutcome Read(ByteQueue& cipher_in, ByteQueue& plain_in, std::size_t plain_max,
                                ByteQueue& cipher_out);
  // Seals from the front of `plain_out` until it is empty or `cipher_out` holds `cipher_max`
  // octets.
  [[nodiscard]] TlsOutcome Write(ByteQueue& plain_out, ByteQueue& cipher_out,
                                 std::size_t cipher_max);
  // Appends close_notify, once. Nothing can be written after it.
  void CloseNotify(ByteQueue& cipher_out);
  // Client: what a later connection can resume; nullptr if the server gave no ticket on this one.
  // In TLS 1.3 tickets come after the handshake: call Read() first. Those that come behind the
  // first content are dropped. A server may give none where one was used; the session of that one
  // is as good as before.
  [[nodiscard]] std::unique_ptr<TlsSession> TakeSession();

  // After the handshake, once: what the peer presented and proved to hold the key of; nullptr if it
  // presented nothing. A server has one only of clients that it asked; a client only with
  // ServerCertificates::kTaken, and never after a resumed handshake.
  [[nodiscard]] std::unique_ptr<PeerCertificate> TakePeerCertificate();

  // Adds up the blocks of a hello of which a part has come.
  void CountBlocks(std::size_t* large, std::size_t* small) const {
    hello_reader_.CountBlocks(large, small);
  }
  [[nodiscard]] bool handshake_complete() const;
  [[nodiscard]] const TlsFacts& facts() const { return facts_; }  // after the handshake
  [[nodiscard]] std::string_view sni() const;    // lower case; empty if none was sent
  [[nodiscard]] std::string_view error() const;  // one phrase for the log, after kFailed
  // The alert by which the peer has ended TLS or, in TLS 1.2, its last warning; empty: none, or one
  // that only says that it is done.
  [[nodiscard]] std::string_view peer_alert() const;

  // More records than these without content in a row are a flood (PROTOCOL 31).
  static constexpr std::uint32_t kEmptyRecordsMax = 32;
  // Client of TLS 1.3: of what the server sends in records without content, tickets and KeyUpdates,
  // on the whole connection. wolfSSL takes some 3,000 KeyUpdates in one record.
  static constexpr std::uint32_t kEmptyBytesMax = 128 * 1024;
  // And of the answers to one record.
  static constexpr int kAnswersMax = 4;
  // What a peer may send between its first flight and the end of the handshake. A certificate chain
  // has less than 16 KiB; a flight in records of 128 octets is still accepted.
  static constexpr std::size_t kHandshakeBytesMax = 64 * 1024;
  static constexpr int kHandshakeRecordsMax = 512;

 private:
  friend struct TlsCallbacks;
  class Call;  // lends the queues to the callbacks for the duration of one call

  enum class Role : std::uint8_t { kServer, kClient };
  enum class Stage : std::uint8_t { kHello, kHandshake, kOpen, kPeerClosed, kEnded };
  enum class Record : std::uint8_t { kReady, kNeedInput, kEnded };

  explicit TlsEngine(Role role);

  [[nodiscard]] TlsOutcome ReadHello(ByteQueue& cipher_in, ByteQueue& cipher_out);
  void Reframe(std::string_view message, char version_minor);
  [[nodiscard]] Record ReadSecondHello();
  [[nodiscard]] Record SkipEarlyData();
  [[nodiscard]] Record SkipMeaningless();
  // False: too many, or too many octets; the handshake has ended.
  [[nodiscard]] bool CountHandshakeRecord(std::size_t octets);
  [[nodiscard]] TlsOutcome FinishHandshake();
  [[nodiscard]] Record NextRecord();
  [[nodiscard]] Record RefuseOversized(bool sealed, bool tls13);
  [[nodiscard]] Record CountEmptyRecord();
  [[nodiscard]] bool HoldTicket(std::string_view record);
  [[nodiscard]] TlsFacts ReadFacts() const;
  [[nodiscard]] std::unique_ptr<RecordLayer> MakeRecords(const TrafficSecrets& secrets);
  void LeaveLibrary();
  [[nodiscard]] std::unique_ptr<TlsSession> LibrarySession();
  // In TLS 1.3 nobody but wolfSSL can seal.
  [[nodiscard]] bool LibraryHasKeys() const {
    return role_ == Role::kClient || records_of_ == TlsRecords::kLibrary;
  }
  // Under the keys that are in use, if any are. False: they are not to be had, or there is no
  // block.
  bool SendAlert(TlsAlert alert);
  [[nodiscard]] Record Refuse(TlsAlert alert, std::string_view reason);

  // With our own record layer.
  enum class Received : std::uint8_t { kWhole, kPart, kRefused };
  [[nodiscard]] TlsOutcome ReadRecords(ByteQueue& cipher_in, ByteQueue& plain_in,
                                       std::size_t plain_max, ByteQueue& cipher_out);
  [[nodiscard]] TlsOutcome WriteRecords(ByteQueue& plain_out, ByteQueue& cipher_out,
                                        std::size_t cipher_max);
  [[nodiscard]] Received ReadHeader(ByteQueue& cipher_in, ByteQueue& cipher_out);
  [[nodiscard]] TlsOutcome OpenRecord(ByteQueue& cipher_in, ByteQueue& plain_in,
                                      ByteQueue& cipher_out);
  [[nodiscard]] Received Gather(ByteQueue& cipher_in);
  TlsOutcome EndRefused(std::string_view reason, int alert);
  TlsOutcome End(TlsOutcome outcome, std::string_view reason);
  TlsOutcome EndWithAlert(TlsAlert alert, std::string_view reason, ByteQueue& cipher_out);
  TlsOutcome EndWithError(int error);

  WOLFSSL* ssl_ = nullptr;
  const TlsContextSet* contexts_ = nullptr;  // server
  // During a call only.
  ByteQueue* in_ = nullptr;
  ByteQueue* out_ = nullptr;
  // What wolfSSL reads before `in_`: a first flight that came in several records, put into one, or
  // the record that ended early data. Freed once read.
  std::unique_ptr<std::string> reframed_;
  ClientHelloReader hello_reader_;  // server
  // From a hello of TLS 1.3 until it is clear that no second one follows, or that one is there.
  std::unique_ptr<FirstHello> first_hello_;
  // From a hello that offers early data until none can follow.
  std::unique_ptr<EarlyData> early_data_;
  std::unique_ptr<PeerCertificate> peer_certificate_;
  std::unique_ptr<std::string> stapled_response_;  // until it is peer_certificate_'s
  std::unique_ptr<TrafficSecrets> secrets_;        // of TLS 1.3, until records_ has them
  std::unique_ptr<RecordLayer> records_;           // after the handshake; then there is no ssl_
  std::unique_ptr<TlsSession> session_;            // client: until it is taken
  std::unique_ptr<char[]> ticket_;                 // a record, until records_ has it
  // A record of which a part has come, or which lies in too many pieces; freed once it is opened.
  std::unique_ptr<char[]> gathered_;

  TlsFacts facts_;
  std::string sni_;
  std::string error_;
  std::uint32_t record_left_ = 0;    // octets of the record at hand that wolfSSL has not taken
  std::uint32_t record_length_ = 0;  // of its content
  std::array<unsigned char, 5> header_{};  // of the record at hand, for records_
  std::uint8_t ticket_chain_ = 0;  // how many resumptions led here, each from the ticket before
  Role role_;
  TlsRecords records_of_ = TlsRecords::kOwn;
  std::uint32_t handshake_bytes_ = 0;
  std::uint32_t empty_records_ = 0;
  std::uint32_t empty_bytes_ = 0;      // client
  std::uint32_t library_records_ = 0;  // client: that wolfSSL has opened after the handshake
  std::uint32_t ticket_bytes_ = 0;
  std::uint16_t handshake_records_ = 0;
  std::uint16_t answers_ = 0;  // client: to the record at hand
  // The fatal alert that wolfSSL has sent; nothing that it sends after it leaves.
  std::optional<std::uint8_t> alert_sent_;
  Stage stage_ = Stage::kHello;
  TlsOutcome ended_ = TlsOutcome::kDone;  // kEnded: what each further call returns
  bool out_failed_ = false;               // the pool had no block for output
  bool oversized_ = false;                // zeros are fed instead of a record that is too long
  bool hello_is_next_ = false;            // of the records; its reader has bounded it
  bool resumable_ = true;                 // server: the hello lets a ticket be taken
  bool ticket_received_ = false;          // client
  bool ticket_next_ = false;              // what wolfSSL sends next is a ticket of TLS 1.3
  bool sent_ = false;                     // wolfSSL has sent something
  bool retry_asked_ = false;              // HelloRetryRequest was the last that wolfSSL sent
  bool peer_key_read_ = false;            // of the peer's certificate, by wolfSSL
  bool takes_certificate_ = false;        // client: ServerCertificates::kTaken
  bool takes_session_ = false;            // client: TlsResumption::kOn
  bool close_sent_ = false;
};

}  // namespace ringpost

#endif  // RINGPOST_TLS_TLS_ENGINE_H_
