// SPDX-License-Identifier: GPL-3.0-or-later
//
// TLS 1.3 after the handshake: finds the records in what was received and hands each of
// them, once it is whole, to our own record layer.
#include <array>
#include <cstring>
#include <new>
#include <span>

#include "record_layer.h"
#include "ringpost/base/check.h"
#include "ringpost/tls/tls_engine.h"

namespace ringpost {
namespace {

constexpr unsigned char kTypeApplicationData = 23;

}  // namespace

TlsOutcome TlsEngine::ReadRecords(ByteQueue& cipher_in, ByteQueue& plain_in, std::size_t plain_max,
                                  ByteQueue& cipher_out) {
  while (plain_in.size() < plain_max) {
    Received received = record_left_ > 0 ? Received::kWhole : ReadHeader(cipher_in, cipher_out);
    if (received == Received::kWhole && (gathered_ != nullptr || cipher_in.size() < record_left_)) {
      received = Gather(cipher_in);
    }
    if (received != Received::kWhole) {
      return received == Received::kPart ? TlsOutcome::kDone : ended_;
    }
    if (const TlsOutcome outcome = OpenRecord(cipher_in, plain_in, cipher_out);
        outcome != TlsOutcome::kDone) {
      return outcome;
    }
  }
  return TlsOutcome::kDone;
}

// Takes the header of the next record off the queue; its content is never empty afterwards.
TlsEngine::Received TlsEngine::ReadHeader(ByteQueue& cipher_in, ByteQueue& cipher_out) {
  if (cipher_in.size() < header_.size()) {
    return Received::kPart;
  }
  for (std::size_t read = 0; read < header_.size();) {  // one turn, unless blocks part it
    const std::string_view part = cipher_in.Front().substr(0, header_.size() - read);
    std::memcpy(header_.data() + read, part.data(), part.size());
    read += part.size();
    cipher_in.Consume(part.size());
  }
  record_length_ = static_cast<std::uint32_t>(header_[3] << 8 | header_[4]);
  record_left_ = record_length_;
  RecordLayer::Result refused{.opened = RecordLayer::Opened::kNothing};
  if (record_length_ > RecordLayer::kSealedBytesMax) {
    refused = records_->Refuse(TlsAlert::kRecordOverflow, "oversized record", cipher_out);
  } else if (header_[0] != kTypeApplicationData) {
    refused = records_->Refuse(TlsAlert::kUnexpectedMessage, "record in clear", cipher_out);
  } else if (record_length_ == 0) {
    refused = records_->Refuse(TlsAlert::kBadRecordMac, "record without content", cipher_out);
  } else {
    return Received::kWhole;
  }
  EndRefused(refused.reason, refused.alert);
  return Received::kRefused;
}

// Moves what has come of the record to memory of its own.
TlsEngine::Received TlsEngine::Gather(ByteQueue& cipher_in) {
  if (gathered_ == nullptr) {
    gathered_.reset(new (std::nothrow) char[record_length_]);
    if (gathered_ == nullptr) {
      End(TlsOutcome::kFailed, "out of memory");
      return Received::kRefused;
    }
  }
  while (record_left_ > 0 && !cipher_in.empty()) {
    const std::string_view part = cipher_in.Front().substr(0, record_left_);
    part.copy(gathered_.get() + (record_length_ - record_left_), part.size());
    record_left_ -= static_cast<std::uint32_t>(part.size());
    cipher_in.Consume(part.size());
  }
  return record_left_ == 0 ? Received::kWhole : Received::kPart;
}

// The record is whole: in the queue, or gathered.
TlsOutcome TlsEngine::OpenRecord(ByteQueue& cipher_in, ByteQueue& plain_in, ByteQueue& cipher_out) {
  std::array<std::string_view, RecordLayer::kPiecesMax> pieces;
  std::size_t count = 0;
  if (gathered_ == nullptr) {
    const std::size_t queued = cipher_in.Pieces(pieces);
    for (std::size_t left = record_left_; left > 0 && count < queued; ++count) {
      pieces[count] = pieces[count].substr(0, left);
      left -= pieces[count].size();
      record_left_ = static_cast<std::uint32_t>(left);
    }
    if (record_left_ > 0) {  // too many pieces
      record_left_ = record_length_;
      if (Gather(cipher_in) != Received::kWhole) {
        return ended_;
      }
    }
  }
  const bool in_queue = gathered_ == nullptr;
  if (!in_queue) {
    pieces[0] = {gathered_.get(), record_length_};
    count = 1;
  }
  record_left_ = 0;
  const RecordLayer::Result result =
      records_->Open(header_, std::span(pieces).first(count), plain_in, cipher_out);
  gathered_.reset();
  if (in_queue) {
    cipher_in.Consume(record_length_);
  }
  switch (result.opened) {
    case RecordLayer::Opened::kContent:
      empty_records_ = 0;
      return TlsOutcome::kDone;
    case RecordLayer::Opened::kNothing:
      // As in CountEmptyRecord(): a client's server may send long ones.
      empty_bytes_ += role_ == Role::kClient ? record_length_ : 0;
      if (++empty_records_ > kEmptyRecordsMax || empty_bytes_ > kEmptyBytesMax) {
        return End(TlsOutcome::kFlood, "too many records without content");
      }
      return TlsOutcome::kDone;
    case RecordLayer::Opened::kPeerClosed:
      stage_ = Stage::kPeerClosed;
      return TlsOutcome::kPeerClosed;
    case RecordLayer::Opened::kPeerAlert:
      End(TlsOutcome::kFailed, "received alert ");
      error_ += TlsAlertName(result.alert);
      return ended_;
    case RecordLayer::Opened::kRefused:
      return EndRefused(result.reason, result.alert);
    case RecordLayer::Opened::kNoBlocks:
      break;
  }
  return End(TlsOutcome::kFailed, "out of blocks");
}

TlsOutcome TlsEngine::EndRefused(std::string_view reason, int alert) {
  End(TlsOutcome::kFailed, reason);
  error_ += "; sent alert ";
  error_ += TlsAlertName(alert);
  return ended_;
}

TlsOutcome TlsEngine::WriteRecords(ByteQueue& plain_out, ByteQueue& cipher_out,
                                   std::size_t cipher_max) {
  while (!plain_out.empty() && cipher_out.size() < cipher_max) {
    if (!records_->SealFront(plain_out, cipher_out)) {
      return End(TlsOutcome::kFailed, "out of blocks");
    }
  }
  return TlsOutcome::kDone;
}

}  // namespace ringpost
