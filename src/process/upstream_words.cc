// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream_words.h"

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "ringpost/session/partner_opening.h"

namespace ringpost {
namespace {

std::string Who(const UpstreamConfig& upstream, const Endpoint& endpoint) {
  if (upstream.is_partner) {
    return absl::StrCat("egress \"", upstream.name, "\": ", ServerText(endpoint), ": ");
  }
  return absl::StrCat("upstream ", upstream.name, " (", endpoint.text, "): ");
}

absl::string_view Name(BackendIdentity identity) {
  const std::string_view name = BackendIdentityName(identity);
  return {name.data(), name.size()};
}

// Where the mail server is told to take this identity.
absl::string_view SetUp(BackendIdentity identity) {
  switch (identity) {
    case BackendIdentity::kProxyV2:
      return "Tell the mail server to take a PROXY header on this port (Postfix: "
             "smtpd_upstream_proxy_protocol=haproxy, postscreen: "
             "postscreen_upstream_proxy_protocol=haproxy; Exim: hosts_proxy; Dovecot: haproxy = "
             "yes "
             "and haproxy_trusted_networks; OpenSMTPD: proxy-v2), or set another identity";
    case BackendIdentity::kProxyV1:
      return "Tell the mail server to take a PROXY header on this port (Postfix: "
             "smtpd_upstream_proxy_protocol=haproxy, postscreen: "
             "postscreen_upstream_proxy_protocol=haproxy; Exim: hosts_proxy; nginx: "
             "proxy_protocol; "
             "Haraka: haproxy_hosts; chasquid: haproxy_incoming), or set another identity "
             "(OpenSMTPD takes proxy-v2 only)";
    case BackendIdentity::kXclient:
      return "Let it take XCLIENT from this machine (Postfix: "
             "smtpd_authorized_xclient_hosts=127.0.0.0/8 for this port), or set another identity";
    case BackendIdentity::kNone:
      break;
  }
  return "Perhaps it waits for a PROXY header (then set identity to proxy-v2 or proxy-v1) or "
         "speaks "
         "TLS or LMTP on this port (ringpost needs plain SMTP there)";
}

std::string Quoted(const std::string& words) {
  return words.empty() ? std::string("nothing") : absl::StrCat("\"", words, "\"");
}

std::string What(const UpstreamConfig& upstream, const ProbeResult& result) {
  const bool proxy = upstream.sends_proxy_header();
  switch (result.fault) {
    case ProbeFault::kNone:
      break;
    case ProbeFault::kNoAddress:
      return "no address is known of this name yet";
    case ProbeFault::kNoSocket:
    case ProbeFault::kConnect:
      return result.error == EACCES ? "Permission denied. The user that ringpost runs as must be "
                                      "able to enter the socket's folder and to write to the "
                                      "socket; for one below Postfix's folder \"public\" put it "
                                      "into the group postdrop, and start ringpost anew"
                                    : std::strerror(result.error);
    case ProbeFault::kClosed:
      return proxy ? absl::StrCat("it closed the connection when it had the PROXY header (",
                                  Name(upstream.identity),
                                  "). Does it trust this machine's address, and does it take this "
                                  "version of the header? ",
                                  SetUp(upstream.identity))
                   : "it closed the connection before it had answered";
    case ProbeFault::kSilent:
      return absl::StrCat("it did not answer in time. ", SetUp(upstream.identity));
    case ProbeFault::kNotReady:
      return absl::StrCat("it greeted with ", Quoted(result.words));
    case ProbeFault::kGreetsUntold:
      return absl::StrCat(
          "it greeted with ", Quoted(result.words), " before it had the PROXY header (",
          Name(upstream.identity),
          "), so it does not wait for one, and would take ringpost for the client. ",
          SetUp(upstream.identity));
    case ProbeFault::kNotSmtp:
      return absl::StrCat("it said ", Quoted(result.words), ", which is not SMTP. ",
                          SetUp(upstream.identity));
    case ProbeFault::kUnaskedReply:
      return absl::StrCat("it said ", Quoted(result.words),
                          proxy ? " behind its greeting, so it takes the PROXY header for a command"
                                : " although nothing had asked for it",
                          ". ", SetUp(upstream.identity));
    case ProbeFault::kNoXclient:
      return absl::StrCat("it does not offer XCLIENT to this machine. ", SetUp(upstream.identity));
    case ProbeFault::kXclientRefused:
      return absl::StrCat("it answered XCLIENT with ", Quoted(result.words), ". ",
                          SetUp(upstream.identity));
    case ProbeFault::kNoopRefused:
      return absl::StrCat("it answered NOOP with ", Quoted(result.words),
                          proxy ? ", so it takes the PROXY header for a command" : "", ". ",
                          SetUp(upstream.identity));
    case ProbeFault::kHelloRefused:
      return absl::StrCat("it answered EHLO and HELO with ", Quoted(result.words), ". ",
                          SetUp(upstream.identity));
  }
  return {};
}

}  // namespace

std::string ProvenSentence(const UpstreamConfig& upstream, const Endpoint& endpoint,
                           const ProbeResult& /*result*/) {
  return absl::StrCat(Who(upstream, endpoint), "answers as it should (identity ",
                      Name(upstream.identity), ")");
}

std::vector<std::string> ProvenAdvice(const UpstreamConfig& upstream, const Endpoint& endpoint,
                                      const ProbeResult& result) {
  std::vector<std::string> advice;
  const std::string who = Who(upstream, endpoint);
  if (upstream.identity == BackendIdentity::kProxyV2 && upstream.proxy_tlvs != ProxyTlvs::kNone &&
      result.header_octets < kProxyHeaderSslMax) {
    advice.push_back(absl::StrCat(
        who, "it takes PROXY headers of at most ", result.header_octets,
        " bytes. Where a header would be longer, the name that the client asked for is left out "
        "first, then the other TLS facts. proxy_tlvs = \"none\" leaves them out always"));
  }
  if (result.refuses_second_hello) {
    advice.push_back(absl::StrCat(who,
                                  "it refuses a second EHLO, so that starttls_backend = \"keep\" "
                                  "cannot work: each STARTTLS makes a new connection to it"));
  }
  if (result.words.find("Dovecot") != std::string::npos) {
    if (upstream.identity == BackendIdentity::kProxyV1) {
      advice.push_back(
          absl::StrCat(who,
                       "PROXY version 1 does not tell Dovecot of TLS, so that it offers "
                       "no AUTH. Set identity to proxy-v2"));
    } else if (upstream.identity == BackendIdentity::kXclient) {
      advice.push_back(absl::StrCat(who,
                                    "Dovecot takes every session that comes with XCLIENT for "
                                    "secured, and passwords in clear. Leave auth = \"tls\" for its "
                                    "routes"));
    } else if (result.asked_second_hello && !result.refuses_second_hello) {
      advice.push_back(absl::StrCat(who,
                                    "with starttls_backend = \"keep\" Dovecot does not learn of "
                                    "TLS, so that it offers no AUTH after STARTTLS. Set it to "
                                    "\"reconnect\""));
    }
  }
  return advice;
}

std::string NotProvenSentence(const UpstreamConfig& upstream, const Endpoint& endpoint,
                              const ProbeResult& result) {
  return absl::StrCat(Who(upstream, endpoint),
                      result.kind == ProbeResult::Kind::kRefuted
                          ? "not used, clients are told 421: "
                          : "not available: ",
                      What(upstream, result));
}

std::string SlowSentence(const UpstreamConfig& upstream, const Endpoint& endpoint) {
  return absl::StrCat(Who(upstream, endpoint), "has not greeted for 10 s. ",
                      SetUp(upstream.identity));
}

std::string FailedSentence(const UpstreamConfig& upstream, const Endpoint& endpoint,
                           CloseReason reason, int error, std::string_view words) {
  std::string sentence = Who(upstream, endpoint);
  if (upstream.is_partner && !words.empty()) {
    return sentence.append(words);  // as the refusal of MAIL has it
  }
  sentence.append(upstream.is_partner && reason == CloseReason::kBackendConnect
                      ? std::string_view("cannot be reached")
                      : CloseReasonName(reason));
  if (error != 0) {
    absl::StrAppend(&sentence, ": ", std::strerror(error));
  }
  if (!words.empty()) {
    sentence.append(": \"").append(words).append("\"");
  }
  return sentence;
}

std::string RecoveredSentence(const UpstreamConfig& upstream, const Endpoint& endpoint) {
  return Who(upstream, endpoint) + "is back and used again";
}

}  // namespace ringpost
