// SPDX-License-Identifier: GPL-3.0-or-later
//
// Why our own search and not wolfSSL's certificate manager alone: to be verified against, an
// intermediate has to be added to a manager, and adding one as a CA verifies nothing at all; and it
// cannot say why it refuses. Here nothing is ever added: a store is what it was when it was loaded,
// whatever it has been shown. What this search accepts, wolfSSL must accept as well
// (library_path.h).
#include "ringpost/tls/trust_store.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "certificate_path.h"
#include "crl.h"
#include "library_path.h"
#include "pem.h"
#include "ringpost/base/check.h"
#include "signature.h"
#include "tls_library.h"
#include "x509.h"

namespace ringpost {
namespace {

struct Anchor {
  std::string der;
  X509View view;  // into der
};

// More than any real chain needs. A signature costs up to 1 ms (P-521), so this bounds what a
// client can make us do.
constexpr int kSignaturesMax = 24;
constexpr int kStepsMax = 512;
constexpr int kLibraryOpinionsMax = 3;
constexpr std::size_t kPresentedMax = 9;  // what a handshake lets through

std::string Day(std::int64_t seconds) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixSeconds(seconds),
                          absl::UTCTimeZone());
}

std::vector<std::string_view> DerOf(std::span<const X509View* const> path) {
  std::vector<std::string_view> der;
  for (const X509View* const certificate : path) {
    der.push_back(certificate->der);
  }
  return der;
}

// Which of two reasons is said: that something was revoked, else the first one.
PolicyFault Graver(PolicyFault first, PolicyFault second) {
  return first == PolicyFault::kNone || second == PolicyFault::kRevoked ? second : first;
}

}  // namespace

struct TrustStore::Impl {
  // By subject, for look-ups; the anchors do not move.
  std::vector<std::unique_ptr<const Anchor>> anchors;
  std::shared_ptr<const CrlSet> crls;
  Revocation revocation = Revocation::kOff;

  using SignedBy = std::pair<const Crl*, Fingerprint>;  // the list and its issuer's key
  absl::flat_hash_map<SignedBy, bool> crl_signatures;

  [[nodiscard]] std::span<const std::unique_ptr<const Anchor>> AnchorsOf(
      std::string_view subject) const;
  absl::Status AddFile(const NamedText& file, std::int64_t now, std::vector<std::string>& warnings);
  void Sort();
  void CheckLists(std::vector<std::string>& warnings);
  [[nodiscard]] bool IsSignedBy(const Crl& list, const X509View& issuer);
  [[nodiscard]] PolicyFault JudgeRevocation(const X509View& certificate, const X509View& issuer,
                                            std::int64_t now);
  [[nodiscard]] PolicyFault JudgeRevocations(std::span<const X509View* const> path,
                                             std::int64_t now);
};

namespace {

// Looks for a path from the leaf to a trusted CA. The names are followed upwards, which costs
// nothing; the signatures are checked downwards, so that certificates that a stranger made up end
// the matter with the first one.
class PathSearch {
 public:
  using Anchors = std::span<const std::unique_ptr<const Anchor>>;

  explicit PathSearch(const ClientCertificate& certificate) {
    for (const std::string& der : certificate.chain) {
      if (count_ == kPresentedMax) {
        break;
      }
      // What cannot be read cannot be part of a path, and need not be in its way.
      if (std::optional<X509View> view = ReadX509(der); view.has_value()) {
        presented_[count_++] = *view;
      } else if (count_ == 0) {
        return;
      }
    }
  }

  [[nodiscard]] bool leaf_readable() const { return count_ > 0; }
  [[nodiscard]] const X509View& leaf() const { return presented_[0]; }

  // `anchors_of` gives the CAs of a name; `judge` is asked about each path whose signatures are
  // good, until it says kNone.
  template <typename AnchorsOf, typename Judge>
  PolicyFault Run(AnchorsOf anchors_of, Judge judge) {
    Visit(0, 0, anchors_of, judge);
    if (found_) {
      return PolicyFault::kNone;
    }
    if (fault_ != PolicyFault::kNone) {
      return fault_;
    }
    if (weak_) {
      return PolicyFault::kMalformed;
    }
    return leaf().self_issued() ? PolicyFault::kSelfSigned : PolicyFault::kUntrusted;
  }

 private:
  enum class Check : std::uint8_t { kUnknown, kGood, kBad };

  template <typename AnchorsOf, typename Judge>
  void Visit(std::size_t index, std::size_t depth, AnchorsOf& anchors_of, Judge& judge) {
    if (found_ || ++steps_ > kStepsMax) {
      return;
    }
    chosen_[depth] = index;
    path_[depth] = &presented_[index];
    used_[index] = true;
    const std::string_view issuer = presented_[index].issuer;
    for (const std::unique_ptr<const Anchor>& anchor : anchors_of(issuer)) {
      path_[depth + 1] = &anchor->view;
      if (!found_ && SignaturesAreGood(depth, anchor->view)) {
        const PolicyFault fault = judge(std::span(path_).first(depth + 2));
        found_ = fault == PolicyFault::kNone;
        fault_ = Graver(fault_, fault);
      }
    }
    for (std::size_t next = 1; next < count_; ++next) {
      if (!used_[next] && presented_[next].subject == issuer) {
        Visit(next, depth + 1, anchors_of, judge);
      }
    }
    used_[index] = false;
  }

