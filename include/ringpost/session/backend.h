// SPDX-License-Identifier: GPL-3.0-or-later
//
// How a session comes by its mail server: which address, a descriptor for it, the connect, who is
// calling, the next address where one is of no use, and a second connection where STARTTLS wants
// one. Every step is answered with one of a few answers; whether the session goes on is its own to
// decide.
//
// The leg and its octets are the session's. Backend opens and shuts the socket, writes what comes
// in front of the relay's octets and behind the last of them, and only looks at what has come. A
// partner's server is the exception: until it is opened, all of both sides is PartnerOpening's.
//
// Owner: the session. It holds a descriptor only while the leg has none.
#ifndef RINGPOST_SESSION_BACKEND_H_
#define RINGPOST_SESSION_BACKEND_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ringpost/base/outcome.h"
#include "ringpost/io/io.h"
#include "ringpost/session/leg.h"
#include "ringpost/session/next_hop.h"
#include "ringpost/session/partner_opening.h"

namespace ringpost {

// Whether an errno says that descriptors, or the kernel's memory for them, have run out: ours, and
// it passes, unlike most others.
[[nodiscard]] bool IsShortage(int error);

// What it needs of the shard.
class BackendHost {
 public:
  virtual ~BackendHost() = default;
  [[nodiscard]] virtual Io& io() = 0;
  // It has said something of an upstream's health: a probe may be due.
  virtual void HealthChanged() = 0;
  // `words`: what it said, where that was wrong; may be empty.
  virtual void BackendFailed(const UpstreamConfig& upstream, const Endpoint& endpoint,
                             CloseReason reason, int error, std::string_view words) = 0;
  // It was passed over, and has greeted a session again.
  virtual void BackendRecovered(const UpstreamConfig& upstream, const Endpoint& endpoint) = 0;
  // TrustStore::complaint(), of a peer's certificate.
  virtual void TrustComplaint(const std::string& sentence) = 0;
  // Seconds since the epoch.
  [[nodiscard]] virtual std::int64_t WallClock() const = 0;
};

class Backend {
 public:
  struct Answer {
    enum class Kind : std::uint8_t {
      kNothing,          // for the session to do
      kConnecting,       // to one more address
      kNeedsProof,       // OnProof() when a probe has had its answer
      kNeedsDescriptor,  // Advance() when there may be one; `error`: why there is none
      kConnected,        // Introduce() is due, before anything else is sent
      kReady,            // a partner's server: from here on its octets are the relay's
      kNeedsBlocks,      // of the pool
      kMore,             // OpenOn() may go on at once
      kFailed,           // for `reason`, and `detail` where there is more to say; nothing is left
    };
    Kind kind = Kind::kNothing;
    CloseReason reason = CloseReason::kNone;
    int error = 0;
    const char* detail = nullptr;
  };

  // All outlive it.
  Backend(BackendHost* host, Leg* leg, const NextHop* next_hop)
      : host_(host),
        leg_(leg),
        next_hop_(next_hop),
        partner_(next_hop->partner() != nullptr ? std::make_unique<Partner>() : nullptr) {}
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  // A descriptor of the next hop's FirstFamily(), opened beforehand; or -1.
  void Adopt(int fd);
  // A new connection, to whichever address is best now; the one there is ends.
  [[nodiscard]] Answer Start();
  // To be called in each turn of a session whose leg is not open.
  [[nodiscard]] Answer Advance();
  [[nodiscard]] Answer OnProof();
  [[nodiscard]] Answer OnConnect(const Completion& completion);
  // kNoBlocks: it could not be told who is calling.
  [[nodiscard]] Room Introduce(const ClientIdentity& identity);

  // Until it has greeted: goes on to the next address where what has come, or the end, shows that
  // this one will not and another may. The leg is not open then.
  [[nodiscard]] Answer LookForGreeting();
  // `words`: the first that the relay has taken of it.
  void OnGreeting(std::string_view words);
  // It has spoken since it was connected.
  [[nodiscard]] bool greeted() const { return greeted_; }

