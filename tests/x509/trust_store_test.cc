// SPDX-License-Identifier: GPL-3.0-or-later
//
// PROTOCOL 44 and the certificate attacks: which chains a store believes, and why not.
#include "ringpost/x509/trust_store.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "authority.h"
#include "ringpost/base/der.h"
#include "ringpost/x509/x509.h"
#include "without_dns_constraints.h"

namespace ringpost::test {
namespace {

std::unique_ptr<TrustStore> Store(const std::vector<Party>& anchors, TrustOptions options = {}) {
  std::string pem;
  for (const Party& anchor : anchors) {
    pem += anchor.pem();
  }
  options.ca_files = {{"ca.pem", pem}};
  auto store = TrustStore::Load(options, kNow);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? std::move(*store) : nullptr;
}

class Trust : public testing::Test {
 protected:
  const LibraryClock clock_;
  // What the store says of a chain, twice: the answer never depends on what it was shown before.
  PolicyFault Fault(const std::vector<Party>& chain, std::int64_t now = kNow) {
    const PeerCertificate presented = Presented(chain);
    const PolicyFault fault = store_->Verify(presented, now);
    EXPECT_EQ(store_->Verify(presented, now), fault);
    return fault;
  }
  Party Leaf(const Party& issuer) { return Issue({}, &issuer); }
  Party Intermediate(const Party& issuer) {
    return Issue(CertificateSpec::Ca("Issuing CA"), &issuer);
  }

