// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/partner_opening.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <utility>

#include "ringpost/base/fingerprint.h"
#include "ringpost/policy/server_policy.h"
#include "ringpost/smtp/reply.h"

namespace ringpost {
namespace {

using Kind = PartnerTrouble::Kind;

constexpr std::string_view kResumedVersion = "TLSv1.3";
constexpr std::size_t kReplyTextMax = 510;  // RFC 5321 4.5.3.1.5, without CRLF

class OneTrust final : public ChainVerifier {
 public:
  OneTrust(TrustStore* store, const PeerCertificate* certificate, std::int64_t now)
      : store_(store), certificate_(certificate), now_(now) {}
  [[nodiscard]] PolicyFault VerifyChain(std::size_t /*trust*/) override {
    return store_ != nullptr ? store_->Verify(*certificate_, now_) : PolicyFault::kUntrusted;
  }

 private:
  TrustStore* store_;
  const PeerCertificate* certificate_;
  std::int64_t now_;
};

bool IsAddress(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> octets;
  return inet_pton(AF_INET, host.c_str(), octets.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), octets.data()) == 1;
}

PartnerTrouble::Kind TroubleOf(DialogueFault fault) {
  switch (fault) {
    case DialogueFault::kGreeting:
    case DialogueFault::kHello:
      return Kind::kRefused;
    case DialogueFault::kNotOffered:
    case DialogueFault::kStarttls:
      return Kind::kNoTls;
    case DialogueFault::kInjection:
      return Kind::kHandshake;
    case DialogueFault::kClosed:
      return Kind::kLost;
    case DialogueFault::kOutOfStep:
    case DialogueFault::kNone:
      break;
  }
  return Kind::kOutOfStep;
}

// RFC 3463, and what Postfix says in the same place.
std::string_view EnhancedCode(Kind kind) {
  switch (kind) {
    case Kind::kUnreachable:
      return "4.4.1";
    case Kind::kNoAddress:
      return "4.4.3";
    case Kind::kSilent:
    case Kind::kLost:
      return "4.4.2";
    case Kind::kRefused:
      return "4.3.2";
    case Kind::kOutOfStep:
      return "4.5.0";
    case Kind::kNoTls:
      return "4.7.4";
    case Kind::kHandshake:
    case Kind::kCertificate:
      return "4.7.5";
    case Kind::kShortage:
    case Kind::kNone:
      break;
  }
  return "4.3.1";
}

// A list or a staple may come, and time passes; the library also refuses for want of memory.
bool IsPassing(PolicyFault fault) {
  return fault == PolicyFault::kNoFreshCrl || fault == PolicyFault::kNotYetValid ||
         fault == PolicyFault::kRefusedByLibrary;
}

bool IsOfPolicy(Kind kind) {
  return kind == Kind::kNoTls || kind == Kind::kHandshake || kind == Kind::kCertificate;
}

}  // namespace

CloseReason PartnerTrouble::reason() const {
  switch (kind) {
    case Kind::kNone:
    case Kind::kUnreachable:
    case Kind::kNoAddress:
      return CloseReason::kBackendConnect;
    case Kind::kSilent:
      return CloseReason::kBackendTimeout;
    case Kind::kLost:
      return CloseReason::kBackendReset;
    case Kind::kRefused:
    case Kind::kOutOfStep:
      return CloseReason::kBackendProtocol;
    case Kind::kNoTls:
    case Kind::kHandshake:
    case Kind::kCertificate:
      return CloseReason::kBackendTls;
    case Kind::kShortage:
      return CloseReason::kOutOfResources;
  }
  return CloseReason::kBackendConnect;
}

std::string_view PartnerTrouble::name() const {
  switch (kind) {
    case Kind::kNone:
      return {};
    case Kind::kUnreachable:
      return "unreachable";
    case Kind::kNoAddress:
      return "no-address";
    case Kind::kSilent:
      return "silent";
    case Kind::kLost:
      return "lost";
    case Kind::kRefused:
      return "refused";
    case Kind::kOutOfStep:
      return "no-smtp";
    case Kind::kNoTls:
      return "no-starttls";
    case Kind::kHandshake:
      return "handshake";
    case Kind::kCertificate:
      return PolicyFaultName(fault);
    case Kind::kShortage:
      return "shortage";
  }
  return {};
}

std::string ServerText(const Endpoint& server) {
  const bool by_name = !server.host.empty() && server.known() && !IsAddress(server.host);
  return by_name ? server.host + " (" + server.text + ")" : server.text;
}

