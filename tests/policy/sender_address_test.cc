// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/policy/sender_address.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <ostream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace ringpost {

std::ostream& operator<<(std::ostream& out, const Sender& sender) {
  constexpr const char* kNames[] = {"malformed", "null", "no domain", "domain "};
  return out << kNames[static_cast<int>(sender.kind)] << sender.domain;
}
bool operator==(const Sender& a, const Sender& b) {
  return a.kind == b.kind && a.domain == b.domain;
}

namespace {

using std::string_literals::operator""s;

const Sender kMalformed{SenderKind::kMalformed, ""};
const Sender kNull{SenderKind::kNull, ""};
const Sender kNoDomain{SenderKind::kNoDomain, ""};
Sender Domain(std::string domain) { return {SenderKind::kDomain, std::move(domain)}; }

struct Row {
  std::string text;
  Sender expected;
};

// What stands after "FROM:". Each row is also read with trailing parameters, blanks before it, and
// octets that are not part of it.
std::vector<Row> Paths() {
  // Named, because GCC 12 warns wrongly of "text" + std::string(...).
  const std::string local64(64, 'l');
  const std::string local200(200, 'l');
  const std::string huge(100000, 'b');
  const std::string colons(100, ':');
  const std::string half_letters(600, '\xC3');
  const std::string label63(63, 'a');
  const std::string domain253 =
      label63 + "." + label63 + "." + label63 + "." + std::string(61, 'b');
  return {
      // RFC 5321 4.1.2: plain ones
      {"<>", kNull},
      {"<a@example.com>", Domain("example.com")},
      {"<A.B+tag@Example.COM>", Domain("example.com")},
      {"<a@example>", Domain("example")},
      {"<a@1and1.example>", Domain("1and1.example")},
      {"<a@a_b.example>", Domain("a_b.example")},
      {"<a@b--c.example>", Domain("b--c.example")},
      {"<a@example.com.>", Domain("example.com")},
      {"<!#$%&'*+-/=?^_`{|}~@example.com>", Domain("example.com")},
      {"<bounce+SRS=x=y=other.example=user@example.com>", Domain("example.com")},
      {"<" + local64 + "@example.com>", Domain("example.com")},   // PROTOCOL 4
      {"<" + local200 + "@example.com>", Domain("example.com")},  // VERP is long
      {"<a@" + domain253 + ">", Domain(domain253)},
      // Against the grammar, but such mailboxes exist and the domain is beyond doubt.
      {"<a..b@example.com>", Domain("example.com")},
      {"<.a.@example.com>", Domain("example.com")},
      // Quoted local parts
      {"<\"a b\"@example.com>", Domain("example.com")},
      {"<\"a@partner.example\"@example.com>", Domain("example.com")},
      {"<\"a\\\"@partner.example>\"@example.com>", Domain("example.com")},
      {"<\"a\\\\\"@example.com>", Domain("example.com")},
      {"<\"<a@partner.example> \"@example.com>", Domain("example.com")},
      {"<\"\"@example.com>", Domain("example.com")},
      {"<\"\xC3\xBC\"@example.com>", Domain("example.com")},
      {"<\"a\\\"@example.com>", kMalformed},  // the quote is quoted: no end
      {"<\"a@example.com>", kMalformed},
      {"<a\"@example.com>", kMalformed},
      {"<\"a\"b@example.com>", kMalformed},
      {"<b\"a\"@example.com>", kMalformed},
      {"<a.\"b\"@example.com>", kMalformed},
      {"<\"a\"\"b\"@example.com>", kMalformed},
      {"<\"a\\\t\"@example.com>", kMalformed},
      {"<\"a\\\xC3\xBC\"@example.com>", kMalformed},
      {"<\"a\tb\"@example.com>", kMalformed},
      {"<\"", kMalformed},
      {"<\"\\", kMalformed},
      // Source routes: accepted and ignored, RFC 5321 appendix C
      {"<@partner.example:x@evil.example>", Domain("evil.example")},
      {"<@a.example,@b.example:x@evil.example>", Domain("evil.example")},
      {"<@a.example:\"x@y\"@evil.example>", Domain("evil.example")},
      {"<@a.example:x@[192.0.2.1]>", kNoDomain},
      {"<@partner.example:user>", kMalformed},
      {"<@partner.example>", kMalformed},
      {"<@partner.example:>", kMalformed},
      {"<@partner.example:@evil.example>", kMalformed},
      {"<@partner.example x@evil.example>", kMalformed},
      {"<@a.example, @b.example:x@evil.example>", kMalformed},
      {"<@a.example,b.example:x@evil.example>", kMalformed},
      {"<@a.example,:x@evil.example>", kMalformed},
      {"<@:x@evil.example>", kMalformed},
      {"<@a.example\"x\"@evil.example>", kMalformed},
      {"<@[192.0.2.1]:x@evil.example>", kMalformed},
      {"<partner.example:x@evil.example>", kMalformed},
      // Two readings
      {"<a@b.example@c.example>", kMalformed},
      {"<a@@c.example>", kMalformed},
      {"<a@b.example>c@d.example", kMalformed},
      {"<a@b.example>@d.example", kMalformed},
      {"<a@b.example><c@d.example>", kMalformed},
      {"<a@b.example> <c@d.example>", kMalformed},
      {"<a@b.example> c@d.example", kMalformed},
      {"<a@b.example> (c)", kMalformed},
      {"<a@b.example>SIZE=10", kMalformed},
      {"<a@b.example>,SIZE=10", kMalformed},
      {"<<a@b.example>>", kMalformed},
      {"<a@b.example", kMalformed},
      {"<a@b.example\"", kMalformed},
      {"a@b.example>", kMalformed},
      {"A <a@b.example>", kMalformed},
      {"\"A\" <a@b.example>", kMalformed},
      {"<a(c)@b.example>", kMalformed},
      {"<a@b.example(c)>", kMalformed},
      {"(c)<a@b.example>", kMalformed},
      {"< a@b.example>", kMalformed},
      {"<a@b.example >", kMalformed},
      {"<a @b.example>", kMalformed},
      {"<a@ b.example>", kMalformed},
      {"<a@b. example>", kMalformed},
      {"<a b@b.example>", kMalformed},
      {"<a,b@b.example>", kMalformed},
      {"<a;b@b.example>", kMalformed},
      {"<a:b@b.example>", kMalformed},
      {"<a\\@b.example>", kMalformed},
      {"<a\\@b@c.example>", kMalformed},
      {"<a@b.example,c@d.example>", kMalformed},
      {"<a@b.example;>", kMalformed},
      {"< >", kMalformed},
      {"<", kMalformed},
      {">", kMalformed},
      {"", kMalformed},
      {"<a@\x01.example>", kMalformed},
      {"<a\x7F@b.example>", kMalformed},
      {"<a@b\x7F.example>", kMalformed},
      {"<a@b.example\0.partner.example>"s, kMalformed},
      {"<a\0@b.example>"s, kMalformed},
      {"<\"a\0\"@b.example>"s, kMalformed},
      {"<a@b.example>\0"s, kMalformed},
      // Domains that are none
      {"<a@>", kMalformed},
      {"<@>", kMalformed},
      {"<a@.>", kMalformed},
      {"<a@b..example>", kMalformed},
      {"<a@.b.example>", kMalformed},
      {"<a@b.example..>", kMalformed},
      {"<a@b/c.example>", kMalformed},
      {"<a@b%c.example>", kMalformed},
      {"<a@b=2Ecom>", kMalformed},
      {"<a@*.example>", kMalformed},
      {"<a@b:25>", kMalformed},
      {"<a@" + label63 + "a.example>", kMalformed},
      {"<a@" + domain253 + "b>", kMalformed},
      {"<a@" + huge + ">", kMalformed},
      // Without a domain
      {"<postmaster>", kNoDomain},
      {"<Post.Master-1>", kNoDomain},
      {"<\"post master\">", kNoDomain},
      {"<\"post\\\"master\">", kMalformed},
      {"<\"post\\\\master\">", kMalformed},
      {"<\"\">", kMalformed},                          // null for who drops the quotes
      {"<\"a@partner.example\">", kMalformed},         // the same
      {"<a%partner.example>", kMalformed},             // what Postfix makes an "@" of
      {"<partner.example!a>", kMalformed},             // a bang path, the same
      {"<\"a%partner.example\">", kMalformed},         // the same once more
      {"<a\xEF\xBC\xA0partner.example>", kMalformed},  // full-width "@"
      {"<a%partner.example@evil.example>", Domain("evil.example")},
      {"<partner.example!a@evil.example>", Domain("evil.example")},
      {"<a\xEF\xBC\xA0partner.example@evil.example>", Domain("evil.example")},
      // Address literals, RFC 5321 4.1.3
      {"<a@[192.0.2.1]>", kNoDomain},
      {"<a@[IPv6:2001:db8::1]>", kNoDomain},
      {"<a@[ipv6:::ffff:192.0.2.1]>", kNoDomain},
      {"<\"a b\"@[192.0.2.1]>", kNoDomain},
      {"<a@[2001:db8::1]>", kMalformed},
      {"<a@[IPv6:192.0.2.1]>", kMalformed},
      {"<a@[partner.example]>", kMalformed},
      {"<a@[tag:partner.example]>", kMalformed},
      {"<a@[192.0.2.1>", kMalformed},
      {"<a@192.0.2.1]>", kMalformed},
      {"<a@[]>", kMalformed},
      {"<a@[192.0.2.1].partner.example>", kMalformed},
      {"<a@[192.0.2.1]partner.example>", kMalformed},
      {"<a@[192.0.2.1\0]>"s, kMalformed},
      {"<a@[IPv6:" + colons + "]>", kMalformed},
      // Without brackets
      {"a@example.com", Domain("example.com")},
      {"A@EXAMPLE.com.", Domain("example.com")},
      {"root", kNoDomain},
      {"\"ab\"@example.com", kMalformed},  // quotes or blanks first?
      {"\"a b\"@example.com", kMalformed},
      {"\"a <b\"@example.com", kMalformed},
      {"a@[192.0.2.1]", kNoDomain},
      {"@a.example:b@c.example", kMalformed},
      {"a@b.example c@d.example", kMalformed},
      {"a@b.example (c)", kMalformed},
      {"a@b.example,c@d.example", kMalformed},
      {"a@b@c", kMalformed},
      {"\"a@b.example", kMalformed},
      {"\"a@b.example ENVID=\"@c.example", kMalformed},
      {"SIZE=10", kMalformed},  // an empty path and a parameter
      {"@", kMalformed},
      {"a X=y", kNoDomain},
      {"a@example.com X=y:(z),\"", Domain("example.com")},
      {"a X=<b@partner.example>", kMalformed},  // a display name and an address, says Exim
      {"a@example.com X=<b@partner.example>", kMalformed},
      {"a X=y Y=<partner.example>", kMalformed},
      {"a X=b@partner.example", kMalformed},
      {"a X=>", kMalformed},
      {"a@partner. example", kMalformed},  // blanks behind a dot count for nothing, says Exim
      {"a@partner.\texample SIZE=1", kMalformed},
      // UTF-8, RFC 6531
      {"<\xC3\xBC@m\xC3\xBCnchen.example>", Domain("xn--mnchen-3ya.example")},
      {"<a@M\xC3\x9CNCHEN.Example>", Domain("xn--mnchen-3ya.example")},
      {"<a@mu\xCC\x88nchen.example>", Domain("xn--mnchen-3ya.example")},  // not in NFC
      {"<a@xn--mnchen-3ya.example>", Domain("xn--mnchen-3ya.example")},
      {"<a@XN--MNCHEN-3YA.example>", Domain("xn--mnchen-3ya.example")},
      {"<a@stra\xC3\x9F"
       "e.example>",
       Domain("xn--strae-oqa.example")},  // non-transitional
      {"m\xC3\xBC@m\xC3\xBCnchen.example", Domain("xn--mnchen-3ya.example")},
      {"<a@a_b.m\xC3\xBCnchen.example>", Domain("a_b.xn--mnchen-3ya.example")},
      // A partner's domain in disguise: UTS 46 maps all of these.
      {"<a@par\xE2\x84\xAA.example>", Domain("park.example")},  // Kelvin sign
      {"<a@\xEF\xBD\x90"
       "artner.example>",
       Domain("partner.example")},  // full-width p
      {"<a@\xEF\xBC\xB0"
       "artner.example>",
       Domain("partner.example")},                                     // full-width P
      {"<a@par\xC2\xADtner.example>", Domain("partner.example")},      // soft hyphen
      {"<a@par\xE2\x80\x8Btner.example>", Domain("partner.example")},  // zero-width space
      {"<a@partner\xE3\x80\x82"
       "example>",
       Domain("partner.example")},  // ideographic full stop
      {"<a@partner\xEF\xBC\x8E"
       "example>",
       Domain("partner.example")},  // full-width full stop
      {"<a@partner\xEF\xBD\xA1"
       "example>",
       Domain("partner.example")},  // half-width one
      {"<a@partner.example\xE3\x80\x82>", Domain("partner.example")},
      {"<a@\xF0\x9D\x93\xB9"
       "artner.example>",
       Domain("partner.example")},  // mathematical p
      {"<@\xEF\xBD\x90"
       "artner.example:x@evil.example>",
       Domain("evil.example")},
      // What cannot be mapped, or to nothing that is a domain
      {"<a@partner\xE3\x80\x82\xE3\x80\x82"
       "example>",
       kMalformed},
      {"<a@\xC2\xAD.example>", kMalformed},  // an empty label
      {"<a@\xC2\xAD>", kMalformed},
      {"<a@b\xEF\xBC\xA0partner.example>", kMalformed},  // full-width "@"
      {"<a@\xE2\x84\x80.example>", kMalformed},          // "a/c"
      {"<a@partner\xE2\x80\xA4"
       "example>",
       kMalformed},                                     // one dot leader
      {"<a@partner\xC2\xA0.example>", kMalformed},      // no-break space
      {"<a@par\xE2\x80\x8Dtner.example>", kMalformed},  // zero-width joiner
      {"<a@\xE2\x80\xAEpartner.example>", kMalformed},  // right-to-left override
      {"<a@\xFF.example>", kMalformed},
      {"<a@\xC3.example>", kMalformed},
      {"<a@\xC3>", kMalformed},
      {"<a@\xED\xA0\x80.example>", kMalformed},  // a surrogate
      {"<a@\xC0\xAE.example>", kMalformed},      // an over-long dot
      {"<a@\xC3\xBC..example>", kMalformed},
      {"<a@.\xC3\xBC.example>", kMalformed},
      {"<a@" + half_letters + ">", kMalformed},
      // "xn--" that hides something else. Domains of symbols are no IDNA 2008, but exist.
      {"<a@xn--partner-.example>", kMalformed},
      {"<a@xn--artner-o068a.example>", kMalformed},  // full-width p in Punycode
      {"<a@xn--partner-nka.example>", kMalformed},   // a soft hyphen in Punycode
      {"<a@x.XN--PARTNER-.example>", kMalformed},
      {"<a@xn--.example>", kMalformed},
      {"<a@xn--zzzzzz99999.example>", kMalformed},
      {"<a@xn--i-7iq.example>", Domain("xn--i-7iq.example")},
  };
}

Sender Parse(std::string_view argument) {
  // Of exactly its size, so that ASan sees a read behind it.
  const auto copy = std::make_unique<char[]>(argument.size());
  std::copy(argument.begin(), argument.end(), copy.get());
  return ParseMailSender({copy.get(), argument.size()});
}

TEST(MailSender, TableOfPaths) {
  for (const Row& row : Paths()) EXPECT_EQ(Parse("FROM:" + row.text), row.expected) << row.text;
}

TEST(MailSender, BlanksBeforeAndParametersBehindChangeNothing) {
  for (const Row& row : Paths()) {
    for (const char* before : {"from: ", "From:\t", " FROM:  "}) {
      EXPECT_EQ(Parse(before + row.text), row.expected) << before << row.text;
    }
    if (row.text.empty()) continue;  // then the parameters are the address
    for (const char* behind : {" SIZE=10", " BODY=8BITMIME SMTPUTF8", "  SIZE=1\tAUTH=<> ",
                               " AUTH=a+40partner.example", " ", " X-1=<b@c>", " ENVID=\"@x"}) {
      const std::string_view more = behind;
      const bool two_readings =
          !row.text.starts_with('<') &&
          (more.find_first_of("<@") != std::string::npos ||
           (row.text.ends_with('.') && more.find_first_not_of(" \t") != std::string::npos));
      EXPECT_EQ(Parse("FROM:" + row.text + behind), two_readings ? kMalformed : row.expected)
          << row.text << behind;
    }
  }
}

TEST(MailSender, OctetsDirectlyBehindABracketAreMalformed) {
  for (const Row& row : Paths()) {
    if (!row.text.ends_with('>')) continue;
    for (const char* behind : {"x", ">", "<", "@c.example", "\"", ",", " >", " @c.example", " =1",
                               " -A=1", " \"", " ,", " A(c)", " A\"", "\xC3\xBC", " \xC3\xBC"}) {
      EXPECT_EQ(Parse("FROM:" + row.text + behind), kMalformed) << row.text << behind;
    }
  }
}

TEST(MailSender, WithoutItsWordItIsMalformed) {
  for (const char* word : {"", "FROM", "FROM ", "FROM :", "TO:", "FRO:", "FROM=", "FROMM:",
                           "FR OM:", "X FROM:", "<FROM:", "\"FROM:"}) {
    EXPECT_EQ(Parse(std::string(word) + "<a@example.com>"), kMalformed) << word;
  }
}

// Byte by byte: whatever is cut off, no domain appears that the whole did not have. (Only a domain
// without its bracket may become a shorter one, and a null path appears nowhere.)
TEST(MailSender, NoPrefixOfABracketedPathHasADomain) {
  for (const Row& row : Paths()) {
    if (row.text.size() > 1000 || !row.text.starts_with('<')) continue;
    const std::size_t end = row.text.find('>');
    for (std::size_t size = 0; size < row.text.size() && size <= end; ++size) {
      EXPECT_EQ(Parse("FROM:" + row.text.substr(0, size)), kMalformed) << row.text << size;
    }
  }
}

// What is a domain here is one in its final form, whatever the octets were.
TEST(MailSender, RandomOctetsGiveADomainInItsFinalFormOrNone) {
  const std::vector<Row> paths = Paths();
  constexpr std::string_view kPieces = "<>@\"\\.,: []()%!=-_aXxn--\xC3\xBC\xE3\x80\x82\0\x7F";
  std::mt19937 random(20261);  // NOLINT: the same cases in each run
  const auto below = [&random](std::size_t bound) { return random() % bound; };
  int domains = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = paths[below(paths.size())].text;
    if (text.size() > 300) continue;
    for (std::size_t changes = 1 + below(3); changes > 0; --changes) {
      const std::size_t at = below(text.size() + 1);
      const char octet = kPieces[below(kPieces.size())];
      if (below(3) == 0 && at < text.size()) {
        text.erase(at, 1);
      } else if (below(2) == 0 && at < text.size()) {
        text[at] = octet;
      } else {
        text.insert(at, 1, octet);
      }
    }
    const Sender sender = Parse("FROM:" + text);
    if (sender.kind != SenderKind::kDomain) {
      EXPECT_EQ(sender.domain, "") << text;
      continue;
    }
    ++domains;
    EXPECT_EQ(NormalizeDomain(sender.domain), sender.domain) << text;
    EXPECT_TRUE(std::none_of(sender.domain.begin(), sender.domain.end(), [](char c) {
      return c <= ' ' || c >= 0x7F || (c >= 'A' && c <= 'Z') || c == '@' || c == '>';
    })) << text;
  }
  EXPECT_GT(domains, 1000);
}

