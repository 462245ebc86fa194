// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy_answer.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ringpost/policy/judge.h"
#include "ringpost/policy/partner_table.h"
#include "ringpost/policy/sender_address.h"
#include "ringpost/process/policy_service.h"

namespace ringpost {
namespace {

constexpr std::string_view kFieldName = "Ringpost-TLS: ";
constexpr std::string_view kRefusal = "550 5.7.0 Sender does not match the checked one";

// The longest values, escaped; a longer one is left out, because half a name is another name. The
// name the client asked for comes last and only gets what the others leave.
constexpr std::size_t kHostnameMax = 253;
constexpr std::size_t kVersionMax = 16;
constexpr std::size_t kSuiteMax = 48;
constexpr std::size_t kGroupMax = 32;
constexpr std::size_t kVerifiedMax = 255;  // a name; a fingerprint has 95
constexpr std::size_t kRouteMax = 64;
constexpr std::size_t kPartnersMax = 128;
static_assert(kFieldName.size() + kHostnameMax + sizeof "; version=" + kVersionMax +
                      sizeof "; suite=" + kSuiteMax + sizeof "; group=" + kGroupMax +
                      sizeof "; resumed=yes" + sizeof "; certificate=verified \"\"" + kVerifiedMax +
                      sizeof "; route=" + kRouteMax + sizeof "; partner=" + kPartnersMax <=
                  kTraceFieldMax,
              "everything but the SNI always fits");

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

// --- The request

struct PolicyRequest {
  std::string_view request;
  std::string_view protocol_state;
  std::string_view client_address;
  std::string_view client_port;
  std::string_view server_address;
  std::string_view server_port;
  std::string_view sender;
  std::string_view instance;
};

std::optional<PolicyRequest> ParseRequest(std::string_view text) {
  PolicyRequest request;
  const std::array<std::pair<std::string_view, std::string_view*>, 8> attributes = {{
      {"request", &request.request},
      {"protocol_state", &request.protocol_state},
      {"client_address", &request.client_address},
      {"client_port", &request.client_port},
      {"server_address", &request.server_address},
      {"server_port", &request.server_port},
      {"sender", &request.sender},
      {"instance", &request.instance},
  }};
  if (text.find('\0') != std::string_view::npos || !text.ends_with('\n')) {
    return std::nullopt;
  }
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() + 1);
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return std::nullopt;
    }
    for (const auto& [name, value] : attributes) {
      if (line.substr(0, equals) == name) {
        *value = line.substr(equals + 1);  // of several the last counts
      }
    }
  }
  if (request.request.empty()) {
    return std::nullopt;
  }
  return request;
}

// Whether a message has begun and a field can still be put in front of it. At the end of the
// message Postfix takes no PREPEND (access(5)), and the next MAIL may have been judged already.
bool IsWithinMessage(std::string_view protocol_state) {
  constexpr std::array<std::string_view, 6> kElsewhere = {"CONNECT", "EHLO", "HELO",
                                                          "VRFY",    "ETRN", "END-OF-MESSAGE"};
  return std::find(kElsewhere.begin(), kElsewhere.end(), protocol_state) == kElsewhere.end();
}

std::optional<IpAddress> ParseAddress(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size()) {
    return std::nullopt;
  }
  text.copy(terminated.data(), text.size());
  SocketAddress address{};
  if (inet_pton(AF_INET, terminated.data(), &address.in.sin_addr) == 1) {
    address.any.sa_family = AF_INET;
  } else if (inet_pton(AF_INET6, terminated.data(), &address.in6.sin6_addr) == 1) {
    address.any.sa_family = AF_INET6;
  } else {
    return std::nullopt;  // "unknown"
  }
  return ToIpAddress(address.any);
}

std::optional<std::uint16_t> ParsePort(std::string_view text) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  return error == std::errc{} && stop == end && port != 0 ? std::optional(port) : std::nullopt;
}

