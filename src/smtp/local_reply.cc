// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/smtp/local_reply.h"

#include <algorithm>

#include "ringpost/base/check.h"

namespace ringpost {
namespace {

constexpr std::string_view kCrlf = "\r\n";

std::string WithHost(std::string_view code, std::string_view hostname, std::string_view text) {
  std::string reply;
  reply.reserve(code.size() + hostname.size() + text.size() + 4);
  reply.append(code).append(" ").append(hostname).append(" ").append(text).append("\r\n");
  return reply;
}

}  // namespace

std::string_view LocalReplyText(LocalReply reply) {
  switch (reply) {
    case LocalReply::kNotRecognized:
      return "500 5.5.2 Error: command not recognized\r\n";
    case LocalReply::kLineTooLong:
      return "500 5.5.2 Error: line too long\r\n";
    case LocalReply::kBadSyntax:
      return "500 5.5.2 Error: bad syntax, a line ends with <CR><LF>\r\n";
    case LocalReply::kEmptyLine:
      return "500 5.5.2 Error: bad syntax, the line is empty\r\n";
    case LocalReply::kLeadingBlank:
      return "500 5.5.2 Error: bad syntax, a command has no blank in front\r\n";
    case LocalReply::kNulInCommand:
      return "501 5.5.2 Error: NUL in command\r\n";
    case LocalReply::kInvalidUtf8:
      return "501 5.5.2 Error: invalid UTF-8 in command\r\n";
    case LocalReply::kSmtputf8Needed:
      return "501 5.5.2 Error: non-ASCII command, and SMTPUTF8 is not offered\r\n";
    case LocalReply::kHelloSyntax:
      return "501 5.5.4 Error: control character in the name\r\n";
    case LocalReply::kNotImplemented:
      return "502 5.5.1 Error: command not implemented\r\n";
    case LocalReply::kStarttlsParameter:
      return "501 5.5.4 Syntax: STARTTLS takes no parameter\r\n";  // RFC 3207 4
    case LocalReply::kStarttlsNotOffered:
      return "502 5.5.1 Error: STARTTLS is not offered\r\n";
    case LocalReply::kTlsActive:
      return "503 5.5.1 Error: TLS is already active\r\n";
    case LocalReply::kMustStarttls:
      return "530 5.7.0 Must issue a STARTTLS command first\r\n";  // RFC 3207 4
    case LocalReply::kEncryptionRequired:  // RFC 4954 6; where STARTTLS would not help
      return "538 5.7.11 Encryption required for requested authentication mechanism\r\n";
    case LocalReply::kBadSequence:
      return "503 5.5.1 Error: bad sequence of commands\r\n";
    case LocalReply::kMailNeeded:
      return "503 5.5.1 Error: need MAIL command\r\n";
    case LocalReply::kChunkingNotOffered:
      return "502 5.5.1 Error: CHUNKING is not offered\r\n";
    case LocalReply::kDataAfterBdat:
      return "503 5.5.1 Error: DATA after BDAT\r\n";  // RFC 3030 2
    case LocalReply::kAlreadyAuthenticated:
      return "503 5.5.1 Error: already authenticated\r\n";  // RFC 4954 4
    case LocalReply::kMechanismNotOffered:
      return "504 5.5.4 Error: authentication mechanism not offered\r\n";
    case LocalReply::kOk:
      return "250 2.0.0 Ok\r\n";
    case LocalReply::kBye:
    case LocalReply::kTooManyErrors:
    case LocalReply::kDiscardTooLong:
    case LocalReply::kBdatSyntax:
    case LocalReply::kForeignProtocol:
    case LocalReply::kContentBefore354:
    case LocalReply::kBareNewline:
    case LocalReply::kPolicyChanged:
      return {};
  }
  CheckFailed("LocalReply is a closed set", __FILE__, __LINE__);
}

std::string_view LocalReplyCode(LocalReply reply) {
  switch (reply) {
    case LocalReply::kBye:
      return "221 2.0.0";
    case LocalReply::kTooManyErrors:
    case LocalReply::kDiscardTooLong:
      return "421 4.7.0";
    case LocalReply::kBdatSyntax:
      return "501 5.5.4";
    case LocalReply::kForeignProtocol:
      return "500 5.5.1";
    case LocalReply::kContentBefore354:
      return "554 5.5.0";
    case LocalReply::kBareNewline:
      return "550 5.5.2";
    case LocalReply::kPolicyChanged:
      return "421 4.3.2";
    default:
      return ReplyCode(LocalReplyText(reply));
  }
}

std::string_view ReplyCode(std::string_view reply) {
  constexpr std::size_t kCodeOctets = 3;
  constexpr std::size_t kEnhancedMax = 9;  // "5.777.777", RFC 3463 2
  const std::string_view rest = reply.substr(std::min(reply.size(), kCodeOctets + 1));
  const std::size_t end = std::min(rest.find_first_not_of("0123456789."), rest.size());
  const std::string_view enhanced = rest.substr(0, end);
  const bool is_one =
      enhanced.size() <= kEnhancedMax && std::count(enhanced.begin(), enhanced.end(), '.') == 2;
  return reply.substr(0, is_one ? kCodeOctets + 1 + end : kCodeOctets);
}

void LastRefusal::Set(std::string_view verb, std::string_view code) {
  if (verb.empty()) verb = "unknown";
  RINGPOST_CHECK(verb.size() + 1 + code.size() <= text_.size());
  length_ = static_cast<std::uint8_t>(verb.copy(text_.data(), verb.size()));
  text_[length_++] = ' ';
  length_ += static_cast<std::uint8_t>(code.copy(text_.data() + length_, code.size()));
}

CloseReason LocalReplyClose(LocalReply reply) {
  switch (reply) {
    case LocalReply::kBye:
      return CloseReason::kQuit;
    case LocalReply::kTooManyErrors:
      return CloseReason::kClientTooManyErrors;
    case LocalReply::kDiscardTooLong:
      return CloseReason::kLineTooLong;
    case LocalReply::kBdatSyntax:
      return CloseReason::kBdatSyntax;
    case LocalReply::kForeignProtocol:
      return CloseReason::kCrossProtocol;
    case LocalReply::kContentBefore354:
      return CloseReason::kClientProtocol;
    case LocalReply::kBareNewline:
      return CloseReason::kBareNewline;
    case LocalReply::kPolicyChanged:
      return CloseReason::kPolicyChanged;
    default:
      return CloseReason::kNone;
  }
}

std::string ClosingText(LocalReply reply, std::string_view hostname) {
  switch (reply) {
    case LocalReply::kBye:
      return WithHost(LocalReplyCode(reply), hostname, "Bye");
    case LocalReply::kTooManyErrors:
      return WithHost(LocalReplyCode(reply), hostname, "Error: too many errors");
    case LocalReply::kDiscardTooLong:
      return WithHost(LocalReplyCode(reply), hostname, "Error: line too long");
    case LocalReply::kBdatSyntax:
      return WithHost(LocalReplyCode(reply), hostname, "Syntax: BDAT count [LAST]");
    case LocalReply::kForeignProtocol:
      return WithHost(LocalReplyCode(reply), hostname, "Error: this is an SMTP server");
    case LocalReply::kContentBefore354:
      return WithHost(LocalReplyCode(reply), hostname, "Error: content sent before 354");
    case LocalReply::kBareNewline:
      return WithHost(LocalReplyCode(reply), hostname, "Error: bare <LF> or <CR> in content");
    case LocalReply::kPolicyChanged:
      return WithHost(LocalReplyCode(reply), hostname,
                      "Error: policies have changed, please connect again");
    default:
      CheckFailed("the reply ends the session", __FILE__, __LINE__);
  }
}

std::string EhloReplyWithoutBackend(std::string_view hostname, const std::string* keywords) {
  constexpr std::string_view kUsual =
      "PIPELINING\r\nSIZE\r\n8BITMIME\r\nSMTPUTF8\r\nENHANCEDSTATUSCODES\r\n";
  std::string reply;
  const auto add = [&reply](std::string_view line, bool last) {
    reply.append("250").append(last ? " " : "-").append(line).append(kCrlf);
  };
  std::string_view rest = keywords != nullptr ? *keywords : kUsual;
  add(hostname, rest.empty());
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find(kCrlf));
    rest.remove_prefix(line.size() + kCrlf.size());
    add(line, rest.empty());
  }
  return reply;
}

