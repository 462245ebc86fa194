// SPDX-License-Identifier: GPL-3.0-or-later
//
// Stapled OCSP responses. The input is a certificate, its issuer's, and the response, one behind
// the other. Oracle: a good or revoked answer has a reason of its own to be one, and none survives
// a cut or an octet more; a reason is a short line of printable text.
#include <optional>
#include <string>
#include <string_view>

#include "fuzz.h"
#include "ocsp_response.h"
#include "ringpost/base/der.h"

namespace ringpost {
namespace {

using Status = OcspAnswer::Status;

constexpr std::int64_t kNow = 1'800'000'000;

struct Question {
  X509View certificate;
  X509View issuer;
};

OcspAnswer Ask(std::string_view response, const Question& question, std::int64_t now,
               bool signer_is_revoked = false) {
  const std::string copy(response);  // a read behind its end is seen
  OcspResponse read(copy);
  OcspAnswer answer = read.About(question.certificate, question.issuer, now,
                                 [&](const X509View&) { return signer_is_revoked; });
  RINGPOST_CHECK(answer.reason.empty() == (answer.status != Status::kNone));
  RINGPOST_CHECK(answer.reason.size() < 300);
  for (const char c : answer.reason) RINGPOST_CHECK(c >= ' ' && c <= '~');
  return answer;
}

void Check(std::string_view response, const Question& question) {
  const OcspAnswer answer = Ask(response, question, kNow);
  const OcspAnswer without_signers = Ask(response, question, kNow, true);
  if (without_signers.status != Status::kNone) {
    RINGPOST_CHECK(without_signers.status == answer.status);
  }
  if (answer.status == Status::kNone) return;
  RINGPOST_CHECK(Ask(response.substr(0, response.size() - 1), question, kNow).status ==
                 Status::kNone);
  RINGPOST_CHECK(Ask(std::string(response) + "x", question, kNow).status == Status::kNone);
  Question other = question;
  const std::string serial = std::string(question.certificate.serial) + "x";
  other.certificate.serial = serial;
  RINGPOST_CHECK(Ask(response, other, kNow).status == Status::kNone ||
                 response.find(serial) != std::string_view::npos);
  if (answer.status == Status::kGood) {
    RINGPOST_CHECK(answer.fresh_until > kNow);
  }
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  const std::string_view input = fuzz::View(data, size);
  DerReader reader(input);
  const std::optional<X509View> certificate = ReadX509(reader.Next().whole);
  const std::optional<X509View> issuer = ReadX509(reader.Next().whole);
  if (certificate.has_value() && issuer.has_value()) {
    Check(reader.rest(), {*certificate, *issuer});
  }
  // As it is, of a certificate without anything.
  (void)Ask(input, {}, kNow);
  return 0;
}
