// SPDX-License-Identifier: GPL-3.0-or-later
//
// OCSP responses: read, and believed only if the certificate's issuer stands behind them.
#include "ocsp_response.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "authority.h"
#include "ringpost/base/der.h"
#include "ringpost/x509/signature.h"

namespace ringpost::test {
namespace {

constexpr std::string_view kUnknownExtension = "1.2.3.4";

class Ocsp : public testing::Test {
 protected:
  // What a response says of `leaf_`.
  OcspAnswer Answer(const std::string& der, std::int64_t now = kNow) const {
    OcspResponse response(der);
    const auto leaf = ReadX509(leaf_.der);
    const auto issuer = ReadX509(ca_.der);
    const OcspAnswer answer = response.About(*leaf, *issuer, now, [this](const X509View& signer) {
      EXPECT_NE(signer.der, leaf_.der);
      return signer.serial == revoked_signer_;
    });
    EXPECT_EQ(answer.reason.empty(), answer.status != OcspAnswer::Status::kNone) << answer.reason;
    return answer;
  }
  // The same, in a word or the reason.
  std::string Say(const std::string& der, std::int64_t now = kNow) const {
    const OcspAnswer answer = Answer(der, now);
    switch (answer.status) {
      case OcspAnswer::Status::kGood:
        return "good";
      case OcspAnswer::Status::kRevoked:
        return "revoked";
      case OcspAnswer::Status::kNone:
        break;
    }
    return answer.reason;
  }
  [[nodiscard]] std::string Made(const OcspSpec& spec) const { return IssueOcsp(spec, leaf_, ca_); }
  // Signed by `signer`, whose certificate is sent along.
  std::string SayBy(const Party& signer, OcspResponder responder = OcspResponder::kByName) const {
    return Say(Made({.responder = responder, .signer = &signer, .certificates = {signer}}));
  }
  void ExpectReason(const std::string& said, std::string_view words) const {
    EXPECT_NE(said.find(words), std::string::npos) << said;
  }