// The one session that the request is about. A client may come to another server of this machine
// from the same address and port, past us: only the address and port that it reached tell.
std::optional<RegisteredSession> FindSession(
    const PolicyRequest& request, const SessionKey& key,
    const std::vector<const SessionRegistry*>& registries) {
  const std::optional<IpAddress> address = ParseAddress(request.server_address);
  const std::optional<std::uint16_t> port = ParsePort(request.server_port);
  if (!address || !port) {
    return std::nullopt;
  }
  std::vector<RegisteredSession> found;
  for (const SessionRegistry* registry : registries) {
    registry->Find(key, found);
  }
  std::erase_if(found, [&](const RegisteredSession& session) {
    return session.server != *address || session.server_port != *port;
  });
  return found.size() == 1 ? std::optional(std::move(found.front())) : std::nullopt;
}

// --- The partners

// Only which partners a message concerns is asked here; whether it met them was the session's to
// say.
class NoChain final : public ChainVerifier {
 public:
  [[nodiscard]] PolicyFault VerifyChain(std::size_t) override { return PolicyFault::kNone; }
};

const JudgedPartner* FindJudged(const SessionMail& mail, const Partner& partner) {
  const auto found =
      std::find_if(mail.judged.begin(), mail.judged.end(),
                   [&partner](const JudgedPartner& judged) { return judged.name == partner.name; });
  return found != mail.judged.end() ? &*found : nullptr;
}

enum class SenderCheck : std::uint8_t { kPassed, kUnreadable, kNotJudged };

// What is said of this message and not of others in its session.
struct MessageFacts {
  std::string partners;    // that it concerns and whose policy it has met; by comma
  CertificateProof proof;  // to a rule that concerns it
};

// Who says more comes first; of two that say as much, `first`.
const CertificateProof& Better(const CertificateProof& first, const CertificateProof& second) {
  if (first.says_who() != second.says_who()) {
    return first.says_who() ? first : second;
  }
  return first.by != CertificateMatch::By::kNothing ? first : second;
}

SenderCheck CheckSender(const RegisteredSession& session, const SessionKey& key,
                        std::string_view sender_text, MessageFacts* facts) {
  facts->proof = session.trace.proof;
  if (session.partners == nullptr || session.partners->empty()) {
    return SenderCheck::kPassed;
  }
  const Sender sender = ParseBareSender(sender_text);
  if (session.partners->enforces_domains() && !IsSure(*session.partners, sender)) {
    return SenderCheck::kUnreadable;
  }
  NoChain chain;
  const PolicyDecisions decisions =
      JudgeMail(RoutePolicy{}, session.partners, sender,
                {.address = key.client, .tls = !session.trace.tls_version.empty()}, chain);
  CertificateProof of_partners;
  for (std::size_t i = 0; i < decisions.count; ++i) {
    const PolicyDecision& decision = decisions.all[i];
    if (decision.partner == nullptr) {
      continue;
    }
    const JudgedPartner* const judged = FindJudged(session.mail, *decision.partner);
    if (judged == nullptr && decision.mode == PolicyMode::kEnforce) {
      return SenderCheck::kNotJudged;
    }
    if (judged != nullptr && judged->met) {
      absl::StrAppend(&facts->partners, facts->partners.empty() ? "" : ",", judged->name);
      of_partners = CertificateProof(Better(of_partners, judged->proof));
    }
  }
  facts->proof = Better(of_partners, session.trace.proof);
  return SenderCheck::kPassed;
}

// --- The field

bool IsPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == ':' || c == '*' || c == '@' || c == '/' || c == '+';
}

// Everything else as "%HH", so that no value can look like another one or end the field. `also`:
// what needs no escaping in this place.
std::string Escape(std::string_view value, char also) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string escaped;
  for (const char c : value) {
    if (IsPlain(c) || c == also) {
      escaped.push_back(c);
    } else {
      const auto octet = static_cast<unsigned char>(c);
      escaped.append({'%', kDigits[octet >> 4], kDigits[octet & 15]});
    }
  }
  return escaped;
}

void AppendPart(std::string_view name, std::string_view value, std::size_t most,
                std::string* field) {
  constexpr char kBetweenPartners = ',';
  const std::string escaped = Escape(value, kBetweenPartners);
  if (!escaped.empty() && escaped.size() <= most) {
    absl::StrAppend(field, "; ", View(name), "=", escaped);
  }
}

