// SPDX-License-Identifier: GPL-3.0-or-later
#include "partner_server.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "../tls/tls_fixture.h"
#include "../x509/authority.h"
#include "ringpost/io/socket.h"
#include "sim_process.h"

namespace ringpost {
namespace {

constexpr std::uint64_t kSeedOfTheCertificates = 2;
constexpr std::int64_t kYear = 365 * 86'400;
constexpr std::string_view kEndOfContent = "\r\n.\r\n";

struct Certificates {
  std::string ca_pem;
  Fingerprint fingerprint{};
  std::array<test::Party, 4> parties;  // as IndexOf() has it
};

// Which certificate a connection's server has.
std::size_t IndexOf(PartnerFault fault) {
  switch (fault) {
    case PartnerFault::kUntrusted:
      return 1;
    case PartnerFault::kWrongName:
      return 2;
    case PartnerFault::kExpired:
      return 3;
    default:
      return 0;
  }
}

const Certificates& AllCertificates() {
  static const Certificates certificates = [] {
    sim_process::Restart(kSeedOfTheCertificates);
    test::CertificateSpec authority = test::CertificateSpec::Ca("Partner CA");
    authority.not_after = test::kNow + kYear;
    authority.serial = "\x01";
    const test::Party ca = test::Issue(authority, nullptr);
    test::CertificateSpec spec;
    spec.subject = test::CommonName(std::string(kPartnerHost));
    spec.names = {std::string(kPartnerHost)};
    spec.purposes = {std::string(test::kServerPurpose)};
    spec.not_after = test::kNow + kYear;
    spec.serial = "\x02";
    Certificates made;
    made.ca_pem = ca.pem();
    const test::Party good = test::Issue(spec, &ca);
    made.parties[0] = good;
    made.fingerprint = test::Presented({good}).certificate;
    spec.serial = "\x03";
    made.parties[IndexOf(PartnerFault::kUntrusted)] = test::Issue(spec, nullptr);
    spec.serial = "\x04";
    spec.names = {"mx.elsewhere.example"};
    made.parties[IndexOf(PartnerFault::kWrongName)] = test::Issue(spec, &ca);
    spec.serial = "\x05";
    spec.names = {std::string(kPartnerHost)};
    spec.not_before = test::kNow - kYear;
    spec.not_after = test::kNow - 3'600;
    made.parties[IndexOf(PartnerFault::kExpired)] = test::Issue(spec, &ca);
    return made;
  }();
  return certificates;
}

bool IsAboutStarttls(PartnerFault fault) {
  return fault >= PartnerFault::kGoneAtHello && fault <= PartnerFault::kGoneAtStarttls;
}

// What a route with hard_bounce may answer with 5yz.
bool IsForGood(PartnerFault fault) {
  switch (fault) {
    case PartnerFault::kNoStarttls:
    case PartnerFault::kRefusesStarttls:
    case PartnerFault::kUntrusted:
    case PartnerFault::kWrongName:
    case PartnerFault::kExpired:
      return true;
    default:
      return false;
  }
}

std::string FirstLine(std::string_view text) {
  return std::string(text.substr(0, std::min<std::size_t>(text.find_first_of("\r\n"), 100)));
}

}  // namespace

const std::string& PartnerCaPem() { return AllCertificates().ca_pem; }
const Fingerprint& PartnerFingerprint() { return AllCertificates().fingerprint; }
void MakePartnerCertificates() { (void)AllCertificates(); }

std::string_view PartnerFaultName(PartnerFault fault) {
  constexpr std::array<std::string_view, static_cast<std::size_t>(PartnerFault::kCount)> kNames = {
      "none",
      "refuses to talk",
      "garbage for a greeting",
      "silent",
      "gone at the greeting",
      "gone at EHLO",
      "no STARTTLS",
      "refuses STARTTLS",
      "foreign reply to STARTTLS",
      "octets behind 220",
      "gone at STARTTLS",
      "garbage for a handshake",
      "handshake cut",
      "silent in the handshake",
      "untrusted",
      "wrong name",
      "expired",
      "gone in TLS"};
  return kNames[static_cast<std::size_t>(fault)];
}

PartnerServer::PartnerServer(SessionWorld* world, const PartnerOptions& options, Ledger* ledger)
    : world_(world),
      options_(options),
      ledger_(ledger),
      alive_(std::make_shared<PartnerServer*>(this)) {
  world_->io().OnBackendAccept([this](SimPeer peer) { OnAccept(std::move(peer)); });
}

PartnerServer::~PartnerServer() {
  *alive_ = nullptr;
  world_->io().OnBackendAccept(nullptr);
  for (const std::unique_ptr<Connection>& connection : connections_) {
    connection->end.peer().OnChange(nullptr);
  }
}

bool PartnerServer::HasSaid(const std::string& reply, const std::string& command) const {
  const auto found = said_.find(reply);
  return found != said_.end() && found->second == command;
}

void PartnerServer::OnAccept(SimPeer peer) {
  const std::uint16_t port = PortOf(peer.address());
  connections_.push_back(std::make_unique<Connection>(std::move(peer)));
  Connection& connection = *connections_.back();
  connection.name = "partner " + std::to_string(port) + "/" + std::to_string(connections_.size());
  if (Happens(options_.fault)) {
    connection.fault =
        static_cast<PartnerFault>(1 + Below(static_cast<std::uint64_t>(PartnerFault::kCount) - 1));
    if (options_.implicit_tls && IsAboutStarttls(connection.fault)) {
      connection.fault = PartnerFault::kNone;
    }
  }
  ++fault_counts_[static_cast<std::size_t>(connection.fault)];
  failed_for_good_ = failed_for_good_ || IsForGood(connection.fault);
  world_->io().Say(connection.name,
                   "is connected, fault: " + std::string(PartnerFaultName(connection.fault)));
  connection.end.OnChange([this, &connection] { Move(connection); });
  if (options_.implicit_tls) {
    BeginTls(connection);
  }
  const TimeNs delay = Happens(options_.slow) ? static_cast<TimeNs>(Below(20'000)) * kNsPerMs : 0;
  After(connection, delay, &PartnerServer::Greet);
}

void PartnerServer::After(Connection& connection, TimeNs delay,
                          void (PartnerServer::*action)(Connection&)) {
  world_->io().After(delay, [alive = alive_, &connection, action] {
    if (*alive != nullptr && !connection.over) {
      ((*alive)->*action)(connection);
    }
  });
}

void PartnerServer::Greet(Connection& connection) {
  if (connection.deaf) {
    return;
  }
  connection.greeted = true;
  switch (connection.fault) {
    case PartnerFault::kRefusesToTalk:
      Say(connection, Below(2) == 0 ? "554 5.3.2 not for you\r\n" : "421 4.3.2 too busy\r\n");
      return;
    case PartnerFault::kGarbageGreeting:
      Say(connection, Below(2) == 0 ? "\x01hello there\r\n" : "250 fine\r\n");
      return;
    case PartnerFault::kSilentGreeting:
      return;
    case PartnerFault::kGoneAtGreeting:
      Leave(connection);
      return;
    default:
      Say(connection, "220 partner ready\r\n");
      Move(connection);
  }
}

void PartnerServer::Move(Connection& connection) {
  if (connection.over) {
    return;
  }
  if (connection.fault == PartnerFault::kGoneInTls && connection.end.tls_ready()) {
    Leave(connection);
    return;
  }
  while (connection.greeted && !connection.busy && !connection.over && Step(connection)) {
  }
  ClientEnd& end = connection.end;
  if (!connection.over && !connection.busy && (end.ended() || end.notified() || end.tls_failed())) {
    world_->io().Say(connection.name, "is left");
    connection.over = true;
    end.Close();
  }
}

bool PartnerServer::Step(Connection& connection) {
  if (connection.deaf) {
    return false;
  }
  if (connection.in_content || connection.in_chunk) {
    return Content(connection);
  }
  std::string& received = connection.end.received();
  const std::size_t end = received.find("\r\n");
  if (end == std::string::npos) {
    return false;
  }
  const std::string line = received.substr(0, end + 2);
  received.erase(0, line.size());
  world_->io().Say(connection.name, "<- " + FirstLine(line));
  Command(connection, line);
  return true;
}

bool PartnerServer::Content(Connection& connection) {
  std::string& received = connection.end.received();
  std::size_t octets = connection.chunk;
  if (connection.in_content) {
    const std::size_t end = received.find(kEndOfContent);
    octets = received.starts_with(".\r\n") ? 3
             : end != std::string::npos    ? end + kEndOfContent.size()
                                           : received.size() + 1;
  }
  if (received.size() < octets) {
    return false;
  }
  const std::string content = received.substr(0, octets);
  received.erase(0, octets);
  connection.in_content = connection.in_chunk = false;
  const std::string reply = Refusable("250 2.0.0 stored", "452 4.3.1 no space");
  if (reply[0] == '2') {
    Store(connection, content);
  }
  Reply(connection, "content of " + connection.sender, reply);
  return true;
}

void PartnerServer::Store(Connection& connection, const std::string& content) {
  const auto found = ledger_->find(connection.sender);
  if (found == ledger_->end()) {
    ADD_FAILURE() << connection.name << " stores what nobody sent: " << connection.sender;
    return;
  }
  Message& message = found->second;
  EXPECT_TRUE(content == message.content)
      << connection.name << " stores " << content.size() << " octets of " << connection.sender
      << ", of " << message.content.size();
  ++message.stored;
  ++messages_stored_;
  if (connection.end.tls_ready()) {
    ++messages_in_tls_;
    resumed_ += connection.end.tls()->facts().resumed ? 1 : 0;
  }
}

void PartnerServer::Command(Connection& connection, const std::string& line) {
  const std::string verb = line.substr(0, 4);
  if (verb == "EHLO" || verb == "HELO") {
    Hello(connection, line);
    return;
  }
  if (line == "STARTTLS\r\n") {
    Starttls(connection);
    return;
  }
  if (verb == "QUIT") {
    Say(connection, "221 2.0.0 bye\r\n");
    connection.over = true;
    connection.end.CloseSend();
    return;
  }
  EXPECT_TRUE(MayHaveMail(connection))
      << connection.name << " (" << PartnerFaultName(connection.fault) << ") hears " << line;
  if (verb == "MAIL") {
    const std::string reply = Refusable("250 2.1.0 sender", "451 4.7.1 later");
    const std::size_t begin = line.find('<') + 1;
    connection.sender = reply[0] == '2' ? line.substr(begin, line.find('>') - begin) : "";
    connection.recipients.clear();
    Reply(connection, line, reply);
  } else if (verb == "RCPT") {
    const std::string reply = connection.sender.empty()
                                  ? "503 5.5.1 MAIL first"
                                  : Refusable("250 2.1.5 recipient", "550 5.1.1 unknown");
    if (reply[0] == '2') {
      connection.recipients.push_back(line);
    }
    Reply(connection, line, reply);
  } else if (verb == "DATA") {
    const std::string reply = connection.recipients.empty()
                                  ? "554 5.5.1 no valid recipients"
                                  : Refusable("354 go ahead", "452 4.3.1 no space");
    connection.in_content = reply[0] == '3';
    Reply(connection, line, reply);
  } else if (verb == "BDAT") {
    connection.chunk = std::stoul(line.substr(5));
    connection.in_chunk = true;
  } else if (verb == "RSET" || verb == "NOOP") {
    connection.sender.clear();
    Reply(connection, line, "250 2.0.0 fine");
  } else {
    ADD_FAILURE() << connection.name << " got " << line;
    Reply(connection, line, "500 5.5.2 what");
  }
}

void PartnerServer::Hello(Connection& connection, const std::string& line) {
  const std::string name = options_.ehlo_name.empty() ? "mta.example" : options_.ehlo_name;
  EXPECT_EQ(line.substr(4), " " + name + "\r\n");
  const bool in_tls = connection.end.tls_ready();
  if (connection.fault == PartnerFault::kGoneAtHello && !in_tls) {
    Leave(connection);
    return;
  }
  connection.sender.clear();
  if (line.starts_with("HELO")) {
    Reply(connection, line, "250 partner");
    return;
  }
  connection.offered = !in_tls && connection.fault != PartnerFault::kNoStarttls;
  Reply(connection, line,
        std::string("250-partner\r\n250-PIPELINING\r\n250-SIZE 9999999\r\n") +
            (connection.offered ? "250-STARTTLS\r\n" : "") + "250-8BITMIME\r\n250 CHUNKING");
}

void PartnerServer::Starttls(Connection& connection) {
  EXPECT_TRUE(connection.offered && !connection.asked) << connection.name;
  EXPECT_NE(static_cast<int>(options_.policy.tls), static_cast<int>(EgressTls::kNone));
  // Not even a word that waits for the 220.
  EXPECT_EQ(connection.end.received(), "") << connection.name;
  connection.asked = true;
  switch (connection.fault) {
    case PartnerFault::kRefusesStarttls:
      Say(connection, Below(2) == 0 ? "454 4.7.0 not now\r\n" : "502 5.5.1 never\r\n");
      return;
    case PartnerFault::kForeignReply:
      Say(connection, Below(2) == 0 ? "250 fine\r\n" : "\x01\x02\r\n");
      return;
    case PartnerFault::kInjection:
      connection.end.Say("220 go ahead\r\n250 injected\r\n");
      return;
    case PartnerFault::kGoneAtStarttls:
      connection.end.Say("220 go ahead\r\n");
      Leave(connection);
      return;
    default:
      connection.end.Say("220 go ahead\r\n");
      BeginTls(connection);
  }
}

void PartnerServer::BeginTls(Connection& connection) {
  constexpr std::size_t kFlight = 900;
  switch (connection.fault) {
    case PartnerFault::kGarbageHandshake:
      connection.deaf = true;
      connection.end.Raw(std::string("\x16\x03\x03\x00\x30", 5) + std::string(0x30, '\x07'));
      return;
    case PartnerFault::kSilentHandshake:
      connection.deaf = true;
      return;
    case PartnerFault::kCutHandshake:
      connection.end.set_octets_left(Below(kFlight));
      After(connection, 5 * kNsPerSecond, &PartnerServer::Leave);
      break;
    default:
      break;
  }
  connection.end.AcceptTls(ContextsFor(connection.fault));
}

// Servers with different certificates do not know each other's tickets: one that resumes is who it
// was.
const TlsContextSet* PartnerServer::ContextsFor(PartnerFault fault) {
  const std::size_t index = IndexOf(fault);
  if (contexts_[index] == nullptr) {
    if (options_.tickets) {
      ticket_keys_[index] = TicketKeys::Random(world_->io().WallClock());
    }
    const test::Party& party = AllCertificates().parties[index];
    std::vector<TlsCertificatePem> certificates;
    certificates.push_back({"partner.pem", "partner.key", party.pem(), Secret(party.key->pem())});
    contexts_[index] =
        test::Contexts(std::move(certificates), ticket_keys_[index].get(), "partner");
  }
  return contexts_[index].get();
}

// What the policy promises to the partner's mail.
bool PartnerServer::MayHaveMail(const Connection& connection) const {
  if (options_.mode == PolicyMode::kReport || options_.policy.takes_clear()) {
    return true;
  }
  const bool chain =
      connection.fault != PartnerFault::kUntrusted && connection.fault != PartnerFault::kExpired;
  const bool name = connection.fault != PartnerFault::kWrongName;
  const bool level_met = options_.policy.tls == EgressTls::kEncrypt   ? true
                         : options_.policy.tls == EgressTls::kTrusted ? chain
                                                                      : chain && name;
  return connection.end.tls_ready() && level_met;
}

std::string PartnerServer::Refusable(const std::string& yes, const std::string& no) {
  return Happens(options_.refuse) ? no : yes;
}

void PartnerServer::Reply(Connection& connection, const std::string& command,
                          const std::string& reply) {
  if (Happens(options_.vanish)) {
    Leave(connection);
    return;
  }
  const std::string numbered = reply + " #" + std::to_string(++number_) + "\r\n";
  said_[numbered] = command;
  if (!Happens(options_.slow)) {
    Say(connection, numbered);
    return;
  }
  connection.busy = true;
  world_->io().After(static_cast<TimeNs>(Below(5'000)) * kNsPerMs,
                     [alive = alive_, &connection, numbered] {
                       if (*alive != nullptr && !connection.over) {
                         connection.busy = false;
                         (*alive)->Say(connection, numbered);
                         (*alive)->Move(connection);
                       }
                     });
}

void PartnerServer::Say(Connection& connection, const std::string& text) {
  world_->io().Say(connection.name, "-> " + FirstLine(text));
  if (!Happens(options_.split)) {
    connection.end.Say(text);
    return;
  }
  const std::size_t first = Below(text.size());
  connection.end.Say(text.substr(0, first));
  connection.busy = true;
  world_->io().After(static_cast<TimeNs>(Below(3'000)) * kNsPerMs,
                     [alive = alive_, &connection, rest = text.substr(first)] {
                       if (*alive != nullptr && !connection.over) {
                         connection.busy = false;
                         connection.end.Say(rest);
                         (*alive)->Move(connection);
                       }
                     });
}

void PartnerServer::Leave(Connection& connection) {
  world_->io().Say(connection.name, "goes away");
  connection.over = true;
  if (Below(2) == 0) {
    connection.end.Reset();
  } else {
    connection.end.Close();
  }
}

}  // namespace ringpost
