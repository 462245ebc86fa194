// SPDX-License-Identifier: GPL-3.0-or-later
#include "script.h"

#include <algorithm>

namespace ringpost {
namespace {

std::string Excerpt(std::string_view octets) {
  std::string text(octets.substr(0, 80));
  std::replace_if(text.begin(), text.end(), [](char c) { return c < ' '; }, '~');
  return "'" + text + "' (" + std::to_string(octets.size()) + " octets)";
}

}  // namespace

bool IsBackendsToAccept(Utterance what) {
  switch (what) {
    case Utterance::kMail:
    case Utterance::kRcpt:
    case Utterance::kData:
    case Utterance::kContent:
    case Utterance::kChunk:
    case Utterance::kAuth:
      return true;
    case Utterance::kHello:
    case Utterance::kStartTls:
    case Utterance::kOther:
    case Utterance::kQuit:
      return false;
  }
  return true;
}

std::string CompareWithScript(std::string_view received, const std::vector<ScriptItem>& items,
                              Whole whole) {
  const std::size_t total = received.size();
  for (const ScriptItem& item : items) {
    if (item.reaches == Reaches::kNever) {
      continue;
    }
    if (received.starts_with(item.expected)) {
      received.remove_prefix(item.expected.size());
      continue;
    }
    if (!received.empty() && item.expected.starts_with(received)) {
      if (whole == Whole::kYes && item.reaches == Reaches::kAlways) {
        return "cut in the middle of " + Excerpt(item.expected);
      }
      received = {};
      continue;
    }
    if (item.reaches == Reaches::kPerhaps) {
      continue;
    }
    if (received.empty()) {
      return whole == Whole::kYes ? "missing: " + Excerpt(item.expected) : "";
    }
    return "at octet " + std::to_string(total - received.size()) + ": " + Excerpt(received) +
           " instead of " + Excerpt(item.expected);
  }
  return received.empty() ? "" : "octets that nobody sent: " + Excerpt(received);
}

}  // namespace ringpost
