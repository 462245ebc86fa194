// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tls/client_hello_reader.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <span>

#include "record_input.h"

namespace ringpost {
namespace {

constexpr unsigned kMessageClientHello = 1;

HelloResult Verdict(HelloStatus status, std::string_view reason = {}) {
  HelloResult result;
  result.status = status;
  result.reason = reason;
  return result;
}

HelloResult NotTls() { return Verdict(HelloStatus::kNotTls, "not TLS"); }

HelloResult Malformed(TlsAlert alert, std::string_view reason) {
  HelloResult result = Verdict(HelloStatus::kMalformed, reason);
  result.alert = alert;
  return result;
}

HelloResult NotHello() {
  return Malformed(TlsAlert::kUnexpectedMessage, "first message is not a ClientHello");
}

std::size_t Number(std::string_view octets) {
  std::size_t value = 0;
  for (const char octet : octets) {
    value = value << 8 | Octet(octet);
  }
  return value;
}

// The first octets decide whether this is TLS at all; `received` has one at least.
struct FirstOctets {
  std::optional<HelloResult> verdict;
  std::size_t needed = 0;  // for a verdict, octets in all
};

FirstOctets JudgeFirstOctets(std::string_view received) {
  const auto octet = [received](std::size_t i) { return Octet(received[i]); };
  const unsigned type = octet(0);
  if ((type & 0x80) != 0) {
    // An SSL 2.0 hello, as some clients of the 1990s wrapped an SSL 3.0 one: length, 1, version.
    if (received.size() < kHeaderBytes) {
      return {.verdict = std::nullopt, .needed = kHeaderBytes};
    }
    const bool is_hello = octet(2) == 1 && (octet(3) == 3 || (octet(3) == 0 && octet(4) == 2));
    return {.verdict =
                is_hello ? Malformed(TlsAlert::kProtocolVersion, "SSL 2.0 hello") : NotTls()};
  }
  if (type < kTypeChangeCipherSpec || type > kTypeApplicationData) {
    return {.verdict = NotTls()};
  }
  if (received.size() < 2) {
    return {.verdict = std::nullopt, .needed = 2};
  }
  if (octet(1) != 3) {
    return {.verdict = NotTls()};
  }
  if (type != kTypeHandshake) {
    return {.verdict = Malformed(TlsAlert::kUnexpectedMessage, "first record is not a handshake")};
  }
  return {.verdict = std::nullopt, .needed = kHeaderBytes + 1};
}

// `header`: of a record.
std::optional<HelloResult> JudgeHeader(std::string_view header) {
  const std::size_t length = Number(header.substr(3));
  if (Octet(header[0]) != kTypeHandshake || Octet(header[1]) != 3 || length == 0) {
    return Malformed(TlsAlert::kUnexpectedMessage, "ClientHello interrupted");
  }
  if (length > kPlainRecordMax) {
    return Malformed(TlsAlert::kRecordOverflow, "oversized record");
  }
  return std::nullopt;
}

// `total`: of the message, as its header says. `there`: how much of it there is with the record at
// hand.
std::optional<HelloResult> JudgeLength(std::size_t total, std::size_t there) {
  if (total > kClientHelloBytesMax) {
    return Malformed(TlsAlert::kIllegalParameter, "ClientHello too long");
  }
  if (there > total) {
    // RFC 8446 5.1: no message may follow in the record before the keys change.
    return Malformed(TlsAlert::kUnexpectedMessage, "octets behind the ClientHello");
  }
  return std::nullopt;
}

HelloResult ReadMessage(std::string_view message, bool in_place, ClientHello& hello) {
  if (const std::optional<HelloRefusal> refusal = ReadClientHello(message, hello)) {
    return Malformed(refusal->alert, refusal->reason);
  }
  HelloResult result = Verdict(HelloStatus::kComplete);
  result.message = message;
  result.in_place = in_place;
  return result;
}

}  // namespace

// A message of which a part has come, without the headers of its records.
struct ClientHelloReader::Assembly {
  explicit Assembly(BufferPool* pool) : message(pool) {}

  [[nodiscard]] std::optional<HelloResult> Judge() const {
    return knows_total() ? JudgeLength(total, message.size() + record_left) : std::nullopt;
  }
  [[nodiscard]] bool knows_total() const { return message.size() >= kMessageHeaderBytes; }
  [[nodiscard]] Room Append(std::string_view octets);

