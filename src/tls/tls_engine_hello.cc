// SPDX-License-Identifier: GPL-3.0-or-later
//
// A server's part of the handshake before wolfSSL's: the first hello and the second, and what a
// client may send between its messages that wolfSSL would not pass over.
#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "early_data.h"
#include "first_hello.h"
#include "record_input.h"
#include "ringpost/crypto/tls_library.h"
#include "ringpost/tls/client_hello.h"
#include "ringpost/tls/tls_context.h"
#include "ringpost/tls/tls_engine.h"
#include "tls_callbacks.h"

namespace ringpost {

TlsOutcome TlsEngine::ReadHello(ByteQueue& cipher_in, ByteQueue& cipher_out) {
  ClientHello hello;
  const HelloResult result = hello_reader_.Read(cipher_in, hello);
  switch (result.status) {
    case HelloStatus::kNeedMore:
      return TlsOutcome::kNeedInput;
    case HelloStatus::kNotTls:
      return End(TlsOutcome::kFailed, result.reason);
    case HelloStatus::kMalformed:
      return EndWithAlert(result.alert, result.reason, cipher_out);
    case HelloStatus::kNoBlocks:
      return End(TlsOutcome::kFailed, "out of blocks");
    case HelloStatus::kComplete:
      break;
  }
  sni_ = hello.sni();
  if (const std::optional<HelloRefusal> refusal = JudgeClientHello(hello)) {
    return EndWithAlert(refusal->alert, refusal->reason, cipher_out);
  }
  WOLFSSL_CTX* const context = contexts_->Choose(hello);
  if (context == nullptr) {
    return EndWithAlert(TlsAlert::kHandshakeFailure, "no certificate that the client can verify",
                        cipher_out);
  }
  ssl_ = wolfSSL_new(context);
  if (ssl_ == nullptr) {
    return EndWithAlert(TlsAlert::kInternalError, "out of memory", cipher_out);
  }
  wolfSSL_SetIOReadCtx(ssl_, this);
  wolfSSL_SetIOWriteCtx(ssl_, this);
  wolfSSL_SetCertCbCtx(ssl_, this);
  if (hello.tls13) {
    wolfSSL_set_tls13_secret_cb(ssl_, &TlsCallbacks::Secret, this);
  }
  if (!hello.tls13 || records_of_ == TlsRecords::kLibrary) {
    // For the records only: given to the context, it would be asked about each hash as well.
    wolfSSL_SetDevId(ssl_, TlsCryptoDevice());
  }
  if (RsaSigner* const signer = contexts_->SignerOf(context); signer != nullptr) {
    wolfSSL_SetRsaSignCtx(ssl_, signer);
    wolfSSL_SetRsaPssSignCtx(ssl_, signer);
  }
  // RFC 8446 4.2.9: a ticket could only be used in the mode that has no forward secrecy.
  resumable_ = !hello.has_pre_shared_key || hello.psk_modes_dhe;
  stage_ = Stage::kHandshake;
  if (hello.tls13) {
    first_hello_ = std::make_unique<FirstHello>(hello, result.message);
    if (hello.early_data && hello.has_pre_shared_key) {
      early_data_ = std::make_unique<EarlyData>();
    }
  }
  hello_is_next_ = result.in_place;
  if (!result.in_place) {
    Reframe(result.message, 1);
  }
  return TlsOutcome::kDone;
}

// In as few records as it takes: for each wolfSSL moves what came before.
void TlsEngine::Reframe(std::string_view message, char version_minor) {
  reframed_ = std::make_unique<std::string>();
  reframed_->reserve(message.size() + kHeaderBytes * (1 + message.size() / kPlainRecordMax));
  while (!message.empty()) {
    const std::string_view part = message.substr(0, kPlainRecordMax);
    *reframed_ += {static_cast<char>(kTypeHandshake), 3, version_minor,
                   static_cast<char>(part.size() >> 8), static_cast<char>(part.size() & 0xff)};
    *reframed_ += part;
    message.remove_prefix(part.size());
  }
}

// After HelloRetryRequest, at the front of the input. Certificate, name and all else were decided
// from the first hello, and wolfSSL goes by this one.
TlsEngine::Record TlsEngine::ReadSecondHello() {
  ClientHello hello;
  const HelloResult result = hello_reader_.Read(*in_, hello);
  switch (result.status) {
    case HelloStatus::kNeedMore:
      return Record::kNeedInput;
    case HelloStatus::kNotTls:
      End(TlsOutcome::kFailed, result.reason);
      return Record::kEnded;
    case HelloStatus::kMalformed:
      EndWithAlert(result.alert, result.reason, *out_);
      return Record::kEnded;
    case HelloStatus::kNoBlocks:
      End(TlsOutcome::kFailed, "out of blocks");
      return Record::kEnded;
    case HelloStatus::kComplete:
      break;
  }
  if (!first_hello_->MayBeFollowedBy(hello, result.message)) {
    EndWithAlert(TlsAlert::kIllegalParameter, "the second ClientHello differs from the first",
                 *out_);
    return Record::kEnded;
  }
  first_hello_.reset();
  early_data_.reset();
  // RFC 8446 5.1: the record's version means nothing. wolfSSL looks at it.
  if (!result.in_place) {
    Reframe(result.message, 3);
  } else if (in_->Front()[2] != 3) {
    Reframe(result.message, 3);
    in_->Consume(kHeaderBytes + result.message.size());
  } else {
    hello_is_next_ = true;
  }
  return Record::kReady;
}

// Takes records of early data off the front of the input. kReady: what is there now is something
// else.
TlsEngine::Record TlsEngine::SkipEarlyData() {
  while (true) {
    if (!early_data_->pending()) {
      if (in_->empty() || Octet(in_->Front().front()) != kTypeApplicationData) {
        return Record::kReady;  // change_cipher_spec may come before it
      }
      std::array<char, kHeaderBytes> header;
      if (CopyFront(*in_, header) < header.size()) {
        return Record::kNeedInput;
      }
      const std::size_t length = Octet(header[3]) << 8 | Octet(header[4]);
      const bool asked_again = first_hello_ != nullptr && sent_;
      if (length > kSealedRecordMax13 || (!asked_again && !early_data_->has_secret()) ||
          !early_data_->Begin(kHeaderBytes + length, asked_again ? EarlyData::Whose::kDropped
                                                                 : EarlyData::Whose::kUnknown)) {
        early_data_.reset();  // wolfSSL refuses it
        return Record::kReady;
      }
    }
    if (!early_data_->Take(*in_)) {
      return Record::kNeedInput;
    }
    if (early_data_->IsHandshake(
            static_cast<std::uint16_t>(wolfSSL_get_current_cipher_suite(ssl_)))) {
      reframed_ = std::make_unique<std::string>(early_data_->TakeRecord());
      early_data_.reset();
      return CountHandshakeRecord(reframed_->size()) ? Record::kReady : Record::kEnded;
    }
  }
}

// Takes off the front of the input what may stand before a client's message and is none of it.
// kReady: what is there now is something else.
TlsEngine::Record TlsEngine::SkipMeaningless() {
  while (true) {
    if (early_data_ != nullptr) {
      const Record skipped = SkipEarlyData();
      if (skipped != Record::kReady || reframed_ != nullptr) {
        return skipped;
      }
    }
    if (in_->empty() || Octet(in_->Front().front()) != kTypeChangeCipherSpec) {
      return Record::kReady;
    }
    // RFC 8446 5: it means nothing, however often it comes. wolfSSL refuses the second one.
    std::array<char, kHeaderBytes + 1> record;
    const std::size_t there = CopyFront(*in_, record);
    if (there < kHeaderBytes) {
      return Record::kNeedInput;
    }
    if (record[3] != 0 || record[4] != 1) {
      return Record::kReady;  // wolfSSL refuses it
    }
    if (there < record.size()) {
      return Record::kNeedInput;
    }
    if (record.back() != 1) {
      return Record::kReady;
    }
    if (!CountHandshakeRecord(record.size())) {
      return Record::kEnded;
    }
    in_->Consume(record.size());
  }
}

bool TlsEngine::CountHandshakeRecord(std::size_t octets) {
  handshake_bytes_ += static_cast<std::uint32_t>(octets);
  if (++handshake_records_ <= kHandshakeRecordsMax && handshake_bytes_ <= kHandshakeBytesMax) {
    return true;
  }
  End(TlsOutcome::kFlood, "handshake too long");
  return false;
}

}  // namespace ringpost
