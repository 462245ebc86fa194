// SPDX-License-Identifier: GPL-3.0-or-later
#include "wire_watch.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "ringpost/io/socket.h"
#include "sim_process.h"

namespace ringpost {
namespace {

constexpr std::string_view kReady = "220 2.0.0 Ready to start TLS\r\n";
constexpr std::size_t kHeaderOctets = 5;
constexpr std::size_t kRecordMax = (1 << 14) + 2048;  // RFC 5246 6.2.3; RFC 8446 allows less

enum RecordType : unsigned { kChangeCipherSpec = 20, kAlert = 21, kHandshake = 22, kData = 23 };

unsigned Octet(char c) { return static_cast<unsigned char>(c); }

}  // namespace

void WireWatch::Opened(int fd, From from, const SocketAddress& /*local*/) {
  if ((from == From::kConnected) == (outbound_ != Outbound::kNone)) {
    streams_[fd].tls = implicit_tls_;
  }
}

void WireWatch::Sent(int fd, std::string_view octets) {
  const auto found = streams_.find(fd);
  if (found == streams_.end()) {
    return;
  }
  while (!octets.empty()) {
    if (found->second.tls) {
      Records(found->second, octets);
    } else if (outbound_ != Outbound::kNone) {
      Outwards(found->second, octets);
    } else {
      Clear(found->second, octets);
    }
  }
}

void WireWatch::Received(int /*fd*/, std::string_view /*octets*/) {}

void WireWatch::InShard(bool inside) {
  if (arming_) {
    sim_process::Arm(inside);
  }
}

void WireWatch::Clear(Stream& stream, std::string_view& octets) {
  const std::size_t end = std::min(octets.find('\n'), octets.size() - 1) + 1;
  stream.line += octets.substr(0, end);
  octets.remove_prefix(end);
  if (stream.line.ends_with('\n')) {
    stream.tls = stream.line == kReady;
    stream.line.clear();
  }
}

void WireWatch::Outwards(Stream& stream, std::string_view& octets) {
  if (stream.asked && Octet(octets.front()) == kHandshake) {
    stream.tls = true;
    return;
  }
  const std::size_t end = std::min(octets.find('\n'), octets.size() - 1) + 1;
  stream.line += octets.substr(0, end);
  octets.remove_prefix(end);
  if (outbound_ == Outbound::kForced) {
    bool allowed = false;
    for (const std::string& line : {"EHLO " + hello_, "HELO " + hello_, std::string("STARTTLS")}) {
      allowed = allowed || (line + "\r\n").starts_with(stream.line);
    }
    EXPECT_TRUE(allowed && !stream.asked)
        << "in clear to a partner, at " << io_->elapsed() / kNsPerMs << " ms: " << stream.line;
  }
  if (stream.line.ends_with('\n')) {
    stream.asked = stream.line == "STARTTLS\r\n";
    stream.line.clear();
  }
}

void WireWatch::Records(Stream& stream, std::string_view& octets) {
  if (stream.left == 0) {
    const std::size_t part = std::min(octets.size(), kHeaderOctets - stream.header.size());
    stream.header += octets.substr(0, part);
    octets.remove_prefix(part);
    if (stream.header.size() < kHeaderOctets) {
      return;
    }
    JudgeHeader(stream);
    stream.header.clear();
  }
  const std::size_t part = std::min(octets.size(), stream.left);
  stream.left -= part;
  octets.remove_prefix(part);
}

void WireWatch::JudgeHeader(Stream& stream) {
  const std::string& header = stream.header;
  const unsigned type = Octet(header[0]);
  const std::size_t length = Octet(header[3]) << 8 | Octet(header[4]);
  ++records_;
  const bool is_record = type >= kChangeCipherSpec && type <= kData && Octet(header[1]) == 3 &&
                         Octet(header[2]) <= 4 && length > 0 && length <= kRecordMax;
  EXPECT_TRUE(is_record) << "clear octets on a TLS leg, at " << io_->elapsed() / kNsPerMs
                         << " ms: " << testing::PrintToString(header);
  EXPECT_TRUE(type != kData || stream.handshake_seen) << "data before the handshake";
  EXPECT_FALSE(stream.over) << "octets behind the last alert";
  stream.handshake_seen = stream.handshake_seen || type == kHandshake;
  stream.over = stream.over || type == kAlert;
  stream.left = is_record ? length : 0;
}

}  // namespace ringpost