  // From the anchor down to the leaf.
  bool SignaturesAreGood(std::size_t depth, const X509View& anchor) {
    if (!SpendOn(presented_[chosen_[depth]], anchor)) {
      return false;
    }
    for (std::size_t i = depth; i > 0; --i) {
      Check& check = checks_[chosen_[i]][chosen_[i - 1]];
      if (check == Check::kUnknown) {
        check = SpendOn(presented_[chosen_[i - 1]], presented_[chosen_[i]]) ? Check::kGood
                                                                            : Check::kBad;
      }
      if (check == Check::kBad) {
        return false;
      }
    }
    return true;
  }

  bool SpendOn(const X509View& certificate, const X509View& issuer) {
    if (++signatures_ > kSignaturesMax) {
      return false;
    }
    const SignatureVerdict verdict = CheckSignature(certificate.algorithm, certificate.signed_part,
                                                    certificate.signature, issuer.public_key);
    weak_ |= verdict == SignatureVerdict::kWeak;
    return verdict == SignatureVerdict::kGood;
  }

  std::array<X509View, kPresentedMax> presented_;
  std::size_t count_ = 0;
  std::array<std::size_t, kPresentedMax> chosen_{};
  std::array<bool, kPresentedMax> used_{};
  std::array<const X509View*, kPresentedMax + 1> path_{};
  std::array<std::array<Check, kPresentedMax>, kPresentedMax> checks_{};  // [issuer][certificate]
  int steps_ = 0;
  int signatures_ = 0;
  bool weak_ = false;
  bool found_ = false;
  PolicyFault fault_ = PolicyFault::kNone;
};

}  // namespace

std::span<const std::unique_ptr<const Anchor>> TrustStore::Impl::AnchorsOf(
    std::string_view subject) const {
  struct BySubject {
    bool operator()(const std::unique_ptr<const Anchor>& anchor, std::string_view name) const {
      return anchor->view.subject < name;
    }
    bool operator()(std::string_view name, const std::unique_ptr<const Anchor>& anchor) const {
      return name < anchor->view.subject;
    }
  };
  const auto [first, last] = std::equal_range(anchors.begin(), anchors.end(), subject, BySubject{});
  return {first, last};
}

absl::Status TrustStore::Impl::AddFile(const NamedText& file, std::int64_t now,
                                       std::vector<std::string>& warnings) {
  constexpr std::size_t kTextMax = 256;
  PemBlocks blocks = ReadPemBlocks(file.text, "CERTIFICATE");
  std::size_t unreadable = blocks.broken;
  std::size_t usable = 0;
  for (std::string& der : blocks.der) {
    auto anchor = std::make_unique<Anchor>();
    anchor->der = std::move(der);
    const std::optional<X509View> view = ReadX509(anchor->der);
    if (!view.has_value() || !IsStrongKey(view->public_key)) {
      ++unreadable;
      continue;
    }
    anchor->view = *view;
    ++usable;
    const auto name = [&] {
      return absl::StrCat("the CA \"", X509NameText(anchor->view.subject, kTextMax), "\" in ",
                          file.path);
    };
    if (now > anchor->view.not_after) {
      warnings.push_back(absl::StrCat(name(), " expired on ", Day(anchor->view.not_after),
                                      "; clients that it signed for are refused"));
    } else if (now < anchor->view.not_before) {
      warnings.push_back(
          absl::StrCat(name(), " is valid only from ", Day(anchor->view.not_before)));
    }
    if (anchor->view.version == 3 && !anchor->view.ca) {
      warnings.push_back(absl::StrCat("\"", X509NameText(anchor->view.subject, kTextMax), "\" in ",
                                      file.path,
                                      " is no CA; only the client that has this very certificate "
                                      "is trusted through it"));
    }
    anchors.push_back(std::move(anchor));
  }
  if (usable == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        file.path,
        unreadable > 0
            ? " holds no CA certificate that can be used; needed are RSA keys of 2048 to 4096 bits "
              "or ECDSA P-256, P-384 or P-521"
            : " holds no certificate; a CA in PEM form lies between \"-----BEGIN "
              "CERTIFICATE-----\" and \"-----END CERTIFICATE-----\""));
  }
  if (unreadable > 0) {
    warnings.push_back(absl::StrCat(unreadable, " of the ", unreadable + usable,
                                    " CA certificates in ", file.path,
                                    " cannot be used and were left out; needed are RSA keys of "
                                    "2048 to 4096 bits or ECDSA P-256, P-384 or P-521"));
  }
  return absl::OkStatus();
}

void TrustStore::Impl::Sort() {
  std::sort(anchors.begin(), anchors.end(), [](const auto& left, const auto& right) {
    return std::tie(left->view.subject, left->der) < std::tie(right->view.subject, right->der);
  });
  anchors.erase(
      std::unique(anchors.begin(), anchors.end(),
                  [](const auto& left, const auto& right) { return left->der == right->der; }),
      anchors.end());
}