TEST(BareSender, ReadsWhatPostfixHandsOver) {
  const std::vector<Row> rows = {
      {"", kNull},
      {"a@example.com", Domain("example.com")},
      {"A@EXAMPLE.COM.", Domain("example.com")},
      {"\"a b\"@example.com", Domain("example.com")},
      {"a b@example.com", Domain("example.com")},  // its quotes are gone
      {"a@b@example.com", Domain("example.com")},
      {"a\"b@example.com", Domain("example.com")},
      {"@example.com", Domain("example.com")},
      {"a@m\xC3\xBCnchen.example", Domain("xn--mnchen-3ya.example")},
      {"postmaster", kNoDomain},
      {"a@[192.0.2.1]", kNoDomain},
      {"post master", kNoDomain},
      {"\"a b\"@[192.0.2.1]", kNoDomain},
      {"a b@[IPv6:::1]", kNoDomain},
      {"@a.example:b@c.example", Domain("c.example")},
      {"a@[192.0.2.1", kMalformed},
      {"a@[192.0.2.1]b", kMalformed},
      {"a@b@[192.0.2.1]", kNoDomain},
      {"\"a@partner.example\"", kMalformed},
      {"\"\"", kMalformed},
      {"a%partner.example", kMalformed},
      {"<>", kMalformed},
      {"<a@example.com>", kMalformed},
      {"a@example.com ", kMalformed},
      {"a@example.com SIZE=1", kMalformed},
      {"a@[partner.example]", kMalformed},
      {"a@", kMalformed},
      {"a\n@example.com", kMalformed},
      {"a\0@example.com"s, kMalformed},
  };
  for (const Row& row : rows) EXPECT_EQ(ParseBareSender(row.text), row.expected) << row.text;
}

