// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream_words.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

namespace ringpost {
namespace {

using Kind = ProbeResult::Kind;

constexpr std::string_view kWho = "upstream postfix (127.0.0.1:10025): ";
constexpr std::string_view kSaid = "502 5.5.2 what?";

UpstreamConfig Upstream(BackendIdentity identity) {
  UpstreamConfig upstream;
  upstream.name = "postfix";
  upstream.identity = identity;
  return upstream;
}

Endpoint Address() {
  Endpoint endpoint;
  endpoint.text = "127.0.0.1:10025";
  return endpoint;
}

ProbeResult Fault(Kind kind, ProbeFault fault, std::string_view words) {
  ProbeResult result;
  result.kind = kind;
  result.fault = fault;
  result.words = words;
  return result;
}

bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// What an administrator searches for, or copies into the mail server's configuration.
std::string_view Hint(BackendIdentity identity) {
  switch (identity) {
    case BackendIdentity::kProxyV2:
    case BackendIdentity::kProxyV1:
      return "smtpd_upstream_proxy_protocol=haproxy";
    case BackendIdentity::kXclient:
      return "smtpd_authorized_xclient_hosts=127.0.0.0/8";
    case BackendIdentity::kNone:
      break;
  }
  return "set identity to proxy-v2 or proxy-v1";
}

constexpr auto kIdentities = {BackendIdentity::kProxyV2, BackendIdentity::kProxyV1,
                              BackendIdentity::kXclient, BackendIdentity::kNone};

TEST(UpstreamWordsTest, ARefutedServerIsQuotedAndToldWhatToSet) {
  for (const BackendIdentity identity : kIdentities) {
    for (const ProbeFault fault :
         {ProbeFault::kGreetsUntold, ProbeFault::kNotSmtp, ProbeFault::kUnaskedReply,
          ProbeFault::kXclientRefused, ProbeFault::kNoopRefused, ProbeFault::kHelloRefused}) {
      const std::string text =
          NotProvenSentence(Upstream(identity), Address(), Fault(Kind::kRefuted, fault, kSaid));
      SCOPED_TRACE(text);
      EXPECT_TRUE(text.starts_with(std::string(kWho) + "not used, clients are told 421: "));
      EXPECT_TRUE(Has(text, "\"502 5.5.2 what?\""));
      EXPECT_TRUE(Has(text, Hint(identity)));
    }
  }
}

TEST(UpstreamWordsTest, NamesWhatWasMissing) {
  const std::string untold =
      NotProvenSentence(Upstream(BackendIdentity::kProxyV1), Address(),
                        Fault(Kind::kRefuted, ProbeFault::kGreetsUntold, "220 mx ESMTP"));
  EXPECT_TRUE(Has(untold,
                  "it greeted with \"220 mx ESMTP\" before it had the PROXY header "
                  "(proxy-v1)"))
      << untold;
  const std::string xclient = NotProvenSentence(Upstream(BackendIdentity::kXclient), Address(),
                                                Fault(Kind::kRefuted, ProbeFault::kNoXclient, ""));
  EXPECT_TRUE(Has(xclient, "does not offer XCLIENT")) << xclient;
  EXPECT_TRUE(Has(xclient, Hint(BackendIdentity::kXclient))) << xclient;
}

// A server that takes another version of the header, or none from this machine, just closes.
TEST(UpstreamWordsTest, WhoClosesIsToldTheIdentity) {
  for (const BackendIdentity identity : {BackendIdentity::kProxyV2, BackendIdentity::kProxyV1}) {
    const std::string text = NotProvenSentence(Upstream(identity), Address(),
                                               Fault(Kind::kFailed, ProbeFault::kClosed, ""));
    SCOPED_TRACE(text);
    EXPECT_TRUE(text.starts_with(std::string(kWho) + "not available: it closed"));
    EXPECT_TRUE(Has(text, BackendIdentityName(identity)));
    EXPECT_TRUE(Has(text, Hint(identity)));
  }
  const std::string none = NotProvenSentence(Upstream(BackendIdentity::kNone), Address(),
                                             Fault(Kind::kFailed, ProbeFault::kClosed, ""));
  EXPECT_FALSE(Has(none, "PROXY header")) << none;
}

// It is not the set-up that is wrong.
TEST(UpstreamWordsTest, AServerThatIsAwayGetsNoAdvice) {
  ProbeResult result = Fault(Kind::kFailed, ProbeFault::kConnect, "");
  result.error = ECONNREFUSED;
  const UpstreamConfig upstream = Upstream(BackendIdentity::kProxyV2);
  EXPECT_EQ(NotProvenSentence(upstream, Address(), result),
            std::string(kWho) + "not available: Connection refused");
  EXPECT_EQ(NotProvenSentence(upstream, Address(),
                              Fault(Kind::kFailed, ProbeFault::kNotReady, "421 too busy")),
            std::string(kWho) + "not available: it greeted with \"421 too busy\"");
}

TEST(UpstreamWordsTest, ASocketThatIsNotForThisUser) {
  ProbeResult result = Fault(Kind::kFailed, ProbeFault::kConnect, "");
  result.error = EACCES;
  const std::string text =
      NotProvenSentence(Upstream(BackendIdentity::kProxyV2), Address(), result);
  EXPECT_TRUE(Has(text, "not available: Permission denied. ")) << text;
  EXPECT_TRUE(Has(text, "into the group postdrop")) << text;
}

TEST(UpstreamWordsTest, ASilentServerIsToldWhatToSet) {
  for (const BackendIdentity identity : kIdentities) {
    const std::string slow = SlowSentence(Upstream(identity), Address());
    EXPECT_TRUE(slow.starts_with(std::string(kWho) + "has not greeted for 10 s. ")) << slow;
    EXPECT_TRUE(Has(slow, Hint(identity))) << slow;
    const std::string silent = NotProvenSentence(Upstream(identity), Address(),
                                                 Fault(Kind::kFailed, ProbeFault::kSilent, ""));
    EXPECT_TRUE(Has(silent, "it did not answer in time. ")) << silent;
    EXPECT_TRUE(Has(silent, Hint(identity))) << silent;
  }
}

TEST(UpstreamWordsTest, AProvenServerNeedsNoAdvice) {
  for (const BackendIdentity identity : kIdentities) {
    const UpstreamConfig upstream = Upstream(identity);
    ProbeResult result = Fault(Kind::kProven, ProbeFault::kNone, "220 mx ESMTP Postfix");
    result.header_octets = kProxyHeaderMax;
    EXPECT_EQ(ProvenSentence(upstream, Address(), result),
              std::string(kWho) + "answers as it should (identity " +
                  std::string(BackendIdentityName(identity)) + ")");
    EXPECT_TRUE(ProvenAdvice(upstream, Address(), result).empty());
  }
}

TEST(UpstreamWordsTest, AdviceNamesTheServerAndTheSetting) {
  struct Row {
    BackendIdentity identity;
    std::size_t header_octets;
    bool refuses_second_hello;
    std::string_view greeting;
    std::string_view advice;
  };
  constexpr std::size_t kWhole = kProxyHeaderMax;
  const std::vector<Row> rows = {
      {BackendIdentity::kProxyV2, 107, false, "220 nginx", "at most 107 bytes"},
      {BackendIdentity::kProxyV2, 107, false, "220 nginx", "proxy_tlvs = \"none\""},
      {BackendIdentity::kNone, kWhole, true, "220 mx", "starttls_backend = \"keep\""},
      {BackendIdentity::kProxyV1, kWhole, false, "220 Dovecot ready.", "Set identity to proxy-v2"},
      {BackendIdentity::kXclient, kWhole, false, "220 Dovecot ready.", "auth = \"tls\""},
  };
  for (const Row& row : rows) {
    ProbeResult result = Fault(Kind::kProven, ProbeFault::kNone, row.greeting);
    result.header_octets = row.header_octets;
    result.refuses_second_hello = row.refuses_second_hello;
    const std::vector<std::string> advice = ProvenAdvice(Upstream(row.identity), Address(), result);
    ASSERT_EQ(advice.size(), 1u) << row.advice;
    EXPECT_TRUE(advice[0].starts_with(kWho)) << advice[0];
    EXPECT_TRUE(Has(advice[0], row.advice)) << advice[0];
  }
}

TEST(UpstreamWordsTest, DovecotLearnsOfTlsFromANewConnectionOnly) {
  ProbeResult result = Fault(Kind::kProven, ProbeFault::kNone, "220 Dovecot ready.");
  result.header_octets = kProxyHeaderMax;
  const UpstreamConfig upstream = Upstream(BackendIdentity::kProxyV2);
  EXPECT_TRUE(ProvenAdvice(upstream, Address(), result).empty());
  result.asked_second_hello = true;
  const std::vector<std::string> advice = ProvenAdvice(upstream, Address(), result);
  ASSERT_EQ(advice.size(), 1u);
  EXPECT_TRUE(Has(advice[0], "starttls_backend = \"keep\"")) << advice[0];
}

// Who has left the TLVs out need not be told that they are left out.
TEST(UpstreamWordsTest, ShortHeadersAreNoNewsWithoutTlvs) {
  UpstreamConfig upstream = Upstream(BackendIdentity::kProxyV2);
  upstream.proxy_tlvs = ProxyTlvs::kNone;
  ProbeResult result = Fault(Kind::kProven, ProbeFault::kNone, "220 nginx");
  result.header_octets = kProxyHeaderBareMax;
  EXPECT_TRUE(ProvenAdvice(upstream, Address(), result).empty());
}

TEST(UpstreamWords, AFailureNamesTheKindOfItsServer) {
  const UpstreamConfig postfix = Upstream(BackendIdentity::kProxyV2);
  EXPECT_EQ(FailedSentence(postfix, Address(), CloseReason::kBackendConnect, ECONNREFUSED, {}),
            std::string(kWho) + "backend_connect: Connection refused");
  EXPECT_EQ(FailedSentence(postfix, Address(), CloseReason::kBackendProtocol, 0, kSaid),
            std::string(kWho) + "backend_protocol: \"502 5.5.2 what?\"");
  EXPECT_EQ(RecoveredSentence(postfix, Address()), std::string(kWho) + "is back and used again");

  UpstreamConfig partner;
  partner.name = "bank";
  partner.is_partner = true;
  Endpoint endpoint;
  endpoint.text = "192.0.2.1:25";
  endpoint.host = "mx.bank.example";
  endpoint.length = sizeof endpoint.address.in;
  const std::string who = "egress \"bank\": mx.bank.example (192.0.2.1:25): ";
  EXPECT_EQ(
      FailedSentence(partner, endpoint, CloseReason::kBackendTls, 0, "the certificate has expired"),
      who + "the certificate has expired");
  EXPECT_EQ(FailedSentence(partner, endpoint, CloseReason::kBackendConnect, ECONNREFUSED, {}),
            who + "cannot be reached: Connection refused");
  EXPECT_EQ(RecoveredSentence(partner, endpoint), who + "is back and used again");
}

}  // namespace
}  // namespace ringpost