std::string TroubleReply(const PartnerTrouble& trouble, const Endpoint& server, bool hard_bounce) {
  const std::string_view code = EnhancedCode(trouble.kind);
  std::string reply;
  if (IsOfPolicy(trouble.kind)) {
    reply = hard_bounce && !trouble.is_passing ? "550 5" : "450 4";
  } else {
    reply = "451 4";
  }
  reply.append(code.substr(1)).append(" ");
  reply.append(ServerText(server)).append(": ").append(trouble.words);
  reply.resize(std::min(reply.size(), kReplyTextMax));
  reply.append("\r\n");
  return reply;
}

PartnerOpening::PartnerOpening(const PartnerRoute* route, const Endpoint* server,
                               std::string_view hello, StarttlsUse use, TlsResumption resumption)
    : route_(route),
      server_(server),
      dialogue_(use, route->config.implicit_tls ? ClientDialogue::Tls::kImplicit
                                                : ClientDialogue::Tls::kStarttls),
      resumption_(resumption),
      implicit_due_(route->config.implicit_tls) {
  dialogue_.SetHello(hello);
}

PartnerOpening::Progress PartnerOpening::Advance(Leg& leg, std::int64_t now) {
  if (std::exchange(implicit_due_, false)) {
    return leg.input().empty() ? BeginTls(leg) : Fail(Kind::kHandshake, "spoke before TLS began");
  }
  if (leg.tls_pending()) return Handshake(leg, now);
  if (leg.tls() != nullptr) {
    // What is read may have to be answered, each KeyUpdate with ours.
    if (leg.output_octets() >= Leg::kOutputMax) return Progress::kNothing;
    const TlsOutcome outcome = leg.OpenRecords();
    if (outcome == TlsOutcome::kFailed || outcome == TlsOutcome::kFlood) {
      return Fail(Kind::kHandshake, "TLS failed: " + std::string(leg.tls()->error()));
    }
  }
  return all_said_ ? AwaitReply(leg) : Converse(leg);
}

PartnerOpening::Progress PartnerOpening::BeginTls(Leg& leg) {
  if (!IsAddress(server_->host)) facts_.sni = server_->host;
  std::unique_ptr<TlsEngine> engine;
  const PartnerSession* const earlier =
      resumption_ == TlsResumption::kOn ? route_->sessions->Find(*server_) : nullptr;
  if (earlier != nullptr) {
    session_ = *earlier;
    engine = TlsEngine::Client(route_->client.get(), facts_.sni, session_.session.get());
  }
  if (engine == nullptr) {  // or the time of its ticket is over
    session_ = {};
    engine = TlsEngine::Client(route_->client.get(), facts_.sni, nullptr);
  }
  if (engine == nullptr) return Fail(Kind::kShortage, "no memory for TLS");
  leg.AttachTls(std::move(engine));
  return Progress::kSomething;
}

PartnerOpening::Progress PartnerOpening::Handshake(Leg& leg, std::int64_t now) {
  switch (leg.Handshake()) {
    case TlsOutcome::kDone:
      return Established(leg, now);
    case TlsOutcome::kNeedInput:
      if (leg.ended()) {
        trouble_.is_passing = true;
        return Fail(Kind::kHandshake, "closed the connection during the TLS handshake");
      }
      return Progress::kNothing;
    case TlsOutcome::kPeerClosed:
    case TlsOutcome::kFlood:
    case TlsOutcome::kFailed:
      break;
  }
  return Fail(Kind::kHandshake, "TLS handshake failed: " + std::string(leg.tls()->error()));
}

PartnerOpening::Progress PartnerOpening::Established(Leg& leg, std::int64_t now) {
  facts_.tls = leg.tls()->facts();
  if (!facts_.tls.resumed) {
    (void)ForgetSession();
    session_ = {};
    session_.certificate = leg.tls()->TakePeerCertificate();
  }
  const PeerCertificate* const certificate = session_.certificate.get();
  if (certificate != nullptr) {
    if (!facts_.tls.resumed || now >= session_.judged_until) {
      session_.fault = Judge(*certificate, now);
      session_.judged_until = now + PartnerSessions::kVerdictSeconds;
      if (route_->trust != nullptr) {
        session_.judged_until = std::min(session_.judged_until, route_->trust->good_until());
      }
    }
    facts_.subject = certificate->subject;
    facts_.issuer = certificate->issuer;
    facts_.fingerprint = FormatFingerprint(certificate->certificate);
  } else if (route_->config.policy.tls > EgressTls::kEncrypt) {
    session_.fault = PolicyFault::kNoCertificate;
  }
  facts_.fault = session_.fault;
  if (facts_.fault != PolicyFault::kNone && route_->mode == PolicyMode::kEnforce) {
    trouble_.fault = facts_.fault;
    trouble_.is_passing = IsPassing(facts_.fault);
    return Fail(Kind::kCertificate, std::string(ServerFaultPhrase(facts_.fault)));
  }
  dialogue_.TlsEstablished();
  return Progress::kSomething;
}