// The backend's answer to a sender that was let through must not be that nobody can read it.
TEST(BareSender, AgreesWithThePathThatItCameFrom) {
  int compared = 0;
  for (const Row& row : Paths()) {
    if (!row.text.starts_with('<') || row.expected.kind == SenderKind::kMalformed) continue;
    const std::string mailbox = row.text.substr(1, row.text.size() - 2);
    EXPECT_EQ(ParseBareSender(mailbox).domain, row.expected.domain) << row.text;
    // As Postfix makes its internal form.
    std::string internal;
    for (std::size_t i = 0; i < mailbox.size(); ++i) {
      if (mailbox[i] == '"') continue;
      if (mailbox[i] == '\\') ++i;
      internal.push_back(mailbox[i]);
    }
    EXPECT_EQ(ParseBareSender(internal), row.expected) << row.text << " as " << internal;
    ++compared;
  }
  EXPECT_GT(compared, 50);
}

// What a backend could read once it has dropped the outer domain, as "a.example b.example". "?" in
// front: with something that is no domain. "torn ": with quotes, blanks or comments.
std::string InnerOf(const Sender& sender) {
  std::string text = sender.inner_torn ? "torn " : sender.inner_unsure ? "?" : "";
  for (const std::string& domain : sender.inner_domains) {
    text += (text.empty() || text.back() == '?' || text.back() == ' ' ? "" : " ") + domain;
  }
  return sender.kind == SenderKind::kMalformed ? "malformed" : text;
}