  // --- A partner's server is opened with the client's hello, "EHLO name" with its CRLF, to be set
  // before Start(). OpenOn() is to be called whenever octets may have come, or the end, until it is
  // kReady.
  void SetHello(std::string_view line) { partner_->hello = line; }
  [[nodiscard]] Answer OpenOn();
  [[nodiscard]] bool is_partner() const { return partner_ != nullptr; }
  [[nodiscard]] bool opening() const { return is_partner() && partner_->opening != nullptr; }
  // The time of one address is over, and that of all. `lacks_blocks`: of the pool, so that the
  // server is not to blame.
  [[nodiscard]] Answer OnOpeningOverdue(bool lacks_blocks);
  [[nodiscard]] Answer GiveUp(bool lacks_blocks);
  // After kFailed: the reply to MAIL; and what it says, for the log.
  [[nodiscard]] std::string Apology() const;
  [[nodiscard]] const PartnerTrouble& trouble() const { return partner_->trouble; }
  // Since kReady, or after kFailed of the address that was tried last.
  [[nodiscard]] const PartnerFacts& partner() const { return partner_->facts; }

  // Time is up.
  [[nodiscard]] Answer OnProofOverdue();
  [[nodiscard]] Answer OnConnectOverdue();
  // As LookForGreeting().
  [[nodiscard]] Answer OnGreetingOverdue();

  // Says goodbye; the connection ends when that is sent and answered, or at the next Start().
  void Retire();
  // The relay has seen the session's end, for `reason`: says what that means for the address.
  // Returns the reason that it really is.
  [[nodiscard]] CloseReason Account(CloseReason reason);
  // No connection any more, and none to come. kRetire: the leg's last octets are the session's to
  // send.
  enum class Ending : std::uint8_t { kAtOnce, kRetire };
  void Abandon(Ending ending = Ending::kAtOnce);
  // Has a line written of an end for `reason` that says something new of the address.
  void Report(CloseReason reason, std::string_view detail);

  // The address that is used, or was tried last.
  [[nodiscard]] const Endpoint& endpoint() const { return next_hop_->address(address_); }
  [[nodiscard]] bool needs_proof() const { return wants_ == Wants::kProof; }
  // It has not greeted, and another address may do better.
  [[nodiscard]] bool MayTryAnother() const;

 private:
  enum class Wants : std::uint8_t {
    kNothing,
    kProof,       // an address, as soon as one is proven
    kConnection,  // as soon as the leg is idle and there is a descriptor
  };

  [[nodiscard]] std::optional<Answer> Pick();
  [[nodiscard]] Answer NoneProven() const;
  [[nodiscard]] Answer Connect();
  [[nodiscard]] Answer TryNext(CloseReason reason, int error);
  void BeginOpening();
  [[nodiscard]] PartnerTrouble Overdue(bool lacks_blocks);
  [[nodiscard]] Answer WithoutDescriptor();
  [[nodiscard]] Answer OpeningFailed(PartnerTrouble trouble);
  void Blame(NextHop::Fault fault);
  void HoldSocket();
  [[nodiscard]] int TakeSocket(int family);
  void ReleaseSocket();

  BackendHost* host_;
  Leg* leg_;
  const NextHop* next_hop_;
  std::uint64_t tried_ = 0;  // a bit for each address
  TimeNs wanted_since_ = 0;
  int held_fd_ = -1;           // not connected yet
  std::uint8_t held_for_ = 0;  // an address of its family
  std::uint8_t address_ = 0;
  Wants wants_ = Wants::kNothing;
  bool greeted_ = false;
  struct Partner {
    std::string hello;
    std::unique_ptr<PartnerOpening> opening;
    PartnerTrouble trouble;
    PartnerFacts facts;
    bool in_clear = false;  // TLS has failed with this address, and mail may go without
    // Off: an earlier session has been of no use with this address.
    TlsResumption resumption = TlsResumption::kOn;
  };
  std::unique_ptr<Partner> partner_;  // null: it is our own mail server
};

}  // namespace ringpost

#endif  // RINGPOST_SESSION_BACKEND_H_