  ByteQueue message;
  std::size_t room = 0;         // in the last block
  std::size_t total = 0;        // of the message, once its header is there
  std::size_t record_left = 0;  // of the record at hand
};

Room ClientHelloReader::Assembly::Append(std::string_view octets) {
  while (!octets.empty()) {
    if (room == 0) {
      // What most hellos need, and a large block only for one that has more.
      room = message.empty() ? BufferPool::kSmallBytes : BufferPool::kLargeBytes;
    }
    const std::span<char> tail = message.PrepareTail(room);
    if (tail.empty()) {
      return Room::kNoBlocks;
    }
    const std::size_t copied = std::min(octets.size(), tail.size());
    std::memcpy(tail.data(), octets.data(), copied);
    message.Commit(copied);
    room = tail.size() - copied;
    octets.remove_prefix(copied);
  }
  return Room::kOk;
}

ClientHelloReader::ClientHelloReader() = default;
ClientHelloReader::~ClientHelloReader() = default;

HelloResult ClientHelloReader::Read(ByteQueue& in, ClientHello& hello) {
  HelloResult result;
  if (assembly_ == nullptr && in.size() >= needed_) {
    result = ReadFirst(in, hello);
  }
  if (assembly_ != nullptr) {
    result = Assemble(in, hello);
  }
  if (result.status != HelloStatus::kNeedMore) {
    assembly_.reset();
    needed_ = 1;
  }
  return result;
}

// Until it is known whether the hello is one record.
HelloResult ClientHelloReader::ReadFirst(ByteQueue& in, ClientHello& hello) {
  const auto need = [this](std::size_t octets) {
    needed_ = static_cast<std::uint32_t>(octets);
    return HelloResult{};
  };
  constexpr std::size_t kBothHeaders = kHeaderBytes + kMessageHeaderBytes;
  std::array<char, kBothHeaders> start;
  const std::string_view octets(start.data(), CopyFront(in, start));
  const FirstOctets first = JudgeFirstOctets(octets);
  if (first.verdict) {
    return *first.verdict;
  }
  if (octets.size() < kHeaderBytes) {
    return need(std::min(first.needed, kHeaderBytes));
  }
  if (const std::optional<HelloResult> verdict = JudgeHeader(octets.substr(0, kHeaderBytes))) {
    return *verdict;
  }
  if (octets.size() < first.needed) {
    return need(first.needed);
  }
  if (Octet(octets[kHeaderBytes]) != kMessageClientHello) {
    return NotHello();
  }
  const std::size_t length = Number(octets.substr(3, 2));
  if (length >= kMessageHeaderBytes) {
    if (octets.size() < kBothHeaders) {
      return need(kBothHeaders);
    }
    const std::size_t total = kMessageHeaderBytes + Number(octets.substr(kHeaderBytes + 1));
    if (const std::optional<HelloResult> verdict = JudgeLength(total, length)) {
      return *verdict;
    }
    const std::size_t end = kHeaderBytes + length;
    if (total == length && end <= BufferPool::kLargeBytes) {
      if (in.size() < end) {
        return need(end);
      }
      if (in.Linearize(end) != Room::kOk) {
        return Verdict(HelloStatus::kNoBlocks);
      }
      return ReadMessage(in.Front().substr(kHeaderBytes, length), true, hello);
    }
  }
  assembly_ = std::make_unique<Assembly>(in.pool());
  return {};
}

HelloResult ClientHelloReader::Assemble(ByteQueue& in, ClientHello& hello) {
  Assembly& hand = *assembly_;
  while (!hand.knows_total() || hand.message.size() < hand.total) {
    if (hand.record_left == 0) {
      std::array<char, kHeaderBytes> header;
      if (CopyFront(in, header) < header.size()) {
        return {};
      }
      const std::string_view octets(header.data(), header.size());
      if (const std::optional<HelloResult> verdict = JudgeHeader(octets)) {
        return *verdict;
      }
      in.Consume(header.size());
      hand.record_left = Number(octets.substr(3));
      if (const std::optional<HelloResult> verdict = hand.Judge()) {
        return *verdict;
      }
    }
    // No further than to the length, so that what is wrong is found at the same octet however the
    // hello was cut.
    const std::size_t wanted =
        hand.knows_total() ? hand.record_left
                           : std::min(hand.record_left, kMessageHeaderBytes - hand.message.size());
    const std::string_view part = in.Front().substr(0, wanted);
    if (part.empty()) {
      return {};
    }
    if (hand.message.empty() && Octet(part.front()) != kMessageClientHello) {
      return NotHello();
    }
    const bool had_total = hand.knows_total();
    if (hand.Append(part) != Room::kOk) {
      return Verdict(HelloStatus::kNoBlocks);
    }
    in.Consume(part.size());
    hand.record_left -= part.size();
    if (!had_total && hand.knows_total()) {
      std::array<char, kMessageHeaderBytes> header;
      CopyFront(hand.message, header);
      hand.total = header.size() + Number({header.data() + 1, header.size() - 1});
      if (const std::optional<HelloResult> verdict = hand.Judge()) {
        return *verdict;
      }
    }
  }
  thread_local std::array<char, kClientHelloBytesMax> whole;
  return ReadMessage({whole.data(), CopyFront(hand.message, std::span(whole).first(hand.total))},
                     false, hello);
}

void ClientHelloReader::CountBlocks(std::size_t* large, std::size_t* small) const {
  if (assembly_ != nullptr) {
    assembly_->message.CountBlocks(large, small);
  }
}

}  // namespace ringpost