struct InnerRow {
  std::string local;  // as it stands in the path
  std::string expected;
};

std::vector<InnerRow> InnerRows() {
  std::string hops15;
  for (int i = 0; i < 15; ++i) hops15 += "%x";
  return {
      {"a", ""},
      {"a.b+c=partner.example", ""},
      {"\"a b\"", ""},
      {"\"a (partner.example)\"", ""},
      {"m\xC3\xBCller", ""},
      {"a%partner.example", "partner.example"},
      {"a%Partner.EXAMPLE.", "partner.example"},
      {"partner.example!a", "partner.example"},
      {"\"a@partner.example\"", "partner.example"},
      {"\"a\\@partner.example\"", "partner.example"},
      {"\"a%partner\\.example\"", "partner.example"},
      {"a%partner.example%localhost", "partner.example localhost"},
      {"localhost!partner.example!a", "localhost partner.example"},
      {"relay.example!a%partner.example", "relay.example partner.example"},
      {"\"@relay.example:a@partner.example\"", "torn relay.example a partner.example"},
      {"a+x=y%partner.example", "partner.example"},
      {"partner.example%a", "a"},
      {"a!partner.example", "a"},
      {"a%m\xC3\xBCnchen.example", "xn--mnchen-3ya.example"},
      {"a%partner\xE3\x80\x82"
       "example",
       "partner.example"},  // ideographic full stop
      // What cannot be told
      {"a%", "?"},
      {"!a", "?"},
      {"100%+x", "?"},
      {"a%partner..example", "?"},
      {"a%xn--partner-.example", "?"},
      // Quoted strings that a reader may crack open: a blank, a comment, a literal, a string
      {"\"a@ partner.example\"", "torn a partner.example"},
      {"\"a@(c)partner.example\"", "torn a c partner.example"},
      {"\"a@partner.example@[127.0.0.1]\"", "torn a partner.example 127.0.0.1"},
      {"\"a@\\\"partner\\\".example\"", "torn a partner"},
      {"\"a\\\\@partner.example\"", "torn a partner.example"},
      {"\"<a@partner.example>\"", "torn a partner.example"},
      // The bound
      {"a" + hops15 + "%partner.example", "x x x x x x x x x x x x x x x partner.example"},
      {"a%x" + hops15 + "%partner.example", "malformed"},
  };
}

