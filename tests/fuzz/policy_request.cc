// SPDX-License-Identifier: GPL-3.0-or-later
//
// What Postfix's policy delegation asks, and what it is answered. The input is a request, without
// the empty line that ends it; what stands behind an empty line of its own are a session's facts
// as its client chose them, in the order sni, what proved who it is, partner.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz.h"
#include "ringpost/policy/network.h"
#include "ringpost/policy/partner_table.h"
#include "ringpost/process/policy_service.h"
#include "ringpost/session/session_registry.h"

namespace ringpost {
namespace {

constexpr std::string_view kHostname = "mx.example.test";
constexpr std::uint16_t kPort = 40'000;

SessionKey Key() {
  // 192.0.2.7 as the registry has it.
  SessionKey key;
  key.client = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7};
  key.client_port = kPort;
  return key;
}

// The last value of an attribute.
std::string_view Value(std::string_view request, std::string_view name) {
  std::string_view value;
  while (!request.empty()) {
    const std::string_view line = request.substr(0, request.find('\n'));
    request.remove_prefix(std::min(request.size(), line.size() + 1));
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == '=') {
      value = line.substr(name.size() + 1);
    }
  }
  return value;
}

// One line of printable ASCII, and no part of the field that the session does not have.
void CheckAnswer(std::string_view request, std::string_view answer) {
  if (answer.empty()) return;  // malformed: no answer at all
  RINGPOST_CHECK(request.find('\0') == std::string_view::npos && request.ends_with('\n'));
  RINGPOST_CHECK(answer.starts_with("action=") && answer.ends_with("\n\n"));
  const std::string_view line = answer.substr(0, answer.size() - 2);
  for (const char c : line) RINGPOST_CHECK(c >= ' ' && c <= '~');
  constexpr std::string_view kPrepend = "action=PREPEND ";
  if (!line.starts_with(kPrepend)) {
    RINGPOST_CHECK(line == "action=DUNNO" || line.starts_with("action=550 5.7.0 "));
    return;
  }
  RINGPOST_CHECK(Value(request, "client_port") == "40000" ||
                 Value(request, "client_port").starts_with('0'));
  RINGPOST_CHECK(Value(request, "client_address").find("192.0.2.7") != std::string_view::npos ||
                 Value(request, "client_address").find(':') != std::string_view::npos);
  RINGPOST_CHECK(Value(request, "server_port") == "25" ||
                 Value(request, "server_port").starts_with('0'));
  RINGPOST_CHECK(Value(request, "server_address").find("192.0.2.7") != std::string_view::npos ||
                 Value(request, "server_address").find(':') != std::string_view::npos);
  RINGPOST_CHECK(Value(request, "request") == "smtpd_access_policy");
  const std::string_view field = line.substr(kPrepend.size());
  RINGPOST_CHECK(field.size() <= 900);
  RINGPOST_CHECK(field.starts_with("Ringpost-TLS: mx.example.test; version=TLSv1.3; "));
  // Each part once: nothing a peer chose has made another.
  constexpr std::string_view kParts[] = {"; version=", "; suite=",       "; group=", "; resumed=",
                                         "; sni=",     "; certificate=", "; route=", "; partner="};
  for (const std::string_view part : kParts) {
    const std::size_t first = field.find(part);
    RINGPOST_CHECK(first == std::string_view::npos ||
                   field.find(part, first + 1) == std::string_view::npos);
  }
  const auto semicolons = static_cast<std::size_t>(std::count(field.begin(), field.end(), ';'));
  std::size_t parts = 0;
  for (const std::string_view part : kParts) parts += field.find(part) != std::string_view::npos;
  RINGPOST_CHECK(semicolons == parts);
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  const std::string_view input = fuzz::View(data, size);
  const std::size_t gap = input.find("\n\n");
  const std::string_view request = input.substr(0, gap == std::string_view::npos ? gap : gap + 1);
  fuzz::Choices facts(gap == std::string_view::npos ? std::string_view() : input.substr(gap + 2));

  static SessionRegistry registry;
  static const std::vector<const SessionRegistry*> registries = {&registry};
  RegisteredSession session;
  session.server = Key().client;
  session.server_port = 25;
  session.trace.route = "mx";
  session.trace.tls_version = "TLSv1.3";
  session.trace.tls_suite = "TLS_AES_128_GCM_SHA256";
  session.trace.sni = facts.Line();
  session.trace.proof.text = facts.Line();
  // A partner that every message of this client concerns.
  std::vector<Partner> partners(1);
  partners.front().name = facts.Line();
  partners.front().networks = {{.prefix = Key().client, .length = 128}};
  partners.front().mode = PolicyMode::kReport;
  constexpr auto kName = static_cast<unsigned>(CertificateMatch::By::kName);
  session.trace.proof.by = static_cast<CertificateMatch::By>((facts.Octet() + kName) % 4);
  session.trace.certificate = session.trace.proof.by != CertificateMatch::By::kNothing;
  const PartnerTable table(partners);
  session.partners = &table;
  session.mail.judged.push_back({.name = partners.front().name, .met = true, .proof = {}});
  registry.Put(Key(), 1, std::move(session));

  CheckAnswer(request, AnswerPolicyRequest(request, kHostname, registries));
  // Of several values the last counts, whatever came before.
  if (!request.empty() && request.ends_with('\n')) {
    static std::string more;
    more.assign(request);
    more +=
        "request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=192.0.2.7\n"
        "client_port=40000\nserver_address=192.0.2.7\nserver_port=25\nsender=a@b.example\n";
    const std::string answer = AnswerPolicyRequest(more, kHostname, registries);
    CheckAnswer(more, answer);
    if (!AnswerPolicyRequest(request, kHostname, registries).empty()) {
      RINGPOST_CHECK(answer.starts_with("action=PREPEND "));
    }
  }
  registry.Remove(Key(), 1);
  RINGPOST_CHECK(registry.size() == 0);
  return 0;
}