  Party ca_ = Issue(CertificateSpec::Ca("Issuing CA"), nullptr);
  Party leaf_ = Issue({}, &ca_);
  std::string revoked_signer_;
};

TEST_F(Ocsp, ByTheIssuerItself) {
  for (const OcspHash hash : {OcspHash::kSha1, OcspHash::kSha256}) {
    for (const OcspResponder responder : {OcspResponder::kByName, OcspResponder::kByKey}) {
      OcspSpec spec{.hash = hash, .responder = responder};
      const OcspAnswer good = Answer(Made(spec));
      EXPECT_EQ(good.status, OcspAnswer::Status::kGood) << good.reason;
      EXPECT_EQ(good.fresh_until, kNow + 3600);
      spec.status = OcspStatus::kRevoked;
      EXPECT_EQ(Say(Made(spec)), "revoked");
      spec.status = OcspStatus::kUnknown;
      ExpectReason(Say(Made(spec)), "does not know the certificate");
    }
  }
}

TEST_F(Ocsp, EachKindOfKey) {
  for (const auto& key : {Key::Ecc(32), Key::Ecc(48), Key::Ecc(66), Key::Rsa()}) {
    CertificateSpec spec = CertificateSpec::Ca("Issuing CA");
    spec.key = key;
    ca_ = Issue(spec, nullptr);
    leaf_ = Issue({}, &ca_);
    EXPECT_EQ(Say(Made({})), "good");
    ExpectReason(Say(Made({.scheme = Scheme::kClaimsSha1})),
                 "not signed in a way that is accepted");
  }
  EXPECT_EQ(Say(Made({.scheme = Scheme::kPss})), "good");
}

TEST_F(Ocsp, Times) {
  const std::string usual = Made({});
  EXPECT_EQ(Say(usual, kNow - 3600), "good");
  ExpectReason(Say(usual, kNow - 3601), "begins to count only on 20");
  EXPECT_EQ(Say(usual, kNow + 3599), "good");
  ExpectReason(Say(usual, kNow + 3600), "out of date since 20");
  const std::string revoked = Made({.status = OcspStatus::kRevoked});
  for (const std::int64_t now : {kNow - 3601, kNow + 3600}) {  // as with lists
    EXPECT_EQ(Say(revoked, now), "revoked");
  }
  const std::string endless = Made({.next_update = std::nullopt});
  const std::int64_t last = kNow - 3600 + std::int64_t{7} * 86400;
  EXPECT_EQ(Answer(endless).fresh_until, last);
  EXPECT_EQ(Say(endless, last - 1), "good");
  ExpectReason(Say(endless, last), "does not say when the next one comes");
}

TEST_F(Ocsp, OfAnother) {
  const auto about = [this](const Party& certificate, const Party& issuer) {
    return Say(IssueOcsp({.signer = &ca_}, certificate, issuer));
  };
  EXPECT_EQ(about(leaf_, ca_), "good");
  ExpectReason(about(Issue({}, &ca_), ca_), "about another certificate");
  // The same number of a CA with another name, and with another key.
  CertificateSpec spec = CertificateSpec::Ca("Other CA");
  spec.key = ca_.key;
  ExpectReason(about(leaf_, Issue(spec, nullptr)), "about another certificate");
  ExpectReason(about(leaf_, Issue(CertificateSpec::Ca("Issuing CA"), nullptr)),
               "about another certificate");
  ExpectReason(Say(Made({.hash = OcspHash::kNone})), "about another certificate");
  // Written with a zero in front it is the same number.
  Party zero = leaf_;
  zero.serial.insert(0, 1, '\0');
  EXPECT_EQ(about(zero, ca_), "good");
}

TEST_F(Ocsp, SeveralAnswers) {
  const Party other = Issue({}, &ca_);
  OcspSpec spec;
  spec.before = OcspSingle({.status = OcspStatus::kRevoked}, other, ca_);
  EXPECT_EQ(Say(Made(spec)), "good");
  spec.before = OcspSingle({.status = OcspStatus::kRevoked}, leaf_, ca_);
  EXPECT_EQ(Say(Made(spec)), "revoked");
  spec.before = OcspSingle({.next_update = kNow}, leaf_, ca_);
  EXPECT_EQ(Say(Made(spec)), "good");
  spec.status = OcspStatus::kRevoked;
  spec.before = OcspSingle({.hash = OcspHash::kSha256}, leaf_, ca_);
  EXPECT_EQ(Say(Made(spec)), "revoked");
}

TEST_F(Ocsp, Delegated) {
  for (const OcspResponder responder : {OcspResponder::kByName, OcspResponder::kByKey}) {
    EXPECT_EQ(SayBy(Issue(CertificateSpec::OcspSigner(), &ca_), responder), "good");
  }
  const Party signer = Issue(CertificateSpec::OcspSigner(), &ca_);
  // Among others, and not at all.
  const Party other = Issue(CertificateSpec::OcspSigner(), &ca_);
  EXPECT_EQ(Say(Made({.signer = &signer, .certificates = {ca_, other, leaf_, signer}})), "good");
  ExpectReason(Say(Made({.signer = &signer, .certificates = {ca_}})),
               "is signed neither by the CA");
  ExpectReason(Say(Made({.signer = &signer})), "is signed neither by the CA");
  // What lies far behind is not looked for.
  ExpectReason(Say(Made({.signer = &signer, .certificates = {ca_, ca_, ca_, ca_, signer}})),
               "is signed neither by the CA");
}

TEST_F(Ocsp, WhoMayNotSign) {
  const auto with = [](auto change) {
    CertificateSpec spec = CertificateSpec::OcspSigner();
    change(spec);
    return spec;
  };
  using Spec = CertificateSpec;
  // No purpose, another, and any: only this one will do.
  for (const std::string_view purpose :
       {std::string_view(), kServerPurpose, std::string_view("2.5.29.37.0")}) {
    const auto spec = with([&](Spec& changed) {
      changed.purposes.clear();
      if (!purpose.empty()) changed.purposes.emplace_back(purpose);
    });
    ExpectReason(SayBy(Issue(spec, &ca_)), "not for signing OCSP responses");
  }
  ExpectReason(SayBy(Issue(with([](Spec& spec) { spec.usage = kKeyEncipherment; }), &ca_)),
               "not for signing OCSP responses");
  ExpectReason(SayBy(leaf_), "not for signing OCSP responses");
  ExpectReason(SayBy(Issue(with([](Spec& spec) { spec.not_after = kNow - 1; }), &ca_)),
               "its signer's certificate expired on");
  ExpectReason(SayBy(Issue(with([](Spec& spec) { spec.not_before = kNow + 1; }), &ca_)),
               "its signer's certificate cannot be used");
  ExpectReason(SayBy(Issue(with([](Spec& spec) {
                             spec.extensions = Extension(std::string(kUnknownExtension), true, "x");
                           }),
                           &ca_)),
               "its signer's certificate cannot be used");
  // Of another CA: with another name, of the same name, and one that the CA's CA made.
  const Party stranger = Issue(CertificateSpec::Ca("Other CA"), nullptr);
  const Party namesake = Issue(CertificateSpec::Ca("Issuing CA"), nullptr);
  ExpectReason(SayBy(Issue(CertificateSpec::OcspSigner(), &stranger)), "is signed neither by the");
  ExpectReason(SayBy(Issue(CertificateSpec::OcspSigner(), &namesake)), "is signed neither by the");
  ExpectReason(SayBy(Issue(CertificateSpec::OcspSigner(), nullptr)), "is signed neither by the");
  ExpectReason(SayBy(namesake), "its signature is wrong");
  const Party signer = Issue(CertificateSpec::OcspSigner(), &ca_);
  EXPECT_EQ(SayBy(signer), "good");
  // With the right certificate, and not its key.
  Party thief = signer;
  thief.key = Key::Ecc();
  ExpectReason(SayBy(thief), "its signature is wrong");
  revoked_signer_ = signer.serial;
  ExpectReason(SayBy(signer), "its signer's certificate has been revoked");
}

TEST_F(Ocsp, Extensions) {
  const std::string plain = Extension(std::string(kUnknownExtension), false, "x");
  const std::string critical = Extension(std::string(kUnknownExtension), true, "x");
  EXPECT_EQ(Say(Made({.single_extensions = plain})), "good");
  EXPECT_EQ(Say(Made({.extensions = plain})), "good");
  ExpectReason(Say(Made({.single_extensions = critical})), "critical extension");
  ExpectReason(Say(Made({.extensions = plain + critical})), "(1.2.3.4)");
  const std::string long_one =
      Der(kDerSequence, Der(kDerObjectId, std::string(2000, 'x')) + Der(kDerBoolean, "\xff") +
                            Der(kDerOctetString, ""));
  ExpectReason(Say(Made({.extensions = long_one})), "(a long one)");
}

TEST_F(Ocsp, NoAnswer) {
  ExpectReason(Say(Made({.response_status = 3})), "gave no answer (status 3)");
  for (const std::string& garbage :
       {std::string("hello"), std::string("\x30\x00", 2), std::string("\x30\x80\x00\x00", 4),
        std::string(5000, '\0'), std::string(18000, '\xff'), leaf_.der, Made({}) + "x"}) {
    ExpectReason(Say(garbage), "no OCSP response that can be read");
  }
}

// Cut anywhere, and with any octet another.
TEST_F(Ocsp, Broken) {
  const Party signer = Issue(CertificateSpec::OcspSigner(), &ca_);
  const std::string der = Made({.extensions = Extension(std::string(kUnknownExtension), false, "x"),
                                .signer = &signer,
                                .certificates = {signer}});
  EXPECT_EQ(Say(der), "good");
  for (std::size_t size = 0; size < der.size(); ++size) {
    ExpectReason(Say(der.substr(0, size)), "no OCSP response that can be read");
  }
  const std::string wrong = "\x01\x80\xff";
  for (std::size_t at = 0; at < der.size(); ++at) {
    std::string other = der;
    other[at] = static_cast<char>(other[at] ^ wrong[at % wrong.size()]);
    const std::string said = Say(other);
    // Nothing signs the status in front and the certificate's place behind.
    EXPECT_NE(said, "revoked") << at;
    EXPECT_NE(said, "good") << at;
  }
}

// However often it is asked.
TEST_F(Ocsp, FewSignaturesAreChecked) {
  const std::string der = Made({});
  OcspResponse response(der);
  const auto leaf = ReadX509(leaf_.der);
  const auto issuer = ReadX509(ca_.der);
  const auto ask = [&] {
    return response.About(*leaf, *issuer, kNow, [](const X509View&) { return false; });
  };
  for (int i = 0; i < OcspResponse::kSignaturesMax; ++i) {
    EXPECT_EQ(ask().status, OcspAnswer::Status::kGood);
  }
  EXPECT_EQ(ask().status, OcspAnswer::Status::kNone);
  ExpectReason(ask().reason, "too many signatures");
}

TEST(OcspHashes, OfNothing) {
  EXPECT_EQ(Sha1Of({})[0], 0xda);
  EXPECT_EQ(Sha256Of({})[0], 0xe3);
}

}  // namespace
}  // namespace ringpost::test