  Party root_ = Issue(CertificateSpec::Ca("Root"), nullptr);
  std::unique_ptr<TrustStore> store_ = Store({root_});
};

TEST_F(Trust, GoodChains) {
  EXPECT_EQ(Fault({Leaf(root_)}), PolicyFault::kNone);
  const Party intermediate = Intermediate(root_);
  const Party leaf = Leaf(intermediate);
  EXPECT_EQ(Fault({leaf, intermediate}), PolicyFault::kNone);
  EXPECT_EQ(Fault({leaf, intermediate, root_}), PolicyFault::kNone);
  EXPECT_EQ(store_->warnings().size(), 0U);
}

TEST_F(Trust, OrderAndStrangersDoNotMatter) {
  const Party upper = Issue(CertificateSpec::Ca("Upper"), &root_);
  const Party lower = Issue(CertificateSpec::Ca("Lower"), &upper);
  const Party leaf = Leaf(lower);
  const Party stranger = Issue(CertificateSpec::Ca("Stranger"), nullptr);
  Party garbage;
  garbage.der = "no certificate";
  EXPECT_EQ(Fault({leaf, lower, upper}), PolicyFault::kNone);
  EXPECT_EQ(Fault({leaf, root_, upper, stranger, garbage, lower}), PolicyFault::kNone);
  EXPECT_EQ(Fault({leaf, upper}), PolicyFault::kUntrusted);  // one is missing
  EXPECT_EQ(Fault({leaf, lower}), PolicyFault::kUntrusted);
}

TEST_F(Trust, Untrusted) {
  const Party other = Issue(CertificateSpec::Ca("Other"), nullptr);
  EXPECT_EQ(Fault({Leaf(other)}), PolicyFault::kUntrusted);
  EXPECT_EQ(Fault({Leaf(other), other}), PolicyFault::kUntrusted);
  // With the names of the real ones, but another key.
  const Party forged_root = Issue(CertificateSpec::Ca("Root"), nullptr);
  EXPECT_EQ(Fault({Leaf(forged_root)}), PolicyFault::kUntrusted);
  EXPECT_EQ(Fault({Leaf(forged_root), forged_root}), PolicyFault::kUntrusted);
  const Party forged = Intermediate(forged_root);
  EXPECT_EQ(Fault({Leaf(forged), forged}), PolicyFault::kUntrusted);
  EXPECT_EQ(Fault({Leaf(forged), forged, forged_root}), PolicyFault::kUntrusted);
  EXPECT_EQ(Fault({Leaf(forged), forged, root_}), PolicyFault::kUntrusted);
}

TEST_F(Trust, SelfSigned) {
  EXPECT_EQ(Fault({Issue({}, nullptr)}), PolicyFault::kSelfSigned);
  const Party forged_root = Issue(CertificateSpec::Ca("Root"), nullptr);
  EXPECT_EQ(Fault({forged_root}), PolicyFault::kSelfSigned);
}

TEST_F(Trust, ChangedInOneBit) {
  const Party leaf = Leaf(root_);
  for (const std::size_t from_end : {5U, 40U}) {  // in the signature
    Party changed = leaf;
    changed.der[changed.der.size() - from_end] ^= 1;
    EXPECT_EQ(Fault({changed}), PolicyFault::kUntrusted);
  }
  Party changed = leaf;
  changed.der[changed.der.find("mail.contoso")] ^= 1;
  EXPECT_EQ(Fault({changed}), PolicyFault::kUntrusted);
}

TEST_F(Trust, Dates) {
  CertificateSpec spec;
  spec.not_after = kNow - 1;
  EXPECT_EQ(Fault({Issue(spec, &root_)}), PolicyFault::kExpired);
  spec.not_after = kNow;
  EXPECT_EQ(Fault({Issue(spec, &root_)}), PolicyFault::kNone);
  spec.not_after = kNow + 86400;
  spec.not_before = kNow + 1;
  EXPECT_EQ(Fault({Issue(spec, &root_)}), PolicyFault::kNotYetValid);
  spec.not_before = kNow;
  EXPECT_EQ(Fault({Issue(spec, &root_)}), PolicyFault::kNone);
  EXPECT_EQ(Fault({Leaf(root_)}, kNow + 2 * 86400), PolicyFault::kExpired);
}

TEST_F(Trust, DatesOfIntermediateAndRoot) {
  CertificateSpec spec = CertificateSpec::Ca("Issuing CA");
  spec.not_after = kNow - 1;
  const Party expired = Issue(spec, &root_);
  EXPECT_EQ(Fault({Leaf(expired), expired}), PolicyFault::kExpired);
  spec.not_after = kNow + 5;
  spec.not_before = kNow + 1;
  const Party early = Issue(spec, &root_);
  EXPECT_EQ(Fault({Leaf(early), early}), PolicyFault::kNotYetValid);
  // Issued again with the same key: one good path is enough, in either order.
  spec.not_before = kNow - 5;
  spec.key = early.key;
  const Party again = Issue(spec, &root_);
  EXPECT_EQ(Fault({Leaf(early), early, again}), PolicyFault::kNone);
  EXPECT_EQ(Fault({Leaf(early), again, early}), PolicyFault::kNone);

  spec = CertificateSpec::Ca("Old root");
  spec.not_after = kNow - 1;
  const Party old_root = Issue(spec, nullptr);
  store_ = Store({old_root});
  EXPECT_EQ(store_->warnings().size(), 1U);
  EXPECT_EQ(Fault({Leaf(old_root)}), PolicyFault::kExpired);
}

TEST_F(Trust, IntermediatesThatMayNotSign) {
  const auto with = [&](const auto& change) {
    CertificateSpec spec = CertificateSpec::Ca("Issuing CA");
    change(spec);
    const Party intermediate = Issue(spec, &root_);
    return Fault({Leaf(intermediate), intermediate});
  };
  EXPECT_EQ(with([](CertificateSpec&) {}), PolicyFault::kNone);
  EXPECT_EQ(with([](CertificateSpec& spec) { spec.usage.reset(); }), PolicyFault::kNone);
  EXPECT_EQ(with([](CertificateSpec& spec) { spec.ca = false; }), PolicyFault::kInvalidCa);
  EXPECT_EQ(with([](CertificateSpec& spec) { spec.ca.reset(); }), PolicyFault::kInvalidCa);
  EXPECT_EQ(with([](CertificateSpec& spec) { spec.version = 1; }), PolicyFault::kInvalidCa);
  EXPECT_EQ(with([](CertificateSpec& spec) { spec.usage = kDigitalSignature; }),
            PolicyFault::kInvalidCa);
  EXPECT_EQ(with([](CertificateSpec& spec) { spec.extensions = Extension("1.2.3", true, "x"); }),
            PolicyFault::kInvalidCa);
  EXPECT_EQ(with([](CertificateSpec& spec) {
              spec.extensions = Extension("1.3.6.1.4.1.311.20.2", false, Der(kDerOctetString, "x"));
            }),
            PolicyFault::kNone);
  // Certificate policies are often critical there.
  EXPECT_EQ(with([](CertificateSpec& spec) {
              spec.extensions =
                  Extension("2.5.29.36", true, Der(kDerSequence, Der(DerContext(0), "\x01")));
            }),
            PolicyFault::kNone);
  // A leaf as a CA: the oldest trick.
  const Party leaf = Leaf(root_);
  EXPECT_EQ(Fault({Leaf(leaf), leaf}), PolicyFault::kInvalidCa);
}

TEST_F(Trust, PathLength) {
  CertificateSpec spec = CertificateSpec::Ca("Root 0");
  spec.path_length = 0;
  const Party root = Issue(spec, nullptr);
  store_ = Store({root});
  EXPECT_EQ(Fault({Leaf(root)}), PolicyFault::kNone);
  const Party intermediate = Intermediate(root);
  EXPECT_EQ(Fault({Leaf(intermediate), intermediate}), PolicyFault::kInvalidCa);

  spec = CertificateSpec::Ca("Middle");
  spec.path_length = 0;
  store_ = Store({root_});
  const Party middle = Issue(spec, &root_);
  EXPECT_EQ(Fault({Leaf(middle), middle}), PolicyFault::kNone);
  // The lower one promises itself more than it was given.
  spec = CertificateSpec::Ca("Lower");
  spec.path_length = 5;
  const Party lower = Issue(spec, &middle);
  EXPECT_EQ(Fault({Leaf(lower), lower, middle}), PolicyFault::kInvalidCa);
  // Self-issued ones are not counted (RFC 5280 6.1.4 (l)).
  spec = CertificateSpec::Ca("Middle");
  const Party renewed = Issue(spec, &middle);
  EXPECT_EQ(Fault({Leaf(renewed), renewed, middle}), PolicyFault::kNone);
}

TEST_F(Trust, NineCertificates) {
  std::vector<Party> chain = {root_};
  for (int i = 0; i < 8; ++i) {
    chain.insert(chain.begin(),
                 Issue(CertificateSpec::Ca("CA " + std::to_string(i)), &chain.front()));
  }
  chain.insert(chain.begin(), Leaf(chain.front()));
  chain.pop_back();  // the root
  ASSERT_EQ(chain.size(), 9U);
  EXPECT_EQ(Fault(chain), PolicyFault::kNone);
}

// All by one name, each signed by each other: nothing that grows without bound.
TEST_F(Trust, MazeOfOneName) {
  CertificateSpec spec = CertificateSpec::Ca("Root");
  spec.key = Key::Ecc();
  const Party forged_root = Issue(spec, nullptr);
  std::vector<Party> chain = {Leaf(forged_root)};
  for (int i = 0; i < 8; ++i) {
    chain.push_back(Issue(spec, &forged_root));
  }
  EXPECT_EQ(Fault(chain), PolicyFault::kUntrusted);
  EXPECT_EQ(Fault({Leaf(root_)}), PolicyFault::kNone);
}

TEST_F(Trust, KeysAndSignatures) {
  const auto with = [&](std::shared_ptr<const Key> key, Scheme scheme = Scheme::kPlain) {
    CertificateSpec spec;
    spec.key = std::move(key);
    spec.scheme = scheme;
    return Fault({Issue(spec, &root_)});
  };
  EXPECT_EQ(with(Key::Ecc(48)), PolicyFault::kNone);
  EXPECT_EQ(with(Key::Ecc(66)), PolicyFault::kNone);
  EXPECT_EQ(with(Key::Rsa()), PolicyFault::kNone);
  EXPECT_EQ(with(Key::Rsa(1024)), PolicyFault::kMalformed);
  EXPECT_EQ(with(nullptr, Scheme::kClaimsSha1), PolicyFault::kMalformed);

  CertificateSpec spec = CertificateSpec::Ca("RSA root");
  spec.key = Key::Rsa();
  spec.scheme = Scheme::kPss;
  const Party root = Issue(spec, nullptr);
  store_ = Store({root});
  EXPECT_EQ(Fault({Leaf(root)}), PolicyFault::kNone);
  CertificateSpec pss;
  pss.scheme = Scheme::kPss;
  Party leaf = Issue(pss, &root);
  EXPECT_EQ(Fault({leaf}), PolicyFault::kNone);
  leaf.der[leaf.der.size() - 3] ^= 1;
  EXPECT_EQ(Fault({leaf}), PolicyFault::kUntrusted);
  // The right key, the wrong kind of signature.
  spec = CertificateSpec::Ca("Root");
  spec.key = Key::Rsa();
  EXPECT_EQ(Fault({Leaf(root_)}), PolicyFault::kUntrusted);
}

TEST_F(Trust, WeakIntermediate) {
  CertificateSpec spec = CertificateSpec::Ca("Weak CA");
  spec.key = Key::Rsa(1024);
  const Party weak = Issue(spec, &root_);
  EXPECT_EQ(Fault({Leaf(weak), weak}), PolicyFault::kMalformed);
}

TEST_F(Trust, Malformed) {
  Party garbage;
  garbage.der = "\x30\x03\x02\x01\x01";
  EXPECT_EQ(Fault({garbage}), PolicyFault::kMalformed);
  Party trailing = Leaf(root_);
  trailing.der += '\0';
  EXPECT_EQ(Fault({trailing}), PolicyFault::kMalformed);
  CertificateSpec spec;
  spec.extensions = Extension("2.5.29.17", false, Der(kDerSequence, Der(DerContext(2), "x.y")));
  EXPECT_EQ(Fault({Issue(spec, &root_)}), PolicyFault::kMalformed);  // twice
  spec.extensions = Extension("1.2.3", true, "x");
  EXPECT_EQ(Fault({Issue(spec, &root_)}), PolicyFault::kMalformed);  // critical and unknown
  CertificateSpec nul;
  nul.names = {"mail.contoso.example", std::string("a\0.contoso.example", 18)};
  EXPECT_EQ(Fault({Issue(nul, &root_)}), PolicyFault::kMalformed);
  // Cut anywhere.
  const Party leaf = Leaf(root_);
  for (std::size_t i = 0; i < leaf.der.size(); ++i) {
    Party cut = leaf;
    cut.der.resize(i);
    ASSERT_EQ(Fault({cut}), PolicyFault::kMalformed) << i;
  }
}

// Octets changed at random must never be believed, nor crash anything.
TEST_F(Trust, NoChangeIsBelieved) {
  const Party intermediate = Intermediate(root_);
  const Party leaf = Leaf(intermediate);
  for (std::size_t i = 0; i < leaf.der.size(); ++i) {
    Party changed = leaf;
    changed.der[i] = static_cast<char>(changed.der[i] ^ (1 << (i % 8)));
    ASSERT_NE(store_->Verify(Presented({changed, intermediate}), kNow), PolicyFault::kNone) << i;
  }
  for (std::size_t i = 0; i < intermediate.der.size(); ++i) {
    Party changed = intermediate;
    changed.der[i] = static_cast<char>(changed.der[i] ^ (1 << (i % 8)));
    ASSERT_NE(store_->Verify(Presented({leaf, changed}), kNow), PolicyFault::kNone) << i;
  }
}

std::string Subtree(unsigned tag, std::string_view base) {
  return Der(kDerSequence, Der(tag, base));
}

TEST_F(Trust, NameConstraints) {
  constexpr unsigned kDns = DerContext(2);
  const auto with = [&](const std::string& permitted, const std::string& excluded,
                        std::vector<std::string> names, const std::string& common_name = "x",
                        const std::string& more = {}) {
    CertificateSpec spec = CertificateSpec::Ca("Constrained");
    if (!permitted.empty()) {
      spec.name_constraints += Der(DerContextConstructed(0), permitted);
    }
    if (!excluded.empty()) {
      spec.name_constraints += Der(DerContextConstructed(1), excluded);
    }
    const Party constrained = Issue(spec, &root_);
    CertificateSpec leaf;
    leaf.names = std::move(names);
    leaf.subject = CommonName(common_name);
    leaf.extensions = more;
    const Party direct = Issue(leaf, &constrained);
    const PolicyFault fault = Fault({direct, constrained});
    // The constraint holds for all that is below, not only for what it signs itself.
    const Party below = Issue(CertificateSpec::Ca("Below"), &constrained);
    EXPECT_EQ(Fault({Issue(leaf, &below), below, constrained}), fault) << store_->complaint();
    // Which a CA's own common name is no matter of, even if a host could have it.
    const Party host_like = Issue(CertificateSpec::Ca("ca.example.net"), &constrained);
    EXPECT_EQ(Fault({Issue(leaf, &host_like), host_like, constrained}), fault)
        << store_->complaint();
    return fault;
  };
  const std::string contoso = Subtree(kDns, "contoso.example");
  EXPECT_EQ(with(contoso, "", {"contoso.example", "a.b.contoso.example", "*.CONTOSO.example"}),
            PolicyFault::kNone);
  EXPECT_EQ(with(contoso, "", {"mail.fabrikam.example"}), PolicyFault::kInvalidCa);
  EXPECT_EQ(with(contoso, "", {"xcontoso.example"}), PolicyFault::kInvalidCa);
  EXPECT_EQ(with(contoso, "", {"mail.contoso.example", "mail.fabrikam.example"}),
            PolicyFault::kInvalidCa);
  EXPECT_EQ(with(contoso + Subtree(kDns, "fabrikam.example"), "",
                 {"mail.contoso.example", "mail.fabrikam.example"}),
            PolicyFault::kNone);
  EXPECT_EQ(with("", contoso, {"mail.fabrikam.example"}), PolicyFault::kNone);
  EXPECT_EQ(with("", contoso, {"mail.contoso.example"}), PolicyFault::kInvalidCa);
  EXPECT_EQ(with("", Subtree(kDns, "secret.contoso.example"), {"*.contoso.example"}),
            PolicyFault::kInvalidCa);
  // The common name may serve as a host name.
  EXPECT_EQ(with(contoso, "", {}, "mail.fabrikam.example"), PolicyFault::kInvalidCa);
  EXPECT_EQ(with(contoso, "", {}, "mail.contoso.example"), PolicyFault::kNone);
  EXPECT_EQ(with(contoso, "", {}, "mailhost"), PolicyFault::kInvalidCa);
  EXPECT_EQ(with("", Subtree(kDns, "mailhost"), {}, "mailhost"), PolicyFault::kInvalidCa);
  // Not if there are others, or if no host can have it: then no policy takes it for a name either.
  EXPECT_EQ(with(contoso, "", {"mail.contoso.example"}, "mail.fabrikam.example"),
            PolicyFault::kNone);
  for (const std::string name :
       {"x y.fabrikam.example", "Gateway of Branch 7", "mail.fabrikam.example ", "a..example",
        "mail.fabrikam.example.", "192.0.2.1", "*.example", "m*.fabrikam.example"}) {
    EXPECT_EQ(with(contoso, "", {}, name), PolicyFault::kNone) << name;
    CertificateSpec spec;
    spec.names.clear();
    spec.subject = CommonName(name);
    EXPECT_EQ(Presented({Issue(spec, &root_)}).common_host_name, "") << name;
  }
  // Directory names.
  const auto directory = [](const std::string& name) {
    return Subtree(DerContextConstructed(4), name);
  };
  // A certificate authority below it has a subject as well, which Contoso begins.
  EXPECT_EQ(with(directory(DerName({{"2.5.4.10", "Contoso"}})), "", {}), PolicyFault::kNone);
  EXPECT_EQ(with(directory(DerName({{"2.5.4.10", "Fabrikam"}})), "", {}), PolicyFault::kInvalidCa);
  // Addresses, and kinds that are not known.
  const std::string all_addresses = Subtree(DerContext(7), std::string(8, '\0'));
  const std::string other_name =
      Extension("2.5.29.17", false, Der(kDerSequence, Der(DerContext(7), "\x0a\x01\x02\x03")));
  EXPECT_EQ(with("", all_addresses, {}, "x", other_name), PolicyFault::kInvalidCa);
  EXPECT_EQ(with("", all_addresses, {"mail.contoso.example"}), PolicyFault::kNone);
  EXPECT_EQ(
      with(Subtree(DerContext(7), std::string("\x0a\0\0\0\xff\0\0\0", 8)), "", {}, "x", other_name),
      PolicyFault::kNone);
  const std::string mail_name =
      Extension("2.5.29.17", false, Der(kDerSequence, Der(DerContext(1), "a@contoso.example")));
  EXPECT_EQ(with(Subtree(DerContext(1), "contoso.example"), "", {}, "x", mail_name),
            PolicyFault::kInvalidCa);
  EXPECT_EQ(with(contoso, "", {}, "x y", mail_name), PolicyFault::kNone);
  // Constraints on other names stay with those on host names out of the second reader's sight.
  const std::string both = contoso + Subtree(DerContext(7), std::string("\x0a\0\0\0\xff\0\0\0", 8));
  EXPECT_EQ(with(both, "", {}, "x y", other_name), PolicyFault::kNone);
  EXPECT_EQ(with("", both, {}, "x y", other_name), PolicyFault::kInvalidCa);
  // Broken.
  EXPECT_EQ(with("x", "", {}), PolicyFault::kInvalidCa);
}

TEST_F(Trust, WithoutDnsConstraints) {
  constexpr unsigned kDns = DerContext(2);
  const std::string address = Subtree(DerContext(7), std::string(8, '\0'));
  const std::string host = Subtree(kDns, std::string(200, 'a') + ".example");
  const auto without = [&](const std::string& constraints) {
    CertificateSpec spec = CertificateSpec::Ca("Constrained");
    spec.name_constraints = constraints;
    const Party party = Issue(spec, &root_);
    const std::string der = WithoutDnsConstraints(*ReadX509(party.der));
    const std::optional<X509View> view = ReadX509(der);
    EXPECT_TRUE(view.has_value() && view->ca && view->subject == party.subject &&
                view->public_key == party.key->public_info());
    return view.has_value() ? std::string(view->name_constraints) : "unreadable";
  };
  const std::string permitted = Der(DerContextConstructed(0), address);
  const std::string excluded = Der(DerContextConstructed(1), address);
  EXPECT_EQ(without(permitted + excluded), permitted + excluded);
  EXPECT_EQ(without(Der(DerContextConstructed(0), host + address) + excluded),
            permitted + excluded);
  EXPECT_EQ(without(Der(DerContextConstructed(0), host) + excluded), excluded);
  EXPECT_EQ(without(Der(DerContextConstructed(0), host) + Der(DerContextConstructed(1), host)), "");
}

// A number with a zero in front, which wolfSSL does not take. The log says whose opinion it is.
TEST_F(Trust, RefusedByTheLibraryAlone) {
  CertificateSpec spec;
  spec.serial = std::string("\0\x01", 2);
  EXPECT_EQ(Fault({Issue(spec, &root_)}), PolicyFault::kRefusedByLibrary);
  EXPECT_NE(store_->complaint().find("wolfSSL refuses the certificate \"CN=mail.contoso."),
            std::string::npos)
      << store_->complaint();
  EXPECT_EQ(Fault({Leaf(root_)}), PolicyFault::kNone);
  EXPECT_EQ(store_->complaint(), "");
}

// The decision: who is in client_ca is trusted, CA or not.
TEST_F(Trust, PinnedCertificate) {
  const Party pinned = Issue({}, nullptr);
  store_ = Store({pinned});
  ASSERT_EQ(store_->warnings().size(), 1U);
  EXPECT_NE(store_->warnings()[0].find("is no CA; only a peer that has this very"),
            std::string::npos);
  EXPECT_EQ(Fault({pinned}), PolicyFault::kNone);
  EXPECT_EQ(Fault({pinned}, kNow + 2 * 86400), PolicyFault::kExpired);
  // It vouches for nobody else.
  EXPECT_EQ(Fault({Leaf(pinned), pinned}), PolicyFault::kInvalidCa);
  CertificateSpec same;
  EXPECT_EQ(Fault({Issue(same, nullptr)}), PolicyFault::kSelfSigned);
}

// An issuing CA is enough; its root need not be there.
TEST_F(Trust, IntermediateAsAnchor) {
  const Party intermediate = Intermediate(root_);
  store_ = Store({intermediate});
  EXPECT_EQ(Fault({Leaf(intermediate)}), PolicyFault::kNone);
  EXPECT_EQ(Fault({Leaf(intermediate), intermediate, root_}), PolicyFault::kNone);
  EXPECT_EQ(Fault({Leaf(root_)}), PolicyFault::kUntrusted);
}

// Its CAs may be those of clients or of partners' servers: what it says is true of both.
TEST_F(Trust, WordsForBothSides) {
  CertificateSpec old = CertificateSpec::Ca("Old");
  old.not_after = kNow - 86400;
  store_ = Store({Issue(old, nullptr), root_, Issue({}, nullptr)});
  ASSERT_EQ(store_->warnings().size(), 2U);
  EXPECT_NE(store_->warnings()[0].find("; certificates that it signed are refused"),
            std::string::npos)
      << store_->warnings()[0];
  for (const std::string& warning : store_->warnings()) {
    EXPECT_EQ(warning.find("client"), std::string::npos) << warning;
    EXPECT_EQ(warning.find("server"), std::string::npos) << warning;
  }
}

TEST_F(Trust, SeveralCasOfOneName) {
  const Party other = Issue(CertificateSpec::Ca("Root"), nullptr);
  store_ = Store({other, root_, root_});
  EXPECT_EQ(Fault({Leaf(root_)}), PolicyFault::kNone);
  EXPECT_EQ(Fault({Leaf(other)}), PolicyFault::kNone);
}

std::string LoadError(const std::vector<NamedText>& files) {
  TrustOptions options;
  options.ca_files = files;
  const auto store = TrustStore::Load(options, kNow);
  EXPECT_FALSE(store.ok());
  return std::string(store.status().message());
}

TEST_F(Trust, FilesThatAreNone) {
  EXPECT_NE(LoadError({}).find("a folder of them"), std::string::npos);
  for (const std::string& text :
       {std::string(), std::string("hello"), std::string("-----BEGIN CERTIFICATE-----\nAAAA"),
        Pem("CERTIFICATE", "junk"), root_.key->pem()}) {
    EXPECT_NE(LoadError({{"/etc/x/ca.pem", text}}).find("/etc/x/ca.pem"), std::string::npos)
        << text;
  }
  // One good file does not excuse another.
  EXPECT_NE(LoadError({{"good.pem", root_.pem()}, {"bad.pem", "x"}}).find("bad.pem"),
            std::string::npos);
}

// Of a folder: what is certainly something else is named and passed over.
TEST_F(Trust, OtherFilesInTheFolder) {
  const std::string list = IssueCrl({}, root_);
  TrustOptions options;
  options.ca_files = {{"x/README", "Our CAs"},
                      {"x/ca.pem", root_.pem()},
                      {"x/list.crl", Pem("X509 CRL", list)},
                      {"x/list.der", list}};
  const auto store = TrustStore::Load(options, kNow);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_EQ((*store)->warnings().size(), 3U);
  EXPECT_NE((*store)->warnings()[0].find("x/README is left out"), std::string::npos);
  EXPECT_NE((*store)->warnings()[1].find("x/list.crl is left out"), std::string::npos);
  EXPECT_NE((*store)->warnings()[2].find("x/list.der is left out"), std::string::npos);
  EXPECT_EQ((*store)->Verify(Presented({Leaf(root_)}), kNow), PolicyFault::kNone);
  EXPECT_NE(LoadError({{"README", "x"}, {"list.crl", Pem("X509 CRL", list)}}).find("README"),
            std::string::npos);
  // Alone it was meant, and what is broken is no README.
  EXPECT_NE(LoadError({{"x/README", "Our CAs"}}).find("x/README holds no certificate"),
            std::string::npos);
  EXPECT_NE(LoadError({{"x/README", "-----BEGIN CERTIFICATE-----\nAAAA"}, {"ca.pem", root_.pem()}})
                .find("x/README"),
            std::string::npos);
}

TEST_F(Trust, TextThatBeginsLikeDer) {
  TrustOptions options;
  options.ca_files = {{"ca.pem", "0 is the first of our CAs\n" + root_.pem()}};
  const auto store = TrustStore::Load(options, kNow);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE((*store)->warnings().empty());
  EXPECT_EQ((*store)->Verify(Presented({Leaf(root_)}), kNow), PolicyFault::kNone);
}

TEST_F(Trust, BundleWithSomeThatCannotBeUsed) {
  CertificateSpec weak = CertificateSpec::Ca("Weak");
  weak.key = Key::Rsa(1024);
  TrustOptions options;
  options.ca_files = {{"bundle.pem", "# a comment\r\n" + Pem("CERTIFICATE", "junk") +
                                         Issue(weak, nullptr).pem() + root_.pem()}};
  auto store = TrustStore::Load(options, kNow);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_EQ((*store)->warnings().size(), 1U);
  EXPECT_NE((*store)->warnings()[0].find("2 of the 3"), std::string::npos)
      << (*store)->warnings()[0];
  EXPECT_EQ((*store)->Verify(Presented({Leaf(root_)}), kNow), PolicyFault::kNone);
  options.ca_files = {{"ca.cer", root_.der}};  // DER, as Windows exports it
  store = TrustStore::Load(options, kNow);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->Verify(Presented({Leaf(root_)}), kNow), PolicyFault::kNone);
}

}  // namespace
}  // namespace ringpost::test
