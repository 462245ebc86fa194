// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/sink_options.h"

#include "ringpost/tools/ascii.h"

namespace ringpost {
namespace {

bool Offers(const std::vector<std::string>& keywords, std::string_view name) {
  for (const std::string& keyword : keywords) {
    const std::string_view line = keyword;
    if (EqualsIgnoreCase(line.substr(0, line.find(' ')), name)) {
      return true;
    }
  }
  return false;
}

}  // namespace

const std::vector<SinkFaultText>& SinkFaults() {
  static const std::vector<SinkFaultText> faults = {
      {SinkFault::kNone, "none", "behave"},
      {SinkFault::kCloseAtConnect, "close_at_connect", "close instead of greeting"},
      {SinkFault::kResetAtConnect, "reset_at_connect", "reset instead of greeting"},
      {SinkFault::kNoGreeting, "no_greeting", "never say anything"},
      {SinkFault::kGreeting421, "greeting_421", "greet with 421 and close"},
      {SinkFault::kGreeting554, "greeting_554", "greet with 554 and wait for QUIT"},
      {SinkFault::kRefuseIdentity, "refuse_identity",
       "close on the PROXY header, answer XCLIENT with 550"},
      {SinkFault::kRejectEhlo, "reject_ehlo", "502 to EHLO; HELO works"},
      {SinkFault::kStarttlsAdvertised, "starttls_advertised", "offer STARTTLS, answer it with 454"},
      {SinkFault::k421AtMail, "421_at_mail", "421 to MAIL and close"},
      {SinkFault::kRejectMail, "reject_mail", "550 to MAIL"},
      {SinkFault::kDeferMail, "defer_mail", "451 to MAIL"},
      {SinkFault::kSilentAtMail, "silent_at_mail", "never answer MAIL"},
      {SinkFault::kCloseAfterMail, "close_after_mail", "close after the reply to MAIL"},
      {SinkFault::kRejectRcpt, "reject_rcpt", "550 to every RCPT"},
      {SinkFault::kCloseAfterRcpt, "close_after_rcpt", "close after the reply to RCPT"},
      {SinkFault::kRejectData, "reject_data", "554 to DATA and BDAT"},
      {SinkFault::kCloseInData, "close_in_data", "close at the first octets of content"},
      {SinkFault::kResetInData, "reset_in_data", "reset at the first octets of content"},
      {SinkFault::kStallInData, "stall_in_data", "stop reading at the first octets of content"},
      {SinkFault::kCloseAfterDot, "close_after_dot",
       "close instead of the final reply, nothing is kept"},
      {SinkFault::kSilentAfterDot, "silent_after_dot", "never send the final reply"},
      {SinkFault::kRejectFinal, "reject_final", "554 as the final reply"},
      {SinkFault::kDeferFinal, "defer_final", "451 as the final reply"},
      {SinkFault::k421AtFinal, "421_at_final", "421 as the final reply and close"},
      {SinkFault::kBadReplyCode, "bad_reply_code", "\"250-a CRLF 550 b CRLF\" to MAIL"},
      {SinkFault::kBareLfReply, "bare_lf_reply", "end the reply to MAIL with a bare LF"},
      {SinkFault::kLongReply, "long_reply", "a reply line of 600 octets to MAIL"},
      {SinkFault::kEarlyReply, "early_reply", "send the final reply together with the 354"},
      {SinkFault::kSlow, "slow", "send every reply one octet at a time"},
  };
  return faults;
}

std::optional<SinkFault> SinkFaultByName(std::string_view name) {
  for (const SinkFaultText& text : SinkFaults()) {
    if (text.name == name) {
      return text.fault;
    }
  }
  return std::nullopt;
}

void SinkOptionsResolve(SinkOptions& options) {
  if (options.keywords.empty()) {
    options.keywords = {"PIPELINING",       "SIZE " + std::to_string(options.size_max),
                        "8BITMIME",         "DSN",
                        "SMTPUTF8",         "CHUNKING",
                        "AUTH PLAIN LOGIN", "ENHANCEDSTATUSCODES"};
    if (options.identity == SinkIdentity::kXclient) {
      options.keywords.push_back("XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT");
    }
    if (options.fault == SinkFault::kStarttlsAdvertised) {
      options.keywords.push_back("STARTTLS");
    }
  }
  options.greeting = "220 " + options.hostname + " ESMTP ringpost-sink\r\n";
  options.ehlo_reply = "250-" + options.hostname + "\r\n";
  for (std::size_t i = 0; i < options.keywords.size(); ++i) {
    options.ehlo_reply += i + 1 < options.keywords.size() ? "250-" : "250 ";
    options.ehlo_reply += options.keywords[i] + "\r\n";
  }
  options.chunking = Offers(options.keywords, "CHUNKING");
  options.auth = Offers(options.keywords, "AUTH");
  options.smtputf8 = Offers(options.keywords, "SMTPUTF8");
}

}  // namespace ringpost
