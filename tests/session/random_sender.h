// SPDX-License-Identifier: GPL-3.0-or-later
//
// Our own mail server, which hands over mail that leaves: in clear, pipelined or not, DATA or BDAT,
// with pauses, and now and then gone in the middle. It checks each reply as it comes: the greeting
// and EHLO are always accepted, and what is accepted of a message a partner's server has accepted.
//
// Owner: one simulated run, which outlives it.
#ifndef RINGPOST_TESTS_SESSION_RANDOM_SENDER_H_
#define RINGPOST_TESTS_SESSION_RANDOM_SENDER_H_

#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "partner_server.h"
#include "session_world.h"

namespace ringpost {

struct SenderOptions {
  bool hard_bounce = false;  // the route's
  unsigned vanish = 0;       // in 1/10,000 per reply
  std::size_t content_max = 20'000;
};

class RandomSender {
 public:
  RandomSender(SessionWorld* world, SimPeer peer, const SenderOptions& options,
               const PartnerServer* partner, Ledger* ledger);

  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] bool vanished() const { return vanished_; }
  // QUIT was answered by 221.
  [[nodiscard]] bool completed() const { return completed_; }
  [[nodiscard]] bool heard_421() const { return heard_421_; }
  // Messages that were kept back, with ringpost's own words.
  [[nodiscard]] int held() const { return held_; }
  [[nodiscard]] int acknowledged() const { return acknowledged_; }
  // For failures: the last lines of the conversation.
  [[nodiscard]] const std::deque<std::string>& history() const { return history_; }
  void Abandon();

 private:
  enum class What { kHello, kMail, kRcpt, kData, kContent, kOther, kQuit };
  struct Item {
    What what = What::kOther;
    std::string command;
  };
  enum class Next { kMessage, kContent, kRetry, kQuit };

  void OnChange();
  void OnReply(const std::string& reply);
  void CheckReply(const Item& item, const std::string& reply);
  void CheckRefusal(const Item& item, const std::string& reply);
  void OnHeard(const Item& item, const std::string& reply);
  void ContinueSoon();
  void Continue();
  void BeginMessage();
  void SendContent();
  void Retry();
  void Hello();
  void Add(What what, const std::string& command);
  void Send();
  void Vanish();
  [[nodiscard]] Message& message() { return (*ledger_)[sender_]; }
  [[nodiscard]] std::string DrawContent();
  [[nodiscard]] std::uint64_t Below(std::uint64_t n) { return world_->io().random().Below(n); }
  void Note(std::string_view text);

  SessionWorld* world_;
  SenderOptions options_;
  const PartnerServer* partner_;
  Ledger* ledger_;
  ClientEnd end_;
  std::uint16_t port_;
  std::string name_;
  std::shared_ptr<RandomSender*> alive_;  // for actions that may come after the end
  std::deque<Item> awaiting_;             // said, not answered
  std::deque<Item> later_;                // of a group, where it may not be sent as one
  std::string group_;
  std::deque<std::string> history_;
  std::string sender_;  // of the message at hand
  Next next_ = Next::kMessage;
  int messages_left_ = 0;
  int number_ = 0;
  int retries_left_ = 3;
  int held_ = 0;
  int acknowledged_ = 0;
  bool greeted_ = false;
  bool pipelining_ = false;
  bool chunking_ = false;
  bool mail_accepted_ = false;
  bool recipient_accepted_ = false;
  bool data_accepted_ = false;
  bool moving_ = false;
  bool completed_ = false;
  bool heard_421_ = false;
  bool vanished_ = false;
  bool done_ = false;
};

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SESSION_RANDOM_SENDER_H_
