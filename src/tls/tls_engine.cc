// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tls/tls_engine.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <span>
#include <utility>

#include "early_data.h"
#include "first_hello.h"
#include "record_input.h"
#include "record_layer.h"
#include "ringpost/base/check.h"
#include "ringpost/crypto/random_octets.h"
#include "ringpost/crypto/tls_library.h"
#include "ringpost/tls/client_hello.h"
#include "ringpost/tls/tls_client.h"
#include "ringpost/tls/tls_context.h"
#include "sealed_alert.h"
#include "suites.h"
#include "tls_callbacks.h"

namespace ringpost {
namespace {

constexpr std::size_t kSealedRecordMax12 = (1 << 14) + 2048;  // RFC 5246 6.2.3

// The longest record for which wolfSSL 5.9.2 gets as far as sending record_overflow: 2^14 + 38
// + 64. It drops longer ones without an alert.
constexpr std::size_t kLibraryRecordMax = (1 << 14) + 102;

// For an error that wolfSSL does not tell the peer.
TlsAlert AlertFor(int error, bool handshake_complete) {
  switch (error) {
    case DUPLICATE_MSG_E:
    case OUT_OF_ORDER_E:
    case SANITY_MSG_E:
    case SIDE_ERROR:
    case NO_CHANGE_CIPHER_E:
    case LENGTH_ERROR:  // of change_cipher_spec
    case UNKNOWN_RECORD_TYPE:
    case UNKNOWN_HANDSHAKE_TYPE:
      return TlsAlert::kUnexpectedMessage;
    case BUFFER_ERROR:
    case BUFFER_E:
    case PARSE_ERROR:
    case INCOMPLETE_DATA:
      return TlsAlert::kDecodeError;
    case VERIFY_FINISHED_ERROR:
    case VERIFY_CERT_ERROR:
    case SIG_VERIFY_E:
      return TlsAlert::kDecryptError;
    case ECC_PEERKEY_ERROR:
    case ECC_OUT_OF_RANGE_E:
    case INVALID_PARAMETER:
      return TlsAlert::kIllegalParameter;
    default:
      return handshake_complete ? TlsAlert::kUnexpectedMessage : TlsAlert::kHandshakeFailure;
  }
}

}  // namespace

class TlsEngine::Call {
 public:
  Call(TlsEngine* engine, ByteQueue* in, ByteQueue* out) : engine_(engine) {
    engine_->in_ = in;
    engine_->out_ = out;
  }
  ~Call() {
    engine_->in_ = nullptr;
    engine_->out_ = nullptr;
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  TlsEngine* engine_;
};

int TlsCallbacks::Receive(WOLFSSL* /*ssl*/, char* buffer, int size, void* context) {
  auto& engine = *static_cast<TlsEngine*>(context);
  // wolfSSL is stopped at the end of each record, so that NextRecord() sees every header.
  const std::size_t wanted =
      std::min<std::size_t>(static_cast<std::size_t>(size), engine.record_left_);
  std::size_t copied = 0;
  if (engine.oversized_) {
    std::memset(buffer, 0, wanted);
    if (engine.record_left_ == engine.record_length_ + kHeaderBytes && wanted == kHeaderBytes) {
      buffer[0] = static_cast<char>(kTypeApplicationData);
      buffer[1] = 3;
      buffer[2] = 3;
      buffer[3] = static_cast<char>(engine.record_length_ >> 8);
      buffer[4] = static_cast<char>(engine.record_length_ & 0xff);
    }
    copied = wanted;
  } else if (engine.reframed_ != nullptr) {
    std::string& octets = *engine.reframed_;
    copied = std::min(wanted, octets.size());
    std::memcpy(buffer, octets.data(), copied);
    octets.erase(0, copied);
    if (octets.empty()) {
      engine.reframed_.reset();
    }
  } else if (engine.in_ != nullptr) {
    while (copied < wanted && !engine.in_->empty()) {
      const std::string_view front = engine.in_->Front();
      const std::size_t part = std::min(front.size(), wanted - copied);
      std::memcpy(buffer + copied, front.data(), part);
      engine.in_->Consume(part);
      copied += part;
    }
  }
  engine.record_left_ -= static_cast<std::uint32_t>(copied);
  return copied > 0 ? static_cast<int>(copied) : WOLFSSL_CBIO_ERR_WANT_READ;
}

int TlsCallbacks::Send(WOLFSSL* ssl, char* buffer, int size, void* context) {
  auto& engine = *static_cast<TlsEngine*>(context);
  if (engine.out_ == nullptr) {
    return WOLFSSL_CBIO_ERR_GENERAL;
  }
  // wolfSSL tells some errors twice, and the second time as another one.
  if (engine.alert_sent_.has_value()) {
    return size;
  }
  WOLFSSL_ALERT_HISTORY history{};
  if (wolfSSL_get_alert_history(ssl, &history) == WOLFSSL_SUCCESS &&
      history.last_tx.level == alert_fatal) {
    engine.alert_sent_ = static_cast<std::uint8_t>(history.last_tx.code);
    engine.ticket_next_ = false;
  }
  if (!std::exchange(engine.sent_, true)) {
    engine.retry_asked_ = IsHelloRetryRequest({buffer, static_cast<std::size_t>(size)});
    if (!engine.retry_asked_) {
      engine.first_hello_.reset();  // no second one will follow
    }
  }
  // With no input there is nothing to answer: then it is our own text that is sent.
  if (engine.role_ == TlsEngine::Role::kClient && engine.stage_ == TlsEngine::Stage::kOpen &&
      engine.in_ != nullptr && ++engine.answers_ > TlsEngine::kAnswersMax) {
    return WOLFSSL_CBIO_ERR_GENERAL;
  }
  if (std::exchange(engine.ticket_next_, false) &&
      engine.HoldTicket({buffer, static_cast<std::size_t>(size)})) {
    return size;
  }
  // Never WANT_WRITE: back-pressure is the caller's, through the room in the queue. A sealed
  // record, and still more a flight of the handshake, can be longer than a block.
  std::string_view octets(buffer, static_cast<std::size_t>(size));
  while (!octets.empty()) {
    const std::string_view part = octets.substr(0, BufferPool::kLargeBytes);
    if (engine.out_->Append(part) != Room::kOk) {
      engine.out_failed_ = true;
      return WOLFSSL_CBIO_ERR_GENERAL;
    }
    octets.remove_prefix(part.size());
  }
  return size;
}

int TlsCallbacks::TicketReceived(WOLFSSL* /*ssl*/, const unsigned char* /*ticket*/, int /*size*/,
                                 void* context) {
  static_cast<TlsEngine*>(context)->ticket_received_ = true;
  return 0;
}

TlsEngine::TlsEngine(Role role) : role_(role) {}

std::unique_ptr<TlsEngine> TlsEngine::Server(const TlsContextSet* contexts, TlsRecords records) {
  std::unique_ptr<TlsEngine> engine(new TlsEngine(Role::kServer));
  engine->contexts_ = contexts;
  engine->records_of_ = records;
  return engine;
}

std::unique_ptr<TlsEngine> TlsEngine::Client(const TlsClientContext* context, std::string_view sni,
                                             const TlsSession* session, TlsRecords records) {
  std::unique_ptr<TlsEngine> engine(new TlsEngine(Role::kClient));
  engine->records_of_ = records;
  engine->ssl_ = wolfSSL_new(context->context());
  if (engine->ssl_ == nullptr) {
    return nullptr;
  }
  WOLFSSL* const ssl = engine->ssl_;
  wolfSSL_SetIOReadCtx(ssl, engine.get());
  wolfSSL_SetIOWriteCtx(ssl, engine.get());
  wolfSSL_SetCertCbCtx(ssl, engine.get());
  wolfSSL_set_SessionTicket_cb(ssl, &TlsCallbacks::TicketReceived, engine.get());
  wolfSSL_set_tls13_secret_cb(ssl, &TlsCallbacks::Secret, engine.get());
  engine->stage_ = Stage::kHandshake;
  engine->sni_ = sni;
  engine->takes_certificate_ = context->server_certificates() == ServerCertificates::kTaken;
  engine->takes_session_ = context->resumes();
  bool ok = true;
  if (!sni.empty()) {
    ok = wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, sni.data(),
                        static_cast<unsigned short>(sni.size())) == WOLFSSL_SUCCESS;
    if (context->verifies_name()) {
      ok = ok && wolfSSL_check_domain_name(ssl, engine->sni_.c_str()) == WOLFSSL_SUCCESS;
    }
  }
  if (context->empty_key_shares()) {
    ok = ok && wolfSSL_NoKeyShares(ssl) == WOLFSSL_SUCCESS;
  } else {
    for (const int group : context->key_share_groups()) {
      ok = ok && wolfSSL_UseKeyShare(ssl, static_cast<word16>(group)) == WOLFSSL_SUCCESS;
    }
  }
  if (session != nullptr) {
    // wolfSSL would write into it where the server agrees on another one: what was taken for the
    // session with one server would be that with whoever has answered.
    WOLFSSL_SESSION* const own = wolfSSL_SESSION_dup(session->get());
    ok = ok && own != nullptr && wolfSSL_set_session(ssl, own) == WOLFSSL_SUCCESS;
    wolfSSL_SESSION_free(own);
  }
  return ok ? std::move(engine) : nullptr;
}

TlsEngine::~TlsEngine() {
  if (ssl_ != nullptr) {
    wolfSSL_free(ssl_);
  }
}

TlsOutcome TlsEngine::Handshake(ByteQueue& cipher_in, ByteQueue& cipher_out) {
  if (stage_ == Stage::kEnded) {
    return ended_;
  }
  if (handshake_complete()) {
    return TlsOutcome::kDone;
  }
  if (stage_ == Stage::kHello) {
    if (const TlsOutcome outcome = ReadHello(cipher_in, cipher_out); outcome != TlsOutcome::kDone) {
      return outcome;
    }
  }
  const Call call(this, &cipher_in, &cipher_out);
  const RandomBatch batch;
  while (true) {
    const int result = role_ == Role::kServer ? wolfSSL_accept(ssl_) : wolfSSL_connect(ssl_);
    if (result == WOLFSSL_SUCCESS) {
      return FinishHandshake();
    }
    if (const int error = wolfSSL_get_error(ssl_, result); error != WOLFSSL_ERROR_WANT_READ) {
      return EndWithError(error);
    }
    if (std::exchange(retry_asked_, false)) {
      continue;  // what wolfSSL holds back is change_cipher_spec: RFC 8446 D.4 wants it at once
    }
    switch (NextRecord()) {
      case Record::kReady:
        break;
      case Record::kNeedInput:
        return TlsOutcome::kNeedInput;
      case Record::kEnded:
        return ended_;
    }
  }
}

// Opens the next record if the last one is used up. In the plain case it looks at five octets, no
// more.
TlsEngine::Record TlsEngine::NextRecord() {
  if (record_left_ > 0) {
    return reframed_ != nullptr || !in_->empty() ? Record::kReady : Record::kNeedInput;
  }
  const bool tls13 = wolfSSL_version(ssl_) == kVersionTls13;
  if (stage_ == Stage::kHandshake && role_ == Role::kServer && tls13 && reframed_ == nullptr &&
      !hello_reader_.holds_part()) {
    if (const Record skipped = SkipMeaningless(); skipped != Record::kReady) {
      return skipped;
    }
  }
  // What is left of the first hello here is so that a second one can be compared with it. Only
  // change_cipher_spec, which is for middleboxes, may come before that one.
  if (first_hello_ != nullptr && sent_ && reframed_ == nullptr &&
      (hello_reader_.holds_part() ||
       (!in_->empty() && Octet(in_->Front().front()) == kTypeHandshake))) {
    if (const Record second = ReadSecondHello(); second != Record::kReady) {
      return second;
    }
  }
  std::array<char, kHeaderBytes> header;
  if (reframed_ != nullptr) {
    std::memcpy(header.data(), reframed_->data(), header.size());
  } else if (CopyFront(*in_, header) < header.size()) {
    return Record::kNeedInput;
  }
  const unsigned type = Octet(header[0]);
  const std::size_t length = Octet(header[3]) << 8 | Octet(header[4]);

  // What was reframed has been counted, or is a hello.
  const bool is_bounded = std::exchange(hello_is_next_, false) || reframed_ != nullptr;
  if (stage_ == Stage::kHandshake && !is_bounded && !CountHandshakeRecord(kHeaderBytes + length)) {
    return Record::kEnded;
  }

  const bool sealed = stage_ != Stage::kHandshake || (tls13 && type == kTypeApplicationData);
  const std::size_t length_max = !sealed ? kPlainRecordMax
                                 : tls13 ? kSealedRecordMax13
                                         : kSealedRecordMax12;
  if (length > length_max) {
    return RefuseOversized(sealed, tls13);
  }
  if (type < kTypeChangeCipherSpec || type > kTypeApplicationData) {
    return Refuse(TlsAlert::kUnexpectedMessage, "unknown record type");
  }
  record_length_ = static_cast<std::uint32_t>(length);
  record_left_ = static_cast<std::uint32_t>(kHeaderBytes + length);
  answers_ = 0;
  library_records_ += stage_ == Stage::kOpen ? 1 : 0;
  return Record::kReady;
}

// A record that gave no plaintext: KeyUpdate, ticket, warning, or nothing at all.
TlsEngine::Record TlsEngine::CountEmptyRecord() {
  std::uint32_t weight = 1;
  if (role_ == Role::kServer && wolfSSL_version(ssl_) == kVersionTls13) {
    // wolfSSL takes several KeyUpdates in one record, each of which costs two key derivations, and
    // does not say how many there were. A KeyUpdate has 5 octets; the inner type and the tag
    // have 17.
    constexpr std::uint32_t kSealBytes = 17;
    constexpr std::uint32_t kKeyUpdateBytes = 5;
    weight =
        std::max(weight, (record_length_ - std::min(record_length_, kSealBytes)) / kKeyUpdateBytes);
  }
  // A server's tickets are longer than many KeyUpdates, so that all of its records count together.
  if (role_ == Role::kClient && wolfSSL_version(ssl_) == kVersionTls13) {
    empty_bytes_ += record_length_;
  }
  empty_records_ += weight;
  if (empty_records_ > kEmptyRecordsMax || empty_bytes_ > kEmptyBytesMax) {
    End(TlsOutcome::kFlood, "too many records without content");
    return Record::kEnded;
  }
  return Record::kReady;
}

// The alert must be sealed if keys are in use. Where only wolfSSL can do that, it does for a record
// that is too long by little: so it is shown one of those, made of zeros.
TlsEngine::Record TlsEngine::RefuseOversized(bool sealed, bool tls13) {
  constexpr std::string_view kReason = "oversized record";
  if (sealed && tls13 && LibraryHasKeys()) {
    oversized_ = true;
    record_length_ = kLibraryRecordMax;
    record_left_ = kHeaderBytes + kLibraryRecordMax;
    return Record::kReady;
  }
  return Refuse(TlsAlert::kRecordOverflow, kReason);
}

TlsEngine::Record TlsEngine::Refuse(TlsAlert alert, std::string_view reason) {
  SendAlert(alert);
  EndRefused(reason, static_cast<int>(alert));
  return Record::kEnded;
}

// Of TLS 1.3, once our Finished has been sent. nullptr: no memory.
std::unique_ptr<RecordLayer> TlsEngine::MakeRecords(const TrafficSecrets& secrets) {
  const auto suite = static_cast<std::uint16_t>(wolfSSL_get_current_cipher_suite(ssl_));
  const RecordKeys client = {.secret = std::span(secrets.client).first(secrets.client_bytes),
                             .key = wolfSSL_GetClientWriteKey(ssl_),
                             .iv = wolfSSL_GetClientWriteIV(ssl_)};
  const RecordKeys server = {.secret = std::span(secrets.server).first(secrets.server_bytes),
                             .key = wolfSSL_GetServerWriteKey(ssl_),
                             .iv = wolfSSL_GetServerWriteIV(ssl_)};
  // A server has sealed a ticket with its secret already; of its client there was nothing.
  word64 sealed = 0;
  (void)wolfSSL_GetSequenceNumber(ssl_, &sealed);  // its result only says whether that is 0
  return role_ == Role::kServer
             ? RecordLayer::Make(RecordLayer::End::kServer, suite, {.keys = client},
                                 {.keys = server, .sequence = sealed})
             : RecordLayer::Make(RecordLayer::End::kClient, suite,
                                 {.keys = server, .sequence = library_records_},
                                 {.keys = client, .sequence = sealed});
}

// Of a client that has received content, and with it the tickets that were sent before. It may also
// have received a KeyUpdate, after which the secrets that we know are old; wolfSSL then counts
// records from 0 again, and keeps them.
void TlsEngine::LeaveLibrary() {
  const std::unique_ptr<TrafficSecrets> secrets = std::move(secrets_);
  word64 opened = 0;
  (void)wolfSSL_GetPeerSequenceNumber(ssl_, &opened);
  if (opened != library_records_) {
    return;
  }
  records_ = MakeRecords(*secrets);
  if (records_ == nullptr) {
    return;  // no memory: wolfSSL's will do
  }
  session_ = LibrarySession();
  wolfSSL_free(std::exchange(ssl_, nullptr));
}

// False: no memory; then it is sent at once.
bool TlsEngine::HoldTicket(std::string_view record) {
  ticket_.reset(new (std::nothrow) char[record.size()]);
  if (ticket_ == nullptr) {
    return false;
  }
  record.copy(ticket_.get(), record.size());
  ticket_bytes_ = static_cast<std::uint32_t>(record.size());
  return true;
}

TlsOutcome TlsEngine::FinishHandshake() {
  stage_ = Stage::kOpen;
  empty_records_ = 0;
  early_data_.reset();
  facts_ = ReadFacts();
  // wolfSSL lets no server get here without one; the verdict on it must not depend on that.
  if (takes_certificate_ && !facts_.resumed && peer_certificate_ == nullptr) {
    return End(TlsOutcome::kFailed, "no certificate was presented");
  }
  if (secrets_ == nullptr || role_ == Role::kClient) {
    return TlsOutcome::kDone;
  }
  if (record_left_ > 0) {  // wolfSSL takes whole records; ours must begin with one
    return End(TlsOutcome::kFailed, "handshake that ends within a record");
  }
  records_ = MakeRecords(*std::exchange(secrets_, nullptr));
  if (records_ == nullptr) {
    return End(TlsOutcome::kFailed, "no memory for the record layer");
  }
  records_->SendFirst(std::move(ticket_), ticket_bytes_);
  wolfSSL_free(std::exchange(ssl_, nullptr));
  return TlsOutcome::kDone;
}

TlsOutcome TlsEngine::Read(ByteQueue& cipher_in, ByteQueue& plain_in, std::size_t plain_max,
                           ByteQueue& cipher_out) {
  if (stage_ == Stage::kEnded) {
    return ended_;
  }
  if (stage_ == Stage::kPeerClosed) {
    return TlsOutcome::kPeerClosed;  // PROTOCOL 36
  }
  RINGPOST_CHECK(handshake_complete());
  if (records_ != nullptr) {
    return ReadRecords(cipher_in, plain_in, plain_max, cipher_out);
  }
  const Call call(this, &cipher_in, &cipher_out);
  while (plain_in.size() < plain_max) {
    switch (NextRecord()) {
      case Record::kReady:
        break;
      case Record::kNeedInput:
        return TlsOutcome::kDone;
      case Record::kEnded:
        return ended_;
    }
    // No record gives more plaintext than it has octets, nor more than 2^14: all of it fits.
    const std::size_t room =
        std::clamp<std::size_t>(record_length_, 1, std::size_t{BufferPool::kLargeBytes});
    const std::span<char> tail = plain_in.PrepareTail(room);
    if (tail.empty()) {
      return End(TlsOutcome::kFailed, "out of blocks");
    }
    const int result = wolfSSL_read(ssl_, tail.data(), static_cast<int>(tail.size()));
    plain_in.Commit(result > 0 ? static_cast<std::size_t>(result) : 0);
    if (result > 0) {
      empty_records_ = 0;
      if (role_ == Role::kClient && secrets_ != nullptr && record_left_ == 0) {
        LeaveLibrary();
        if (records_ != nullptr) {
          return ReadRecords(cipher_in, plain_in, plain_max, cipher_out);
        }
      }
      continue;
    }
    const int error = wolfSSL_get_error(ssl_, result);
    if (error == WOLFSSL_ERROR_ZERO_RETURN) {
      stage_ = Stage::kPeerClosed;
      return TlsOutcome::kPeerClosed;
    }
    if (error != WOLFSSL_ERROR_WANT_READ) {
      return EndWithError(error);
    }
    if (record_left_ == 0 && CountEmptyRecord() == Record::kEnded) {
      return ended_;
    }
  }
  return TlsOutcome::kDone;
}

TlsOutcome TlsEngine::Write(ByteQueue& plain_out, ByteQueue& cipher_out, std::size_t cipher_max) {
  if (stage_ == Stage::kEnded) {
    return ended_;
  }
  RINGPOST_CHECK(handshake_complete());
  if (close_sent_) {
    return TlsOutcome::kDone;
  }
  if (records_ != nullptr) {
    return WriteRecords(plain_out, cipher_out, cipher_max);
  }
  const Call call(this, nullptr, &cipher_out);
  while (!plain_out.empty() && cipher_out.size() < cipher_max) {
    std::string_view piece = plain_out.Front().substr(0, kPlainRecordMax);
    if (piece.size() < kPlainRecordMax && piece.size() < plain_out.size()) {
      // Short runs go into one record: a record costs some 600 ns and 22 octets.
      thread_local std::array<char, kPlainRecordMax> scratch;
      piece = {scratch.data(), CopyFront(plain_out, scratch)};
    }
    const int result = wolfSSL_write(ssl_, piece.data(), static_cast<int>(piece.size()));
    if (result != static_cast<int>(piece.size())) {
      return EndWithError(wolfSSL_get_error(ssl_, result));
    }
    plain_out.Consume(piece.size());
  }
  return TlsOutcome::kDone;
}

void TlsEngine::CloseNotify(ByteQueue& cipher_out) {
  if (!handshake_complete() || close_sent_) {
    return;
  }
  close_sent_ = true;
  if (records_ != nullptr) {
    records_->CloseNotify(cipher_out);
    return;
  }
  const Call call(this, nullptr, &cipher_out);
  wolfSSL_shutdown(ssl_);
}

std::unique_ptr<TlsSession> TlsEngine::TakeSession() {
  if (role_ != Role::kClient || !handshake_complete()) {
    return nullptr;
  }
  return ssl_ == nullptr ? std::move(session_) : LibrarySession();
}

std::unique_ptr<TlsSession> TlsEngine::LibrarySession() {
  // A resumed connection without a new ticket has the old one, beside its own secret (RFC 8446
  // 4.6.1): the next server would find the binder wrong. In TLS 1.2 the secret is still the same.
  if (!takes_session_ || (!ticket_received_ && wolfSSL_version(ssl_) == kVersionTls13)) {
    return nullptr;
  }
  WOLFSSL_SESSION* const session = wolfSSL_get1_session(ssl_);
  if (session == nullptr || wolfSSL_SessionIsSetup(session) == 0) {
    wolfSSL_SESSION_free(session);
    return nullptr;
  }
  std::unique_ptr<TlsSession> kept(new (std::nothrow) TlsSession(session));
  if (kept == nullptr) {
    wolfSSL_SESSION_free(session);
  }
  return kept;
}

std::unique_ptr<PeerCertificate> TlsEngine::TakePeerCertificate() {
  // Before the end of the handshake the peer has proved nothing.
  return handshake_complete() ? std::move(peer_certificate_) : nullptr;
}

TlsOutcome TlsEngine::End(TlsOutcome outcome, std::string_view reason) {
  stage_ = Stage::kEnded;
  ended_ = outcome;
  error_ = reason;
  return outcome;
}

TlsOutcome TlsEngine::EndWithAlert(TlsAlert alert, std::string_view reason, ByteQueue& cipher_out) {
  const std::array<char, kAlertRecordBytes> record = PlaintextAlertRecord(alert);
  // Without a block the alert is not sent; the close that follows says enough.
  (void)cipher_out.Append({record.data(), record.size()});
  End(TlsOutcome::kFailed, reason);
  error_ += "; sent alert ";
  error_ += TlsAlertName(static_cast<int>(alert));
  return ended_;
}

TlsOutcome TlsEngine::EndWithError(int error) {
  if (out_failed_) {
    return End(TlsOutcome::kFailed, "out of blocks");
  }
  if (answers_ > kAnswersMax) {
    return End(TlsOutcome::kFlood, "too many KeyUpdates in a record");
  }
  if (error == EMPTY_RECORD_LIMIT_E) {
    return End(TlsOutcome::kFlood, "too many records without content");
  }
  std::string reason = oversized_ ? "oversized record" : TlsLibraryError(error);
  WOLFSSL_ALERT_HISTORY history{};
  if (wolfSSL_get_alert_history(ssl_, &history) == WOLFSSL_SUCCESS &&
      history.last_rx.level == alert_fatal) {
    reason = "received alert ";
    reason += TlsAlertName(history.last_rx.code);
  } else if (alert_sent_.has_value()) {
    reason += "; sent alert ";
    reason += TlsAlertName(*alert_sent_);
  } else if (const TlsAlert alert = AlertFor(error, handshake_complete()); SendAlert(alert)) {
    // wolfSSL ends some connections without a word.
    reason += "; sent alert ";
    reason += TlsAlertName(static_cast<int>(alert));
  }
  return End(TlsOutcome::kFailed, reason);
}

bool TlsEngine::SendAlert(TlsAlert alert) {
  if (out_ == nullptr) {
    return false;
  }
  const bool tls13 = wolfSSL_version(ssl_) == kVersionTls13;
  if (role_ == Role::kServer && tls13 && secrets_ != nullptr && secrets_->server_bytes > 0) {
    const std::unique_ptr<RecordLayer> records = MakeRecords(*secrets_);
    if (records != nullptr) {
      (void)records->Refuse(alert, {}, *out_);
    }
    return records != nullptr;
  }
  if (tls13 && sent_ && LibraryHasKeys()) {
    return false;
  }
  // The server of a resumed connection has sent its Finished first.
  const bool sealed = handshake_complete() ||
                      (role_ == Role::kServer && sent_ && wolfSSL_session_reused(ssl_) == 1);
  if (!tls13 && sealed) {
    return out_->Append(SealAlertTls12(ssl_, alert).text()) == Room::kOk;
  }
  const std::array<char, kAlertRecordBytes> record = PlaintextAlertRecord(alert);
  return out_->Append({record.data(), record.size()}) == Room::kOk;
}

bool TlsEngine::handshake_complete() const {
  return stage_ == Stage::kOpen || stage_ == Stage::kPeerClosed;
}

TlsFacts TlsEngine::ReadFacts() const {
  TlsFacts facts;
  facts.version = wolfSSL_get_version(ssl_);
  const int suite_id = wolfSSL_get_current_cipher_suite(ssl_);
  for (const TlsSuite& suite : kTlsSuites) {
    if (suite.id == suite_id) {
      facts.suite = suite.name;
    }
  }
  if (const char* const curve = wolfSSL_get_curve_name(ssl_); curve != nullptr) {
    for (const TlsGroup& group : kTlsGroups) {
      if (group.library_name == curve) {
        facts.group = group.name;
      }
    }
  }
  facts.resumed = wolfSSL_session_reused(ssl_) == 1;
  return facts;
}

std::string_view TlsEngine::sni() const { return sni_; }

std::string_view TlsEngine::error() const { return error_; }

std::string_view TlsEngine::peer_alert() const {
  constexpr std::string_view kReceived = "received alert ";
  constexpr int kUserCanceled = 90;
  if (!error_.empty()) {
    const std::string_view error(error_);
    return error.starts_with(kReceived) ? error.substr(kReceived.size()) : std::string_view();
  }
  WOLFSSL_ALERT_HISTORY history{};
  if (ssl_ == nullptr || wolfSSL_get_alert_history(ssl_, &history) != WOLFSSL_SUCCESS) {
    return {};
  }
  const int code = history.last_rx.code;
  const bool is_end = code == static_cast<int>(TlsAlert::kCloseNotify) || code == kUserCanceled;
  return code < 0 || is_end ? std::string_view() : TlsAlertName(code);
}

}  // namespace ringpost
