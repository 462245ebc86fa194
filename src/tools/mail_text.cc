// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/mail_text.h"

#include "ringpost/base/check.h"

namespace ringpost {
namespace {

constexpr std::string_view kHeader =
    "From: Load Generator <load@sender.example.test>\r\n"
    "To: Sink <sink@recipient.example.test>\r\n"
    "Subject: ringpost-load\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=us-ascii\r\n"
    "\r\n";
static_assert(kHeader.size() + 2 <= kMailOctetsMin);

constexpr std::string_view kLines[] = {
    "The quick brown fox jumps over the lazy dog and runs away into fields.\r\n",
    "Ordinary mail has lines of about seventy octets, each with its CRLF,\r\n",
    "some commas, a few words that are longer than others, and a full stop.\r\n",
    "\r\n",
    ".. a line that begins with a dot has to be stuffed, and this one does.\r\n",
    "0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ +-*/=\r\n",
};

}  // namespace

std::string MakeMail(std::size_t octets) {
  RINGPOST_CHECK(octets >= kMailOctetsMin);
  std::string mail(kHeader);
  mail.reserve(octets);
  for (std::size_t i = 0;; ++i) {
    const std::string_view line = kLines[i % std::size(kLines)];
    // The last line is filled up to the octet; it needs room for its CRLF.
    if (octets - mail.size() < line.size() + 2) {
      break;
    }
    mail += line;
  }
  mail.append(octets - mail.size() - 2, 'x');
  mail += "\r\n";
  return mail;
}

std::string DotStuff(std::string_view content) {
  std::string stuffed;
  stuffed.reserve(content.size() + content.size() / 64 + 3);
  while (!content.empty()) {
    const std::size_t end = content.find('\n');
    const std::size_t length = end == std::string_view::npos ? content.size() : end + 1;
    if (content.front() == '.') {
      stuffed += '.';
    }
    stuffed += content.substr(0, length);
    content.remove_prefix(length);
  }
  stuffed += ".\r\n";
  return stuffed;
}

}  // namespace ringpost