// The lists of our own CAs are checked at start-up: someone should hear of a forged or mixed-up
// one, and a large one should not be hashed in the middle of the day.
void TrustStore::Impl::CheckLists(std::vector<std::string>& warnings) {
  if (crls == nullptr || revocation == Revocation::kOff) {
    return;
  }
  for (const std::unique_ptr<const Crl>& list : crls->all()) {
    const auto issuers = AnchorsOf(list->issuer());
    const bool good = std::any_of(issuers.begin(), issuers.end(), [&](const auto& anchor) {
      return IsSignedBy(*list, anchor->view);
    });
    if (!issuers.empty() && !good) {
      warnings.push_back(absl::StrCat("the revocation list ", list->path(),
                                      " is not used: it is not signed by the CA that it names, or "
                                      "that one may not sign lists"));
    }
  }
}

bool TrustStore::Impl::IsSignedBy(const Crl& list, const X509View& issuer) {
  if (!issuer.May(kUsageCrlSign)) {  // RFC 5280 6.3.3 (f)
    return false;
  }
  constexpr std::size_t kCountMax = 4096;  // there are as many as CAs have lists
  if (crl_signatures.size() >= kCountMax) {
    crl_signatures.clear();
  }
  const auto [at, is_new] = crl_signatures.try_emplace({&list, Sha256Of(issuer.public_key)}, false);
  if (is_new) {
    at->second = list.IsSignedWith(issuer.public_key);
  }
  return at->second;
}

PolicyFault TrustStore::Impl::JudgeRevocation(const X509View& certificate, const X509View& issuer,
                                              std::int64_t now) {
  if (crls != nullptr) {
    for (const std::unique_ptr<const Crl>& list : crls->Of(certificate.issuer)) {
      if (!IsSignedBy(*list, issuer)) {
        continue;
      }
      // The newest one that counts: later ones no longer name what was only put on hold.
      if (list->Names(certificate.serial)) {
        return PolicyFault::kRevoked;
      }
      if (list->IsFresh(now)) {
        return PolicyFault::kNone;
      }
      break;
    }
  }
  return revocation == Revocation::kHard ? PolicyFault::kNoFreshCrl : PolicyFault::kNone;
}

PolicyFault TrustStore::Impl::JudgeRevocations(std::span<const X509View* const> path,
                                               std::int64_t now) {
  PolicyFault fault = PolicyFault::kNone;
  if (revocation != Revocation::kOff) {
    for (std::size_t i = path.size() - 1; i-- > 0;) {
      fault = Graver(fault, JudgeRevocation(*path[i], *path[i + 1], now));
    }
  }
  return fault;
}

TrustStore::TrustStore() : impl_(std::make_unique<Impl>()) {}
TrustStore::~TrustStore() = default;

absl::StatusOr<std::unique_ptr<TrustStore>> TrustStore::Load(const TrustOptions& options,
                                                             std::int64_t now) {
  if (!TlsLibraryStart()) {
    return absl::InternalError("wolfSSL could not be started; its self-test failed");
  }
  std::unique_ptr<TrustStore> store(new TrustStore);
  store->impl_->crls = options.crls;
  store->impl_->revocation = options.revocation;
  if (options.ca_files.empty()) {
    return absl::InvalidArgumentError(
        "client_ca names no file with a CA certificate; give a PEM file, or a folder of them");
  }
  for (const NamedText& file : options.ca_files) {
    if (absl::Status status = store->impl_->AddFile(file, now, store->warnings_); !status.ok()) {
      return status;
    }
  }
  store->impl_->Sort();
  store->impl_->CheckLists(store->warnings_);
  return store;
}

PolicyFault TrustStore::Verify(const ClientCertificate& certificate, std::int64_t now) {
  if (certificate.chain.empty()) {
    return PolicyFault::kNoCertificate;
  }
  PathSearch search(certificate);
  if (!search.leaf_readable()) {
    return PolicyFault::kMalformed;
  }
  Impl& impl = *impl_;
  const X509View& leaf = search.leaf();
  // A client whose very certificate is among the CAs is trusted by name, so to speak: nobody has to
  // have signed it, and nobody revokes it but the administrator.
  for (const std::unique_ptr<const Anchor>& anchor : impl.AnchorsOf(leaf.subject)) {
    if (anchor->der == certificate.chain.front()) {
      return JudgeAlone(leaf, now);
    }
  }
  int opinions = 0;
  return search.Run([&impl](std::string_view name) { return impl.AnchorsOf(name); },
                    [&impl, &opinions, now](std::span<const X509View* const> path) {
                      PolicyFault fault = JudgePath(path, now);
                      if (fault == PolicyFault::kNone) {
                        fault = impl.JudgeRevocations(path, now);
                      }
                      if (fault == PolicyFault::kNone &&
                          (++opinions > kLibraryOpinionsMax || !LibraryAcceptsPath(DerOf(path)))) {
                        fault = PolicyFault::kMalformed;
                      }
                      return fault;
                    });
}

}  // namespace ringpost