PolicyFault PartnerOpening::Judge(const PeerCertificate& certificate, std::int64_t now) {
  OneTrust trust(route_->trust.get(), &certificate, now);
  const PolicyFault fault = JudgeServer(route_->config.policy, certificate, server_->host, trust);
  if (route_->trust != nullptr) complaint_ = route_->trust->complaint();
  return fault;
}

bool PartnerOpening::ForgetSession() {
  if (session_.session == nullptr) return false;
  route_->sessions->Forget(*server_);
  return true;
}

// Tickets come in front of the reply. Where there was none the session in use is as good as before.
// In TLS 1.2 a resumed session has the old keys, and could not become one of TLS 1.3. A server that
// has just failed where it was asked to resume would do so again.
void PartnerOpening::KeepSession(Leg& leg) {
  if (leg.tls() == nullptr || session_.certificate == nullptr ||
      facts_.tls.version != kResumedVersion || resumption_ == TlsResumption::kOff) {
    return;
  }
  if (std::shared_ptr<const TlsSession> session = leg.tls()->TakeSession(); session != nullptr) {
    session_.session = std::move(session);
  }
  if (session_.session != nullptr) route_->sessions->Keep(*server_, std::move(session_));
}

PartnerOpening::Progress PartnerOpening::Converse(Leg& leg) {
  ByteQueue& input = leg.input();
  const std::string_view readable = input.Front();
  const DialogueStep step = dialogue_.Next(readable, input.size(), leg.input_ended());
  if (step.kind != DialogueStep::Kind::kNeedInput) return CarryOut(leg, step);
  if (readable.size() == input.size()) return Progress::kNothing;
  if (readable.size() >= BufferPool::kLargeBytes) {
    return Fail(Kind::kOutOfStep, std::string(DialogueFaultText(DialogueFault::kOutOfStep)));
  }
  const std::size_t wanted =
      std::clamp(2 * readable.size(), BufferPool::kSmallBytes, BufferPool::kLargeBytes);
  return input.Linearize(wanted) == Room::kOk ? Progress::kSomething : Progress::kNeedsBlocks;
}

PartnerOpening::Progress PartnerOpening::CarryOut(Leg& leg, const DialogueStep& step) {
  switch (step.kind) {
    case DialogueStep::Kind::kNeedInput:
      return Progress::kNothing;
    case DialogueStep::Kind::kFailed: {
      std::string words(DialogueFaultText(step.fault));
      if (!step.text.empty()) words.append(": ").append(step.text);
      trouble_.is_passing = step.text.starts_with('4');
      return Fail(TroubleOf(step.fault), std::move(words));
    }
    case DialogueStep::Kind::kStartTls:
      leg.input().Consume(step.octets);
      return BeginTls(leg);
    case DialogueStep::Kind::kSay:
    case DialogueStep::Kind::kReady:
      break;
  }
  leg.input().Consume(step.octets);
  if (leg.output().Append(step.text) != Room::kOk) {
    return Fail(Kind::kShortage, "no memory for a command");
  }
  all_said_ = step.kind == DialogueStep::Kind::kReady;
  return Progress::kSomething;
}

PartnerOpening::Progress PartnerOpening::AwaitReply(Leg& leg) {
  if (!leg.input().empty()) {
    KeepSession(leg);
    if (leg.tls() == nullptr && route_->config.policy.tls > EgressTls::kMay) {
      facts_.fault = PolicyFault::kNoTls;
    }
    return Progress::kReady;
  }
  if (leg.input_ended()) {
    trouble_.is_passing = true;
    return Fail(leg.tls() != nullptr ? Kind::kHandshake : Kind::kLost,
                "closed the connection before it answered EHLO");
  }
  return Progress::kNothing;
}

PartnerOpening::Progress PartnerOpening::Fail(PartnerTrouble::Kind kind, std::string words) {
  trouble_.kind = kind;
  // A handshake may also fail for want of memory, here or there: no reason to give a message back.
  trouble_.is_passing = trouble_.is_passing || kind == Kind::kHandshake;
  trouble_.words = std::move(words);
  // The server may have another certificate by now, or may not know its own ticket.
  trouble_.is_of_resumption =
      (kind == Kind::kHandshake || kind == Kind::kCertificate) && ForgetSession();
  return Progress::kFailed;
}

}  // namespace ringpost