std::string ClosingText(CloseReason reason, std::string_view hostname) {
  switch (reason) {
    case CloseReason::kBackendEof:
    case CloseReason::kBackendReset:
    case CloseReason::kBackendTls:
      return WithHost("421 4.3.2", hostname, "Error: connection to the mail system lost");
    case CloseReason::kBackendConnect:
    case CloseReason::kBackendIdentity:
      return WithHost("421 4.3.2", hostname, "Error: mail system not available, try again later");
    case CloseReason::kBackendProtocol:
      return WithHost("421 4.3.0", hostname, "Error: invalid reply from the mail system");
    case CloseReason::kBackendTimeout:
    case CloseReason::kClientTimeout:
    case CloseReason::kHandshakeTimeout:
      return WithHost("421 4.4.2", hostname, "Error: timeout exceeded");
    case CloseReason::kClientRate:
      return WithHost("421 4.7.0", hostname, "Error: too many TLS handshakes from your address");
    case CloseReason::kOutOfResources:
      return WithHost("421 4.3.2", hostname, "Error: out of resources, try again later");
    case CloseReason::kDrain:
    case CloseReason::kStop:
      return WithHost("421 4.3.2", hostname, "Service shutting down");
    // Said already, or said by who found it, or nobody there to hear it.
    case CloseReason::kNone:
    case CloseReason::kQuit:
    case CloseReason::kClientEof:
    case CloseReason::kBackend421:
    case CloseReason::kClientReset:
    case CloseReason::kClientTruncated:
    case CloseReason::kClientProtocol:
    case CloseReason::kClientTooManyErrors:
    case CloseReason::kLineTooLong:
    case CloseReason::kStarttlsInjection:
    case CloseReason::kBareNewline:
    case CloseReason::kBdatSyntax:
    case CloseReason::kCrossProtocol:
    case CloseReason::kTlsHandshake:
    case CloseReason::kTlsProtocol:
    case CloseReason::kTlsFlood:
    case CloseReason::kPolicyChanged:
      return {};
  }
  CheckFailed("CloseReason is a closed set", __FILE__, __LINE__);
}

std::string LostServerText(CloseReason reason, std::string_view code, std::string_view server) {
  std::string text(code);
  const auto say = [&text, server](std::string_view enhanced, std::string_view words) {
    return text.append(enhanced).append(server).append(": ").append(words).append(kCrlf);
  };
  switch (reason) {
    case CloseReason::kBackendEof:
    case CloseReason::kBackendReset:
      return say(" 4.4.2 ", "closed the connection");
    case CloseReason::kBackendTimeout:
      return say(" 4.4.2 ", "did not answer in time");
    case CloseReason::kBackendTls:
      return say(" 4.7.5 ", "TLS failed");
    case CloseReason::kBackendProtocol:
    case CloseReason::kBackendIdentity:
      return say(" 4.5.0 ", "says what is no reply to the command");
    default:
      return {};
  }
}

void PendingReplies::Push(PendingReply reply) {
  RINGPOST_CHECK(!full());
  entries_[(first_ + size_) % kCapacity] = reply;
  ++size_;
}

void PendingReplies::Pop() {
  RINGPOST_CHECK(!empty());
  first_ = static_cast<std::uint8_t>((first_ + 1) % kCapacity);
  --size_;
}

}  // namespace ringpost