TEST(InnerDomains, TableOfLocalParts) {
  for (const InnerRow& row : InnerRows()) {
    for (const char* domain : {"localhost", "[127.0.0.1]", "example.com"}) {
      EXPECT_EQ(InnerOf(Parse("FROM:<" + row.local + "@" + domain + ">")), row.expected)
          << row.local << "@" << domain;
    }
    EXPECT_EQ(InnerOf(Parse("FROM:<@relay.example:" + row.local + "@localhost>")), row.expected)
        << row.local;
    if (row.local.starts_with('"')) continue;
    EXPECT_EQ(InnerOf(Parse("FROM:" + row.local + "@localhost SIZE=1")), row.expected) << row.local;
  }
}

// Whatever Postfix makes of the quotes, no domain is lost on the way to the policy service.
TEST(InnerDomains, ABareSenderHasThoseOfThePath) {
  for (const InnerRow& row : InnerRows()) {
    const Sender path = Parse("FROM:<" + row.local + "@localhost>");
    EXPECT_EQ(InnerOf(ParseBareSender(row.local + "@localhost")), row.expected) << row.local;
    std::string internal;
    for (std::size_t i = 0; i < row.local.size(); ++i) {
      if (row.local[i] == '"') continue;
      if (row.local[i] == '\\') ++i;
      internal.push_back(row.local[i]);
    }
    EXPECT_EQ(InnerOf(ParseBareSender(internal + "@localhost")), row.expected)
        << row.local << " as " << internal;
  }
}

TEST(NormalizeDomain, LowerCaseAndALabels) {
  EXPECT_EQ(NormalizeDomain("Example.COM"), "example.com");
  EXPECT_EQ(NormalizeDomain("example.com."), "example.com");
  EXPECT_EQ(NormalizeDomain("_dmarc.example"), "_dmarc.example");
  EXPECT_EQ(NormalizeDomain("b\xC3\xBC"
                            "cher.example"),
            "xn--bcher-kva.example");
  EXPECT_EQ(NormalizeDomain("XN--BCHER-KVA.example"), "xn--bcher-kva.example");
}

TEST(NormalizeDomain, NothingElse) {
  for (const std::string& domain :
       {""s, "."s, ".example.com"s, "a..b"s, "a b"s, "*.example.com"s, "a@b"s, "a/b"s, "a\0b"s,
        "\xC3\xBC\0.example"s, "[192.0.2.1]"s, "example.com.."s, std::string(254, 'a'),
        std::string(64, 'a') + ".example"}) {
    EXPECT_EQ(NormalizeDomain(domain), std::nullopt) << domain;
  }
}

}  // namespace
}  // namespace ringpost
