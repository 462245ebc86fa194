// SPDX-License-Identifier: GPL-3.0-or-later
//
// The facts of a presented certificate, as the policies and the log get them.
#include "ringpost/x509/peer_certificate.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "authority.h"
#include "ringpost/base/der.h"
#include "ringpost/x509/x509.h"

namespace ringpost::test {
namespace {

using std::string_literals::operator""s;

const Party& Root() {
  static const Party root = Issue(CertificateSpec::Ca("Root"), nullptr);
  return root;
}

PeerCertificate Facts(const CertificateSpec& spec) { return Presented({Issue(spec, &Root())}); }

TEST(PeerCertificateFacts, Usual) {
  const Party leaf = Issue({}, &Root());
  const PeerCertificate facts = Presented({leaf, Root()});
  EXPECT_EQ(facts.chain, (std::vector<std::string>{leaf.der, Root().der}));
  EXPECT_EQ(facts.subject, "CN=mail.contoso.example, O=Contoso");
  EXPECT_EQ(facts.issuer, "CN=Root, O=Contoso");
  EXPECT_EQ(facts.common_name, "mail.contoso.example");
  EXPECT_EQ(facts.names, std::vector<std::string>{"mail.contoso.example"});
  EXPECT_EQ(facts.not_before, kNow - 86400);
  EXPECT_EQ(facts.not_after, kNow + 86400);
  EXPECT_TRUE(facts.client_auth);
  EXPECT_FALSE(facts.server_auth);
}

TEST(PeerCertificateFacts, MemoryCountsAll) {
  PeerCertificate facts;
  const std::size_t empty = facts.MemoryOctets();
  EXPECT_GE(empty, sizeof(PeerCertificate));
  facts.chain.emplace_back(3000, 'x');
  facts.names.assign(100, std::string(50, 'n'));
  facts.addresses.assign(100, std::string(16, 'a'));
  facts.subject.assign(200, 's');
  const std::size_t contents = 3000 + 100 * (50 + 16 + 2 * sizeof(std::string)) + 200;
  EXPECT_GT(facts.MemoryOctets(), empty + contents);
  EXPECT_LT(facts.MemoryOctets(), empty + contents * 3 / 2);
}

// The fingerprints are the ones that openssl prints.
TEST(PeerCertificateFacts, FingerprintsAsOpensslPrintsThem) {
  const Party leaf = Issue({}, &Root());
  const PeerCertificate facts = Presented({leaf});
  const std::string base = TemporaryFolder() + "/fingerprint";
  {
    FILE* const file = std::fopen((base + ".pem").c_str(), "w");
    ASSERT_NE(file, nullptr);
    std::fputs(leaf.pem().c_str(), file);
    std::fclose(file);
  }
  RunCommand("openssl x509 -in '" + base + ".pem' -noout -fingerprint -sha256 | sed 's/.*=//' | " +
             "tr -d '\\n' >'" + base + ".1'");
  RunCommand("openssl x509 -in '" + base + ".pem' -noout -pubkey | openssl pkey -pubin -outform " +
             "DER | openssl dgst -sha256 -c | sed 's/.*= *//' | tr a-f A-F | tr -d '\\n' >'" +
             base + ".2'");
  EXPECT_EQ(FormatFingerprint(facts.certificate), ReadFile(base + ".1"));
  EXPECT_EQ(FormatFingerprint(facts.public_key), ReadFile(base + ".2"));
}

TEST(PeerCertificateFacts, Purposes) {
  struct Case {
    std::vector<std::string> purposes;
    std::optional<std::uint16_t> usage;
    bool client;
    bool server;
  };
  const std::string client(kClientPurpose);
  const std::string server(kServerPurpose);
  for (const Case& one : std::vector<Case>{
           {{client}, kDigitalSignature, true, false},
           {{server}, kDigitalSignature, false, true},
           {{server, client}, kDigitalSignature, true, true},
           {{}, kDigitalSignature, true, true},
           {{"2.5.29.37.0"}, kDigitalSignature, true, true},
           {{"1.3.6.1.5.5.7.3.4"}, kDigitalSignature, false, false},  // mail
           {{client, server}, std::nullopt, true, true},
           {{client, server}, kKeyEncipherment, false, false},
           {{}, kKeyEncipherment, false, false},
       }) {
    CertificateSpec spec;
    spec.purposes = one.purposes;
    spec.usage = one.usage;
    const PeerCertificate facts = Facts(spec);
    EXPECT_EQ(facts.client_auth, one.client);
    EXPECT_EQ(facts.server_auth, one.server);
  }
}

// PROTOCOL 44
TEST(PeerCertificateFacts, NamesThatAreNone) {
  CertificateSpec spec;
  spec.names = {"MAIL.Contoso.Example",
                "mail.contoso.example\0.evil.example"s,
                "a\nb.example",
                "*.contoso.example",
                "*.com",
                "*",
                "m*.contoso.example",
                "a.*.example",
                "*.*.example",
                "contoso..example",
                ".contoso.example",
                "contoso.example.",
                "192.0.2.1",
                "a b.example",
                "",
                "mail.fabrikam.example",
                "\xc3\xa9.example",
                std::string(64, 'a') + ".example",
                "_smtp.contoso.example"};
  EXPECT_EQ(Facts(spec).names,
            (std::vector<std::string>{"mail.contoso.example", "*.contoso.example",
                                      "mail.fabrikam.example", "_smtp.contoso.example"}));
  spec.names.clear();
  EXPECT_TRUE(Facts(spec).names.empty());  // the common name is not one of them
}

TEST(PeerCertificateFacts, Addresses) {
  const std::string v4 = "\xc0\0\2\1"s;
  const std::string v6 = "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"s;
  CertificateSpec spec;
  spec.addresses = {v6, "", "192.0.2.1", v4 + "\xff\xff\xff\0"s, v6 + v6, v4.substr(1), v4};
  EXPECT_EQ(Facts(spec).addresses, (std::vector<std::string>{v6, v4}));
  EXPECT_EQ(Facts(spec).names, std::vector<std::string>{"mail.contoso.example"});
  EXPECT_TRUE(Facts({}).addresses.empty());
  // An address makes no dNSName, and a dNSName no address.
  spec.names.clear();
  EXPECT_FALSE(Facts(spec).has_dns_names);
  spec.addresses.clear();
  spec.names = {"192.0.2.1", v4};
  EXPECT_TRUE(Facts(spec).addresses.empty());
}

// As openssl makes it.
TEST(PeerCertificateFacts, AddressesByOpenssl) {
  const std::string base = TemporaryFolder() + "/addresses";
  RunCommand("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout '" +
             base + ".key' -subj /CN=x -days 2 -outform DER -out '" + base +
             ".der' -addext 'subjectAltName=DNS:mx.example,IP:192.0.2.1,IP:2001:db8::1' "
             "2>/dev/null");
  Party leaf;
  leaf.der = ReadFile(base + ".der");
  const PeerCertificate facts = Presented({leaf});
  EXPECT_EQ(facts.names, std::vector<std::string>{"mx.example"});
  EXPECT_EQ(facts.addresses,
            (std::vector<std::string>{"\xc0\0\2\1"s, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"s}));
}

TEST(PeerCertificateFacts, CommonName) {
  const auto common_name = [](const std::vector<std::string>& values) {
    std::vector<std::pair<std::string, std::string>> attributes;
    for (const std::string& value : values) {
      attributes.emplace_back("2.5.4.3", value);
    }
    CertificateSpec spec;
    spec.subject = DerName(attributes);
    return Facts(spec).common_name;
  };
  EXPECT_EQ(common_name({"mail.contoso.example"}), "mail.contoso.example");
  EXPECT_EQ(common_name({"Gr\xc3\xbc\xc3\x9f"}), "Gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(common_name({}), "");
  EXPECT_EQ(common_name({"a.example", "b.example"}), "");
  EXPECT_EQ(common_name({"mail.contoso.example\0.evil"s}), "");
  EXPECT_EQ(common_name({"a\r\nb"}), "");
  EXPECT_EQ(common_name({"a\x7f"}), "");
  EXPECT_EQ(common_name({"a\xc2\x85"}), "");      // a control character of Unicode
  EXPECT_EQ(common_name({"a\xff"}), "");          // not UTF-8
  EXPECT_EQ(common_name({"a\xc0\xaf"}), "");      // an overlong slash
  EXPECT_EQ(common_name({"a\xed\xa0\x80"}), "");  // a surrogate
  EXPECT_EQ(common_name({std::string(256, 'a')}), "");
}

TEST(PeerCertificateFacts, BmpString) {
  CertificateSpec spec;
  const auto named = [&](const std::string& octets) {
    spec.subject =
        Der(kDerSequence,
            Der(kDerSet, Der(kDerSequence, DerObjectId("2.5.4.3") + Der(kDerBmpString, octets))));
    return Facts(spec).common_name;
  };
  EXPECT_EQ(named("\0m\0x"s), "mx");
  EXPECT_EQ(named("\0m\0\0\0x"s), "");
  EXPECT_EQ(named("\x20\xac"s), "\xe2\x82\xac");
}

TEST(PeerCertificateFacts, HostileSubject) {
  const auto text = [](const std::vector<std::pair<std::string, std::string>>& attributes) {
    return X509NameText(DerName(attributes), 256);
  };
  EXPECT_EQ(text({{"2.5.4.3", "x, O=Contoso"}}), "CN=x\\, O\\=Contoso");
  EXPECT_EQ(text({{"2.5.4.3", "a\r\nb\0c\x1b[31m\xff"s}}), "CN=a\\0D\\0Ab\\00c\\1B[31m\\FF");
  EXPECT_EQ(text({{"2.5.4.3", " #\"+;<>\\ "}}), "CN=\\ #\\\"\\+\\;\\<\\>\\\\\\ ");
  EXPECT_EQ(text({{"1.2.3.4", "x"}, {"0.9.2342.19200300.100.1.25", "example"}}),
            "DC=example, 1.2.3.4=x");
  EXPECT_EQ(text({}), "");
  const std::string cut = text({{"2.5.4.10", "O"}, {"2.5.4.3", std::string(5000, 'a')}});
  EXPECT_EQ(cut, "CN=" + std::string(250, 'a') + "...");
  EXPECT_EQ(text({{"2.5.4.3", std::string(253, 'a')}}).size(), 256U);
  EXPECT_EQ(X509NameText("\x30\x03\x31\x01\x00"s, 256), "(malformed)");
}

TEST(PeerCertificateFacts, MalformedLeafHasNoNamesAndNoPurpose) {
  const PeerCertificate facts = *[] {
    Party party = Issue({}, &Root());
    party.der += 'x';
    return std::make_unique<PeerCertificate>(Presented({party}));
  }();
  EXPECT_TRUE(facts.names.empty());
  EXPECT_FALSE(facts.client_auth);
  EXPECT_FALSE(facts.server_auth);
  EXPECT_NE(facts.certificate, Fingerprint{});
}

TEST(DerReaderTest, Lengths) {
  const auto reads = [](const std::string& octets) {
    DerReader reader(octets);
    reader.Next();
    return reader.finished();
  };
  EXPECT_TRUE(reads("\x04\x01x"));
  EXPECT_FALSE(reads("\x04\x02x"));
  EXPECT_FALSE(reads("\x04\x80x\0\0"s));  // indefinite
  EXPECT_FALSE(reads("\x04\x81\x01x"));   // longer than needed
  EXPECT_FALSE(reads("\x04\x82\0\x80"s + std::string(128, 'x')));
  EXPECT_TRUE(reads("\x04\x81\x80" + std::string(128, 'x')));
  EXPECT_FALSE(reads("\x04\x85\1\0\0\0\0"s));
  EXPECT_FALSE(reads("\x04\x84\xff\xff\xff\xff"));
  EXPECT_FALSE(reads("\x1f\x01x"));  // tag of several octets
  EXPECT_FALSE(reads("\x04"));
}

TEST(DerReaderTest, Times) {
  const auto time = [](unsigned tag, const std::string& text) {
    return DerTime({tag, text, text}).value_or(-1);
  };
  EXPECT_EQ(time(kDerUtcTime, "700101000000Z"), 0);
  EXPECT_EQ(time(kDerUtcTime, "270115080000Z"), kNow);
  EXPECT_EQ(time(kDerUtcTime, "491231235959Z"), 2524607999);
  EXPECT_EQ(time(kDerGeneralizedTime, "20500101000000Z"), 2524608000);
  EXPECT_EQ(time(kDerGeneralizedTime, "99991231235959Z"), 253402300799);
  EXPECT_EQ(time(kDerUtcTime, "240229000000Z"), 1709164800);
  for (const std::string text :
       {"250229000000Z", "251301000000Z", "250100000000Z", "250101240000Z", "250101006000Z",
        "250101000060Z", "2501010000Z", "250101000000+0100", "25010100000 Z", "2501010000000",
        "-50101000000Z"}) {
    EXPECT_EQ(time(kDerUtcTime, text), -1) << text;
  }
}

}  // namespace
}  // namespace ringpost::test
