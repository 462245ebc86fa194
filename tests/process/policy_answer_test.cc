// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the policy service answers to one request.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ringpost/config/config.h"
#include "ringpost/policy/partner_table.h"
#include "ringpost/process/policy_service.h"
#include "ringpost/session/session_registry.h"

namespace ringpost {
namespace {

constexpr std::string_view kHostname = "mx.example.test";
constexpr std::string_view kDunno = "action=DUNNO\n\n";
constexpr std::string_view kRefusal = "action=550 5.7.0 Sender does not match the checked one\n\n";

IpAddress Address(const char* text) {
  SocketAddress address{};
  if (inet_pton(AF_INET, text, &address.in.sin_addr) == 1) {
    address.any.sa_family = AF_INET;
  } else {
    EXPECT_EQ(inet_pton(AF_INET6, text, &address.in6.sin6_addr), 1) << text;
    address.any.sa_family = AF_INET6;
  }
  return ToIpAddress(address.any);
}

SessionKey Key(const char* address, std::uint16_t port) {
  return {.client = Address(address), .client_port = port};
}

using By = CertificateMatch::By;

CertificateProof Named(std::string name) { return {.by = By::kName, .text = std::move(name)}; }

SessionTrace TlsTrace() {
  SessionTrace trace;
  trace.tls_version = "TLSv1.3";
  trace.tls_suite = "TLS_AES_128_GCM_SHA256";
  trace.tls_group = "X25519MLKEM768";
  return trace;
}

// A session with the client that reached 198.51.100.1:25.
RegisteredSession SessionHere() {
  RegisteredSession session;
  session.server = Address("198.51.100.1");
  session.server_port = 25;
  return session;
}

constexpr std::string_view kHere = "server_address=198.51.100.1\nserver_port=25\n";

// As Postfix 3.7 asks, from client 192.0.2.7:40000.
std::string Request(std::string_view client_address = "192.0.2.7",
                    std::string_view client_port = "40000", std::string_view more = kHere) {
  return std::string("request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n") +
         "helo_name=client.example\nqueue_id=\nsender=a@contoso.example\n" +
         "recipient=b@example.test\nrecipient_count=0\nclient_address=" +
         std::string(client_address) +
         "\nclient_name=unknown\nreverse_client_name=unknown\ninstance=2a.66.0\nsasl_method=\n" +
         "size=12345\nccert_subject=\nencryption_protocol=\nencryption_keysize=0\nstress=\n" +
         "client_port=" + std::string(client_port) + "\npolicy_context=\n" + std::string(more);
}

class PolicyAnswerTest : public testing::Test {
 protected:
  void Put(const SessionKey& key, SessionTrace trace) {
    RegisteredSession session = SessionHere();
    session.trace = std::move(trace);
    registry_.Put(key, ++id_, std::move(session));
  }
  [[nodiscard]] std::string Ask(std::string_view request) const {
    return AnswerPolicyRequest(request, kHostname, {&registry_, &other_});
  }
  // The field for a session with `trace` whose message met the policies of `partners_`.
  [[nodiscard]] std::string Field(SessionTrace trace) {
    std::vector<Partner> partners;
    SessionRegistry registry;
    RegisteredSession session = SessionHere();
    session.trace = std::move(trace);
    for (const std::string& name : partners_) {
      Partner& partner = partners.emplace_back();
      partner.name = name;
      if (partners.size() == 1) {
        partner.sender_domains = {"contoso.example"};
      } else {
        partner.networks = {ParseNetwork("192.0.2.7").value()};
      }
      session.mail.judged.push_back({.name = name, .met = true, .proof = {}});
    }
    const PartnerTable table(partners);
    session.partners = &table;
    registry.Put(Key("192.0.2.7", 40'000), 1, std::move(session));
    const std::string answer = AnswerPolicyRequest(Request(), kHostname, {&registry});
    constexpr std::string_view kPrepend = "action=PREPEND ";
    EXPECT_TRUE(answer.starts_with(kPrepend) && answer.ends_with("\n\n")) << answer;
    return answer.substr(kPrepend.size(), answer.size() - kPrepend.size() - 2);
  }

  SessionRegistry registry_;
  SessionRegistry other_;
  std::vector<std::string> partners_;
  std::uint64_t id_ = 0;
};

TEST_F(PolicyAnswerTest, SaysEverythingInOrder) {
  SessionTrace trace = TlsTrace();
  EXPECT_EQ(Field(trace),
            "Ringpost-TLS: mx.example.test; version=TLSv1.3; suite=TLS_AES_128_GCM_SHA256; "
            "group=X25519MLKEM768; certificate=none");
  trace.route = "mx";
  trace.sni = "mx.example.com";
  trace.resumed = true;
  trace.certificate = true;
  trace.proof = Named("mail.contoso.example");
  partners_ = {"contoso", "fabrikam"};
  EXPECT_EQ(Field(trace),
            "Ringpost-TLS: mx.example.test; version=TLSv1.3; suite=TLS_AES_128_GCM_SHA256; "
            "group=X25519MLKEM768; resumed=yes; sni=mx.example.com; "
            "certificate=verified \"mail.contoso.example\"; route=mx; partner=contoso,fabrikam");
  trace.proof = {.by = By::kFingerprint, .text = "9F:86"};
  EXPECT_NE(Field(trace).find("; certificate=verified fingerprint=9F:86; route=mx"),
            std::string::npos);
  trace.proof = {.by = By::kCa, .text = {}};
  EXPECT_NE(Field(trace).find("; certificate=verified; route=mx"), std::string::npos);
  trace.proof = {};
  EXPECT_NE(Field(trace).find("; certificate=unverified; route=mx"), std::string::npos);
}

TEST_F(PolicyAnswerTest, InClearThereIsNothingButTheVersion) {
  EXPECT_EQ(Field({}), "Ringpost-TLS: mx.example.test; version=none");
  SessionTrace trace;
  trace.route = "mx";
  trace.sni = "x";
  trace.resumed = true;
  trace.certificate = true;
  partners_ = {"contoso"};
  EXPECT_EQ(Field(trace), "Ringpost-TLS: mx.example.test; version=none; route=mx; partner=contoso");
}

TEST_F(PolicyAnswerTest, WhatAPeerChoseEndsNothing) {
  SessionTrace trace = TlsTrace();
  trace.sni = "a\r\nBcc: b; partner=c \"\\%\x7f\xc3\xa9";
  trace.sni.push_back('\0');
  trace.certificate = true;
  trace.proof = Named("Contoso, \"Mail\"; partner=x\r\n%");
  const std::string field = Field(trace);
  EXPECT_NE(field.find("; sni=a%0D%0ABcc:%20b%3B%20partner%3Dc%20%22%5C%25%7F%C3%A9%00;"),
            std::string::npos)
      << field;
  EXPECT_NE(field.find("; certificate=verified \"Contoso%2C %22Mail%22%3B partner%3Dx%0D%0A%25\""),
            std::string::npos)
      << field;
}

// Every octet, in each text: one line of printable ASCII, at most 900 octets.
TEST_F(PolicyAnswerTest, TheFieldIsALineWhateverItIsMadeOf) {
  std::string all;
  for (int octet = 0; octet < 256; ++octet) {
    all.push_back(static_cast<char>(octet));
  }
  for (const std::size_t size : {1u, 30u, 80u, 250u, 256u, 1'000u, 100'000u}) {
    for (const std::string& text :
         {std::string(size, 'a'), std::string(size, '\n'), all.substr(0, size)}) {
      SessionTrace trace{.route = text,
                         .tls_version = text,
                         .tls_suite = text,
                         .tls_group = text,
                         .sni = text,
                         .resumed = true,
                         .certificate = true,
                         .proof = Named(text)};
      partners_ = {text};
      const std::string field = Field(trace);
      EXPECT_LE(field.size(), 900u);
      for (const char c : field) {
        EXPECT_TRUE(c >= ' ' && c <= '~') << static_cast<int>(c);
      }
    }
  }
}

TEST_F(PolicyAnswerTest, ALongNameIsLeftOutNotCut) {
  SessionTrace trace = TlsTrace();
  trace.route = "mx";
  trace.certificate = true;
  trace.proof = Named(std::string(256, 'v'));
  trace.sni = std::string(900, 's');
  EXPECT_EQ(Field(trace),
            "Ringpost-TLS: mx.example.test; version=TLSv1.3; suite=TLS_AES_128_GCM_SHA256; "
            "group=X25519MLKEM768; certificate=verified; route=mx");
  trace.proof = Named(std::string(255, 'v'));
  trace.sni = std::string(255, 's');
  EXPECT_NE(Field(trace).find("\"" + trace.proof.text + "\""), std::string::npos);
  EXPECT_NE(Field(trace).find("sni=" + trace.sni + ";"), std::string::npos);
}

TEST_F(PolicyAnswerTest, AHostnameThatIsNoneIsUnknown) {
  Put(Key("192.0.2.7", 40'000), {});
  for (const std::string& hostname : {std::string(), std::string(254, 'h')}) {
    EXPECT_EQ(AnswerPolicyRequest(Request(), hostname, {&registry_}),
              "action=PREPEND Ringpost-TLS: unknown; version=none\n\n");
  }
}

TEST_F(PolicyAnswerTest, OnlyTheExactAddressAndPort) {
  Put(Key("192.0.2.7", 40'000), TlsTrace());
  EXPECT_TRUE(Ask(Request()).starts_with("action=PREPEND Ringpost-TLS: "));
  EXPECT_EQ(Ask(Request("192.0.2.7", "40001")), kDunno);
  EXPECT_EQ(Ask(Request("192.0.2.8", "40000")), kDunno);
  for (const char* address : {"unknown", "", "192.0.2", "192.0.2.7 ", "192.0.2.7/32", "::1%lo",
                              "1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18:19:20:21:22:23"}) {
    EXPECT_EQ(Ask(Request(address, "40000")), kDunno) << address;
  }
  for (const char* port : {"", "0", "unknown", "-1", "040000x", "105536", " 40000", "40000 "}) {
    EXPECT_EQ(Ask(Request("192.0.2.7", port)), kDunno) << port;
  }
}

TEST_F(PolicyAnswerTest, AddressesCompareByValue) {
  Put(Key("2001:db8::7", 40'000), TlsTrace());
  Put(Key("192.0.2.7", 40'001), TlsTrace());
  for (const char* address :
       {"2001:db8::7", "2001:DB8:0:0:0:0:0:7", "2001:0db8:0000:0000:0000:0000:0000:0007"}) {
    EXPECT_TRUE(Ask(Request(address, "40000")).starts_with("action=PREPEND ")) << address;
  }
  for (const char* address : {"192.0.2.7", "::ffff:192.0.2.7", "::FFFF:c000:207"}) {
    EXPECT_TRUE(Ask(Request(address, "40001")).starts_with("action=PREPEND ")) << address;
  }
}

TEST_F(PolicyAnswerTest, EveryShardIsAsked) {
  RegisteredSession session = SessionHere();
  session.trace.route = "second";
  other_.Put(Key("192.0.2.7", 40'000), 1, std::move(session));
  EXPECT_NE(Ask(Request()).find("route=second"), std::string::npos);
}

TEST_F(PolicyAnswerTest, OurAddressPicksOneOfSeveral) {
  const auto put = [this](SessionRegistry& registry, const char* server, std::uint16_t port,
                          const char* route) {
    RegisteredSession session;
    session.server = Address(server);
    session.server_port = port;
    session.trace.route = route;
    registry.Put(Key("192.0.2.7", 40'000), ++id_, std::move(session));
  };
  put(registry_, "198.51.100.1", 25, "one");
  put(registry_, "198.51.100.1", 587, "two");
  put(other_, "198.51.100.2", 25, "three");

  struct Case {
    const char* more;
    const char* answer;
  };
  for (const Case& each : std::vector<Case>{
           {"", "DUNNO"},
           {"server_address=\nserver_port=0\n", "DUNNO"},
           {"server_port=587\n", "DUNNO"},
           {"server_address=198.51.100.2\n", "DUNNO"},
           {"server_address=198.51.100.2\nserver_port=0\n", "DUNNO"},
           {"server_address=198.51.100.2\nserver_port=25\n", "route=three"},
           {"server_address=::ffff:198.51.100.2\nserver_port=25\n", "route=three"},
           {"server_address=198.51.100.1\nserver_port=25\n", "route=one"},
           {"server_port=587\nserver_address=198.51.100.1\n", "route=two"},
           {"server_address=198.51.100.2\nserver_port=587\n", "DUNNO"},
           {"server_address=198.51.100.3\nserver_port=25\n", "DUNNO"},
       }) {
    EXPECT_NE(Ask(Request("192.0.2.7", "40000", each.more)).find(each.answer), std::string::npos)
        << each.more;
  }
}

// From the same address and port, to a server that is not behind us.
TEST_F(PolicyAnswerTest, ASessionThatReachedAnotherServerIsNotOurs) {
  Put(Key("192.0.2.7", 40'000), TlsTrace());
  for (const char* more :
       {"", "server_address=198.51.100.1\n", "server_port=25\n",
        "server_address=unknown\nserver_port=unknown\n",
        "server_address=198.51.100.1\nserver_port=2525\n",
        "server_address=127.0.0.1\nserver_port=25\n", "server_address=::1\nserver_port=25\n"}) {
    EXPECT_EQ(Ask(Request("192.0.2.7", "40000", more)), kDunno) << more;
  }
  EXPECT_NE(Ask(Request()), kDunno);
}

TEST_F(PolicyAnswerTest, OrderAndUnknownAttributesDoNotMatter) {
  Put(Key("192.0.2.7", 40'000), TlsTrace());
  EXPECT_TRUE(Ask("client_port=40000\nx=y=z\nnew_attribute=\nclient_address=192.0.2.7\n"
                  "server_port=25\nserver_address=198.51.100.1\nrequest=smtpd_access_policy\n")
                  .starts_with("action=PREPEND "));
  EXPECT_EQ(Ask("request=something_else\nclient_address=192.0.2.7\nclient_port=40000\n"), kDunno);
}

TEST_F(PolicyAnswerTest, AMalformedRequestHasNoAnswer) {
  Put(Key("192.0.2.7", 40'000), TlsTrace());
  using std::string_view_literals::operator""sv;
  for (const std::string_view request :
       {""sv, "\n"sv, "GET / HTTP/1.0\r\n"sv, "request=smtpd_access_policy"sv,
        "request=smtpd_access_policy\n=x\n"sv, "request=smtpd_access_policy\n\nx=y\n"sv,
        "request=smtpd_access_policy\nsender\n"sv, "request=smtpd_access_policy\nsender=\0\n"sv,
        "client_address=192.0.2.7\nclient_port=40000\n"sv, "request=\n"sv}) {
    EXPECT_EQ(Ask(request), "") << request;
  }
}

// Where there is no message yet, or none any more, a field has no place and nobody was judged.
TEST_F(PolicyAnswerTest, OnlyWithinAMessage) {
  Put(Key("192.0.2.7", 40'000), TlsTrace());
  const auto ask = [this](std::string_view state) {
    std::string request = Request();
    const std::string_view rcpt = "protocol_state=RCPT";
    return Ask(
        request.replace(request.find(rcpt), rcpt.size(), "protocol_state=" + std::string(state)));
  };
  for (const char* state : {"CONNECT", "EHLO", "HELO", "VRFY", "ETRN", "END-OF-MESSAGE"}) {
    EXPECT_EQ(ask(state), kDunno) << state;
  }
  for (const char* state : {"MAIL", "RCPT", "DATA", "BDAT"}) {
    EXPECT_NE(ask(state), kDunno) << state;
  }
}

// --- Partners

class PolicyPartnerTest : public testing::Test {
 protected:
  PolicyPartnerTest() {
    const Network near = ParseNetwork("203.0.113.0/24").value();
    Partner contoso;
    contoso.name = "contoso";
    contoso.sender_domains = {"contoso.example", ".contoso.example"};
    Partner by_network;
    by_network.name = "by-network";
    by_network.networks = {ParseNetwork("198.51.100.0/24").value()};
    Partner reporting;
    reporting.name = "reporting";
    reporting.sender_domains = {"reporting.example"};
    reporting.mode = PolicyMode::kReport;
    // Its mail from other networks is nobody's concern.
    Partner elsewhere;
    elsewhere.name = "elsewhere";
    elsewhere.sender_domains = {"elsewhere.example"};
    elsewhere.networks = {near};
    Partner restricted;
    restricted.name = "restricted";
    restricted.sender_domains = {"restricted.example"};
    restricted.networks = {near};
    restricted.restrict_to_networks = true;
    config_->partners = {contoso, by_network, reporting, elsewhere, restricted};
    config_->own_domains = {"localhost"};
    table_ = std::make_shared<const PartnerTable>(config_->partners, config_->own_domains);
  }

  // The answer to a message of `sender` in a session where `mail` came of its MAIL command.
  [[nodiscard]] std::string Ask(std::string_view sender, SessionMail mail,
                                const char* client = "192.0.2.7") const {
    SessionRegistry registry;
    RegisteredSession session = SessionHere();
    session.trace = trace_;
    session.trace.route = "mx";
    session.mail = std::move(mail);
    session.config = config_;
    session.partners = table_.get();
    session.keep = table_;
    registry.Put(Key(client, 40'000), 1, std::move(session));
    return AnswerPolicyRequest(
        std::string("request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=") + client +
            "\nclient_port=40000\nsender=" + std::string(sender) + "\n" + std::string(kHere),
        kHostname, {&registry});
  }
  static JudgedPartner Met(std::string name) {
    return {.name = std::move(name), .met = true, .proof = {}};
  }
  static JudgedPartner NotMet(std::string name) {
    return {.name = std::move(name), .met = false, .proof = {}};
  }
  static std::string Field(std::string_view partner) {
    return std::string("action=PREPEND Ringpost-TLS: mx.example.test; version=none; route=mx") +
           (partner.empty() ? "" : "; partner=") + std::string(partner) + "\n\n";
  }

  std::shared_ptr<Config> config_ = std::make_shared<Config>();
  std::shared_ptr<const PartnerTable> table_;
  SessionTrace trace_;
};

TEST_F(PolicyPartnerTest, TheSenderThatWasJudgedPasses) {
  const SessionMail judged{.judged = {Met("contoso")}};
  EXPECT_EQ(Ask("a@contoso.example", judged), Field("contoso"));
  EXPECT_EQ(Ask("a@mail.CONTOSO.example", judged), Field("contoso"));
  EXPECT_EQ(Ask("a@contoso.example", {.judged = {NotMet("restricted"), NotMet("contoso")}}),
            Field(""));
}

// The backend read another sender than the proxy: the partner's policy was never asked to be met.
TEST_F(PolicyPartnerTest, ASenderThatWasNotJudgedIsRefused) {
  EXPECT_EQ(Ask("a@contoso.example", {}), kRefusal);
  EXPECT_EQ(Ask("a@sub.contoso.example", {}), kRefusal);
  EXPECT_EQ(Ask("\"x@y\"@contoso.example", {}), kRefusal);
  EXPECT_EQ(Ask("a@contoso.example", {.judged = {Met("reporting")}}), kRefusal);
  EXPECT_EQ(Ask("a@restricted.example", {}), kRefusal);
  EXPECT_EQ(Ask("a@other.example", {}), Field(""));
  EXPECT_EQ(Ask("", {}), Field(""));
  EXPECT_EQ(Ask("postmaster", {}), Field(""));
}

TEST_F(PolicyPartnerTest, APartnerByNetworkConcernsEverySender) {
  const char* client = "198.51.100.9";
  EXPECT_EQ(Ask("a@other.example", {}, client), kRefusal);
  EXPECT_EQ(Ask("", {}, client), kRefusal);
  const SessionMail judged{.judged = {Met("by-network")}};
  EXPECT_EQ(Ask("", judged, client), Field("by-network"));
  EXPECT_EQ(Ask("a@contoso.example", judged, client), kRefusal);
  EXPECT_EQ(Ask("a@contoso.example", {.judged = {Met("contoso"), Met("by-network")}}, client),
            Field("contoso,by-network"));
}

TEST_F(PolicyPartnerTest, APartnerThatOnlyReportsRefusesNothing) {
  EXPECT_EQ(Ask("a@reporting.example", {}), Field(""));
  EXPECT_EQ(Ask("a@reporting.example", {.judged = {Met("reporting")}}), Field("reporting"));
}

TEST_F(PolicyPartnerTest, APartnerThatDoesNotConcernTheClientRefusesNothing) {
  EXPECT_EQ(Ask("a@elsewhere.example", {}), Field(""));
  EXPECT_EQ(Ask("a@elsewhere.example", {}, "203.0.113.5"), kRefusal);
}

// A client may have pipelined the next MAIL before the backend asked about this one.
TEST_F(PolicyPartnerTest, OnlyThisMessagesPartnersAreNamed) {
  const SessionMail both{.judged = {Met("contoso"), Met("reporting")}};
  EXPECT_EQ(Ask("a@contoso.example", both), Field("contoso"));
  EXPECT_EQ(Ask("a@reporting.example", both), Field("reporting"));
  EXPECT_EQ(Ask("a@other.example", both), Field(""));
  EXPECT_EQ(Ask("a@contoso.example", {.judged = {Met("contoso-x")}}), kRefusal);
}

// What one partner's rule knows of the client is not said of a message that concerns another.
TEST_F(PolicyPartnerTest, WhatProvedTheClientIsTheMessagesOwn) {
  trace_ = TlsTrace();
  trace_.certificate = true;
  const auto certificate = [this](std::string_view sender, const SessionMail& mail,
                                  const char* client = "192.0.2.7") {
    const std::string answer = Ask(sender, mail, client);
    const std::size_t begin = answer.find("certificate=") + 12;
    return answer.substr(begin, answer.find(';', begin) - begin);
  };
  const CertificateProof pinned{.by = By::kFingerprint, .text = "9F:86"};
  const SessionMail mail{
      .judged = {{.name = "contoso", .met = true, .proof = pinned},
                 {.name = "by-network", .met = true, .proof = Named("a.example")},
                 {.name = "reporting", .met = false, .proof = {}},
                 {.name = "restricted", .met = true, .proof = {.by = By::kCa, .text = {}}}}};
  const char* const network = "198.51.100.9";
  EXPECT_EQ(certificate("a@contoso.example", mail), "verified fingerprint=9F:86");
  EXPECT_EQ(certificate("a@other.example", mail), "unverified");
  EXPECT_EQ(certificate("a@reporting.example", mail), "unverified");
  EXPECT_EQ(certificate("a@restricted.example", mail, "203.0.113.5"), "verified");
  EXPECT_EQ(certificate("a@other.example", mail, network), "verified \"a.example\"");
  EXPECT_EQ(certificate("a@contoso.example", mail, network), "verified fingerprint=9F:86")
      << "the partner of the domain comes first";

  trace_.proof = Named("route.example");
  EXPECT_EQ(certificate("a@contoso.example", mail), "verified fingerprint=9F:86");
  EXPECT_EQ(certificate("a@other.example", mail), "verified \"route.example\"");
  EXPECT_EQ(certificate("a@reporting.example", mail), "verified \"route.example\"");
  EXPECT_EQ(certificate("a@restricted.example", mail, "203.0.113.5"), "verified \"route.example\"")
      << "the partner's rule does not say who it is, the route's does";
}

// Nobody is refused for it, so that there is nothing to escape.
TEST_F(PolicyPartnerTest, ASenderThatCannotBeReadWherePartnersOnlyReport) {
  for (Partner& partner : config_->partners) {
    partner.mode = partner.sender_domains.empty() ? PolicyMode::kEnforce : PolicyMode::kReport;
  }
  table_ = std::make_shared<const PartnerTable>(config_->partners);
  EXPECT_EQ(Ask("a@contoso..example", {}), Field(""));
  EXPECT_EQ(Ask("a@contoso..example", {}, "198.51.100.9"), kRefusal);
  EXPECT_EQ(Ask("a@contoso..example", {.judged = {Met("by-network")}}, "198.51.100.9"),
            Field("by-network"));
}

TEST_F(PolicyPartnerTest, ASenderThatCannotBeReadIsNobodysConcern) {
  EXPECT_EQ(Ask("a@contoso..example", {.judged = {Met("contoso")}}), kDunno);
  EXPECT_EQ(Ask("a@ contoso.example@localhost", {.judged = {Met("contoso")}}), kDunno);
}

// In the reading of a backend that drops its own domain.
TEST_F(PolicyPartnerTest, ADomainWithinTheLocalPartCountsToo) {
  const SessionMail judged{.judged = {Met("contoso")}};
  for (const char* sender : {"a%contoso.example@localhost", "contoso.example!a@[127.0.0.1]",
                             "a@contoso.example@localhost", "a%sub.contoso.example@x.example"}) {
    EXPECT_EQ(Ask(sender, {}), kRefusal) << sender;
    EXPECT_EQ(Ask(sender, judged), Field("contoso")) << sender;
  }
  EXPECT_EQ(Ask("a%other.example@localhost", {}), Field(""));
}

}  // namespace
}  // namespace ringpost
