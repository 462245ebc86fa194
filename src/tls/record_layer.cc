// SPDX-License-Identifier: GPL-3.0-or-later
#include "record_layer.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "ringpost/base/buffer_pool.h"
#include "ringpost/base/check.h"

namespace ringpost {
namespace {

constexpr std::size_t kTagBytes = RecordCipher::kTagBytes;
constexpr std::size_t kTypeBytes = 1;  // of the content, behind it (RFC 8446 5.2)
constexpr char kTicketType = 4;        // NewSessionTicket
constexpr char kKeyUpdateType = 24;
constexpr char kWarning = 1;
constexpr char kFatal = 2;
constexpr int kUserCanceled = 90;

// RFC 8446 4.6.1: lifetime, age_add, nonce, ticket, extensions.
constexpr std::size_t kTicketBytesMin = 4 + 4 + 1 + (2 + 1) + 2;
constexpr std::size_t kTicketBytesMax = 4 + 4 + (1 + 255) + (2 + 65535) + (2 + 65534);

// What of a record's text has no room in a block: the type of the longest content, and padding.
constexpr std::size_t kRestBytesMax =
    RecordLayer::kSealedBytesMax - kTagBytes - RecordLayer::kPlainBytesMax;
static_assert(RecordLayer::kPlainBytesMax <= BufferPool::kLargeBytes);

// Where a record is put together: header, content, type, tag.
using SealingBuffer =
    std::array<unsigned char,
               RecordLayer::kHeaderBytes + RecordLayer::kPlainBytesMax + kTypeBytes + kTagBytes>;
SealingBuffer& Sealing() {
  thread_local SealingBuffer buffer;
  return buffer;
}

// A content in two parts, without the padding and the type behind it.
struct InnerText {
  std::size_t bytes = 0;
  unsigned char type = 0;  // 0: there is none
};

InnerText StripPadding(std::span<const unsigned char> first, std::span<const unsigned char> rest) {
  const auto last_of = [](std::span<const unsigned char> part) {
    std::size_t end = part.size();
    while (end > 0 && part[end - 1] == 0) --end;
    return end;
  };
  if (const std::size_t end = last_of(rest); end > 0) {
    return {first.size() + end - 1, rest[end - 1]};
  }
  if (const std::size_t end = last_of(first); end > 0) {
    return {end - 1, first[end - 1]};
  }
  return {};
}

}  // namespace

TrafficSecrets::~TrafficSecrets() {
  explicit_bzero(client.data(), client.size());
  explicit_bzero(server.data(), server.size());
}

std::unique_ptr<RecordLayer> RecordLayer::Make(End end, std::uint16_t suite, const Direction& peer,
                                               const Direction& own,
                                               std::uint64_t records_per_key_max) {
  const RecordSuite* const known = FindRecordSuite(suite);
  std::unique_ptr<RecordLayer> layer(new (std::nothrow) RecordLayer(end, records_per_key_max));
  const bool ok = known != nullptr && layer != nullptr &&
                  layer->peer_.Start(*known, peer.keys, peer.sequence) &&
                  layer->own_.Start(*known, own.keys, own.sequence);
  return ok ? std::move(layer) : nullptr;
}

RecordLayer::Result RecordLayer::Open(std::span<const unsigned char, kHeaderBytes> header,
                                      std::span<const std::string_view> pieces, ByteQueue& plain_in,
                                      ByteQueue& cipher_out) {
  std::size_t sealed_bytes = 0;
  for (const std::string_view piece : pieces) {
    sealed_bytes += piece.size();
  }
  RINGPOST_CHECK(sealed_bytes <= kSealedBytesMax);
  if (sealed_bytes < kTagBytes) {
    return Refuse(TlsAlert::kBadRecordMac, "record shorter than its tag", cipher_out);
  }
  const std::size_t text_bytes = sealed_bytes - kTagBytes;
  const std::size_t first_bytes = std::min(text_bytes, kPlainBytesMax);
  const std::span<char> tail = plain_in.PrepareTail(first_bytes);
  if (tail.empty()) {
    return {.opened = Opened::kNoBlocks};
  }
  const std::span<unsigned char> first(reinterpret_cast<unsigned char*>(tail.data()), first_bytes);
  std::array<unsigned char, kRestBytesMax> rest_buffer;
  const std::span<unsigned char> rest = std::span(rest_buffer).first(text_bytes - first_bytes);

  Result result{.opened = Opened::kNothing};
  std::size_t content_bytes = 0;
  if (!peer_.Open(header, pieces, first, rest)) {
    result = Refuse(TlsAlert::kBadRecordMac, "record that cannot be opened", cipher_out);
  } else if (const InnerText inner = StripPadding(first, rest); inner.bytes > kPlainBytesMax) {
    result = Refuse(TlsAlert::kRecordOverflow, "oversized record", cipher_out);
  } else {
    const std::string_view text(tail.data(), inner.bytes);
    const auto type = static_cast<ContentType>(inner.type);
    if ((message_bytes_ > 0 || ticket_left_ > 0) && type != ContentType::kHandshake) {
      result = Refuse(TlsAlert::kUnexpectedMessage, "record within a handshake message",
                      cipher_out);  // RFC 8446 5.1
    } else if (type == ContentType::kApplicationData) {
      content_bytes = inner.bytes;
      result.opened = inner.bytes > 0 ? Opened::kContent : Opened::kNothing;
    } else if (type == ContentType::kAlert) {
      result = TakeAlert(text, cipher_out);
    } else if (type == ContentType::kHandshake) {
      result = TakeHandshake(text, cipher_out);
    } else {
      result = Refuse(TlsAlert::kUnexpectedMessage, "record of no known content", cipher_out);
    }
  }
  plain_in.Commit(content_bytes);
  return result;
}

RecordLayer::Result RecordLayer::TakeAlert(std::string_view text, ByteQueue& cipher_out) {
  if (text.empty()) {  // RFC 8446 5.1
    return Refuse(TlsAlert::kUnexpectedMessage, "empty alert record", cipher_out);
  }
  if (text.size() != 2) {
    return Refuse(TlsAlert::kDecodeError, "malformed alert", cipher_out);
  }
  // The level is ignored (RFC 8446 6).
  const int alert = static_cast<unsigned char>(text[1]);
  if (alert == static_cast<int>(TlsAlert::kCloseNotify)) {
    return {.opened = Opened::kPeerClosed};
  }
  return {.opened = alert == kUserCanceled ? Opened::kNothing : Opened::kPeerAlert, .alert = alert};
}

// A message may come in parts, and a ticket may be followed by others; a KeyUpdate must end its
// record (RFC 8446 5.1).
RecordLayer::Result RecordLayer::TakeHandshake(std::string_view text, ByteQueue& cipher_out) {
  if (text.empty()) {
    return Refuse(TlsAlert::kUnexpectedMessage, "empty handshake record", cipher_out);
  }
  while (!text.empty()) {
    const std::size_t dropped = std::min<std::size_t>(text.size(), ticket_left_);
    text.remove_prefix(dropped);
    ticket_left_ -= static_cast<std::uint32_t>(dropped);
    const std::size_t part = std::min(text.size(), kKeyUpdateBytes - message_bytes_);
    text.copy(message_.data() + message_bytes_, part);
    text.remove_prefix(part);
    message_bytes_ = static_cast<std::uint8_t>(message_bytes_ + part);
    if (message_bytes_ == 0) {
      break;
    }
    if (end_ == End::kServer || message_[0] != kTicketType) {
      return TakeKeyUpdate(text.size(), cipher_out);
    }
    if (message_bytes_ == kKeyUpdateBytes) {
      if (const Result begun = BeginTicket(cipher_out); begun.opened != Opened::kNothing) {
        return begun;
      }
    }
  }
  return {.opened = Opened::kNothing};
}

// The first octet of its content has come with its header.
RecordLayer::Result RecordLayer::BeginTicket(ByteQueue& cipher_out) {
  const auto octet = [this](std::size_t at) -> std::size_t {
    return static_cast<unsigned char>(message_[at]);
  };
  const std::size_t bytes = octet(1) << 16 | octet(2) << 8 | octet(3);
  if (bytes < kTicketBytesMin || bytes > kTicketBytesMax) {
    return Refuse(TlsAlert::kDecodeError, "malformed ticket", cipher_out);
  }
  ticket_left_ = static_cast<std::uint32_t>(bytes - 1);
  message_bytes_ = 0;
  return {.opened = Opened::kNothing};
}

// `behind`: octets that follow in its record.
RecordLayer::Result RecordLayer::TakeKeyUpdate(std::size_t behind, ByteQueue& cipher_out) {
  if (message_[0] != kKeyUpdateType) {
    return Refuse(TlsAlert::kUnexpectedMessage, "handshake message after the handshake",
                  cipher_out);
  }
  constexpr std::string_view kLength("\0\0\1", 3);
  const std::size_t length_bytes = std::min<std::size_t>(message_bytes_ - 1, kLength.size());
  if (std::string_view(message_.data() + 1, length_bytes) != kLength.substr(0, length_bytes)) {
    return Refuse(TlsAlert::kDecodeError, "malformed KeyUpdate", cipher_out);
  }
  if (message_bytes_ < kKeyUpdateBytes) {
    return {.opened = Opened::kNothing};
  }
  if (behind > 0) {
    return Refuse(TlsAlert::kUnexpectedMessage, "KeyUpdate with more behind it", cipher_out);
  }
  message_bytes_ = 0;
  const auto request = static_cast<KeyUpdateRequest>(message_.back());
  if (request != KeyUpdateRequest::kNotRequested && request != KeyUpdateRequest::kRequested) {
    return Refuse(TlsAlert::kIllegalParameter, "malformed KeyUpdate", cipher_out);
  }
  if (!peer_.Update()) {
    return Refuse(TlsAlert::kInternalError, "no keys", cipher_out);
  }
  if (request == KeyUpdateRequest::kRequested && !closed_ && !UpdateOurs(cipher_out)) {
    return {.opened = Opened::kNoBlocks};
  }
  return {.opened = Opened::kNothing};
}

bool RecordLayer::UpdateOurs(ByteQueue& cipher_out) {
  constexpr std::array<char, kKeyUpdateBytes> kMessage = {
      kKeyUpdateType, 0, 0, 1, static_cast<char>(KeyUpdateRequest::kNotRequested)};
  return SealText(ContentType::kHandshake, {kMessage.data(), kMessage.size()}, cipher_out) &&
         own_.Update();
}

RecordLayer::Result RecordLayer::Refuse(TlsAlert alert, std::string_view reason,
                                        ByteQueue& cipher_out) {
  const std::array<char, 2> text = {kFatal, static_cast<char>(alert)};
  if (!closed_) {
    // Without a block the alert is not sent; the close that follows says enough.
    (void)SealText(ContentType::kAlert, {text.data(), text.size()}, cipher_out);
    closed_ = true;
  }
  return {.opened = Opened::kRefused, .alert = static_cast<int>(alert), .reason = reason};
}

void RecordLayer::CloseNotify(ByteQueue& cipher_out) {
  constexpr std::array<char, 2> kText = {kWarning, static_cast<char>(TlsAlert::kCloseNotify)};
  if (!closed_) {
    (void)SealText(ContentType::kAlert, {kText.data(), kText.size()}, cipher_out);
    closed_ = true;
  }
}

bool RecordLayer::SealFront(ByteQueue& plain_out, ByteQueue& cipher_out) {
  RINGPOST_CHECK(!closed_);
  if (own_.sequence() >= records_per_key_max_ && !UpdateOurs(cipher_out)) {
    return false;
  }
  const std::size_t size = std::min(plain_out.size(), kPlainBytesMax);
  auto* const content = reinterpret_cast<char*>(Sealing().data()) + kHeaderBytes;
  for (std::size_t copied = 0; copied < size;) {
    const std::string_view part = plain_out.Front().substr(0, size - copied);
    part.copy(content + copied, part.size());
    copied += part.size();
    plain_out.Consume(part.size());
  }
  return Seal(ContentType::kApplicationData, size, cipher_out);
}

void RecordLayer::SendFirst(std::unique_ptr<char[]> record, std::size_t bytes) {
  first_ = std::move(record);
  first_bytes_ = static_cast<std::uint32_t>(bytes);
}

bool RecordLayer::SealText(ContentType type, std::string_view text, ByteQueue& cipher_out) {
  text.copy(reinterpret_cast<char*>(Sealing().data()) + kHeaderBytes, text.size());
  return Seal(type, text.size(), cipher_out);
}

bool RecordLayer::Seal(ContentType type, std::size_t size, ByteQueue& cipher_out) {
  const std::span<unsigned char> record(Sealing());
  const std::size_t inner_bytes = size + kTypeBytes;
  const std::size_t sealed_bytes = inner_bytes + kTagBytes;
  const std::span<unsigned char, kHeaderBytes> header = record.first<kHeaderBytes>();
  header[0] = static_cast<unsigned char>(ContentType::kApplicationData);
  header[1] = 3;  // legacy_record_version (RFC 8446 5.2)
  header[2] = 3;
  header[3] = static_cast<unsigned char>(sealed_bytes >> 8);
  header[4] = static_cast<unsigned char>(sealed_bytes & 0xff);
  record[kHeaderBytes + size] = static_cast<unsigned char>(type);
  if (!own_.Seal(header, record.subspan(kHeaderBytes, inner_bytes))) {
    return false;
  }
  if (const std::unique_ptr<char[]> first = std::move(first_);
      first != nullptr && cipher_out.Append({first.get(), first_bytes_}) != Room::kOk) {
    return false;
  }
  // A full record is longer than a block.
  std::string_view octets(reinterpret_cast<const char*>(record.data()),
                          kHeaderBytes + sealed_bytes);
  while (!octets.empty()) {
    const std::string_view part = octets.substr(0, BufferPool::kLargeBytes);
    if (cipher_out.Append(part) != Room::kOk) {
      return false;
    }
    octets.remove_prefix(part.size());
  }
  return true;
}

}  // namespace ringpost