std::string Certificate(const SessionTrace& trace, const CertificateProof& proof) {
  using By = CertificateMatch::By;
  if (!trace.certificate) {
    return "; certificate=none";
  }
  const std::string who = Escape(proof.text, ' ');
  const bool fits = !who.empty() && who.size() <= kVerifiedMax;
  switch (proof.by) {
    case By::kNothing:
      return "; certificate=unverified";
    case By::kName:
      return fits ? absl::StrCat("; certificate=verified \"", who, "\"") : "; certificate=verified";
    case By::kFingerprint:
      return fits ? absl::StrCat("; certificate=verified fingerprint=", who)
                  : "; certificate=verified";
    case By::kCa:
      break;
  }
  return "; certificate=verified";
}

std::string TraceField(const SessionTrace& trace, const MessageFacts& facts,
                       std::string_view hostname) {
  std::string field(kFieldName);
  std::string rest;
  const std::string host = Escape(hostname, ':');
  field += host.empty() || host.size() > kHostnameMax ? "unknown" : host;
  if (trace.tls_version.empty()) {
    field += "; version=none";
  } else {
    AppendPart("version", trace.tls_version, kVersionMax, &field);
    AppendPart("suite", trace.tls_suite, kSuiteMax, &field);
    AppendPart("group", trace.tls_group, kGroupMax, &field);
    if (trace.resumed) {
      field += "; resumed=yes";
    }
    rest += Certificate(trace, facts.proof);
  }
  AppendPart("route", trace.route, kRouteMax, &rest);
  AppendPart("partner", facts.partners, kPartnersMax, &rest);
  std::string sni;
  if (!trace.tls_version.empty()) {
    AppendPart("sni", trace.sni, kTraceFieldMax, &sni);
  }
  if (field.size() + sni.size() + rest.size() > kTraceFieldMax) {
    sni.clear();
  }
  return absl::StrCat(field, sni, rest);
}

}  // namespace

std::optional<PolicyAnswer> DecidePolicyAnswer(
    std::string_view text, std::string_view hostname,
    const std::vector<const SessionRegistry*>& registries) {
  const std::optional<PolicyRequest> request = ParseRequest(text);
  if (!request) {
    return std::nullopt;
  }
  PolicyAnswer answer;
  const std::optional<IpAddress> client = ParseAddress(request->client_address);
  const std::optional<std::uint16_t> client_port = ParsePort(request->client_port);
  if (request->request != "smtpd_access_policy" || !IsWithinMessage(request->protocol_state) ||
      !client || !client_port) {
    return answer;
  }
  answer.key = {.client = *client, .client_port = *client_port};
  const std::optional<RegisteredSession> session = FindSession(*request, answer.key, registries);
  if (!session) {
    answer.stranger = true;
    return answer;
  }
  MessageFacts facts;
  switch (CheckSender(*session, answer.key, request->sender, &facts)) {
    case SenderCheck::kUnreadable:
      break;
    case SenderCheck::kNotJudged:
      answer.action = PolicyAction::kRefuse;
      answer.text = kRefusal;
      break;
    case SenderCheck::kPassed:
      answer.action = PolicyAction::kPrepend;
      answer.text = TraceField(session->trace, facts, hostname);
      answer.instance = request->instance;
      break;
  }
  return answer;
}

std::string FormatPolicyAnswer(const PolicyAnswer& answer) {
  switch (answer.action) {
    case PolicyAction::kPrepend:
      return absl::StrCat("action=PREPEND ", answer.text, "\n\n");
    case PolicyAction::kRefuse:
      return absl::StrCat("action=", answer.text, "\n\n");
    case PolicyAction::kDunno:
      break;
  }
  return "action=DUNNO\n\n";
}

std::string AnswerPolicyRequest(std::string_view request, std::string_view hostname,
                                const std::vector<const SessionRegistry*>& registries) {
  const std::optional<PolicyAnswer> answer = DecidePolicyAnswer(request, hostname, registries);
  return answer ? FormatPolicyAnswer(*answer) : std::string();
}

}  // namespace ringpost
