// SPDX-License-Identifier: GPL-3.0-or-later
#include "mischief.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "ringpost/base/check.h"

namespace ringpost {
namespace {

struct Row {
  std::string_view name;
  std::array<CloseReason, 3> reasons{};
  std::size_t count = 0;

  constexpr Row(std::string_view row_name, std::initializer_list<CloseReason> row_reasons)
      : name(row_name), count(row_reasons.size()) {
    std::copy(row_reasons.begin(), row_reasons.end(), reasons.begin());
  }
};

using enum CloseReason;

constexpr std::array<Row, static_cast<std::size_t>(Mischief::kCount)> kRows = {{
    {"none", {kQuit}},
    {"silence", {kClientTimeout}},
    {"end of file", {kClientEof}},
    // Whatever arrives late is taken for the handshake, and is none.
    {"injection", {kStarttlsInjection, kTlsHandshake, kHandshakeTimeout}},
    {"long line", {kLineTooLong}},
    {"BDAT syntax", {kBdatSyntax}},
    {"foreign protocol", {kCrossProtocol}},
    {"many errors", {kClientTooManyErrors}},
    {"half a command", {kClientTimeout}},
    {"garbage record", {kTlsProtocol, kClientTimeout}},
    {"close_notify", {kClientEof}},
    {"never reads", {kClientTimeout}},
    // What arrives after the 354 is content, as if it had been sent then.
    {"early content", {kClientProtocol, kClientTimeout, kClientTooManyErrors}},
    {"garbage hello", {kTlsHandshake, kHandshakeTimeout}},
    {"half a hello", {kHandshakeTimeout}},
    {"cut hello", {kTlsHandshake}},
    {"record flood", {kTlsFlood, kTlsHandshake}},
    {"half a message", {kClientTimeout}},
    {"cut message", {kClientTruncated}},
    {"reset message", {kClientTruncated}},
    {"notified message", {kClientTruncated}},
    // The octet at hand may be on its way when the time is up.
    {"drip", {kClientTimeout, kBackendTimeout}},
    {"bare newline", {CloseReason::kBareNewline}},
}};

const Row& RowOf(Mischief mischief) {
  RINGPOST_CHECK(mischief < Mischief::kCount);
  return kRows[static_cast<std::size_t>(mischief)];
}

}  // namespace

std::string_view MischiefName(Mischief mischief) { return RowOf(mischief).name; }

bool IsAboutTlsStart(Mischief mischief) {
  return mischief >= Mischief::kGarbageHello && mischief <= Mischief::kRecordFlood;
}

bool IsAboutContent(Mischief mischief) { return mischief >= Mischief::kHalfContent; }

std::span<const CloseReason> ReasonsFor(Mischief mischief) {
  const Row& row = RowOf(mischief);
  return std::span(row.reasons).first(row.count);
}

}  // namespace ringpost
