// SPDX-License-Identifier: GPL-3.0-or-later
//
// A client that draws what it does: STARTTLS or not, pipelined or not, DATA or BDAT, AUTH, commands
// that ringpost has to refuse, pauses, deafness, vanishing in the middle, one deliberate mischief.
// It checks each reply as it comes and keeps the script for the oracle.
//
// Owner: one simulated run, which outlives it.
#ifndef RINGPOST_TESTS_SESSION_RANDOM_CLIENT_H_
#define RINGPOST_TESTS_SESSION_RANDOM_CLIENT_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mischief.h"
#include "script.h"
#include "session_world.h"

namespace ringpost {

// The session that a later client resumes.
struct TicketBox {
  std::unique_ptr<TlsSession> session;
  int resumed = 0;
};

struct RandomClientOptions {
  bool starttls = false;      // says STARTTLS
  bool implicit_tls = false;  // begins with TLS
  const TlsClientContext* tls = nullptr;
  TicketBox* tickets = nullptr;  // null: it never resumes
  bool encrypt = false;          // the route's policy
  bool auth_in_clear = false;    // it lets clients authenticate before TLS
  bool backend_kept = false;     // over STARTTLS
  bool bare_refused = false;     // --bare_newline=reject
  unsigned vanish = 0;           // in 1/10,000 per reply
  unsigned deaf = 0;             // stops reading for a while
  std::size_t content_max = 20'000;
  Mischief mischief = Mischief::kNone;
  int mischief_after = 0;  // so many groups of commands
};

class RandomClient {
 public:
  // `backend_logs` gives the client's backend connections, in order, as far as there are any.
  RandomClient(SessionWorld* world, SimPeer peer, const RandomClientOptions& options,
               std::function<std::vector<const BackendLog*>()> backend_logs);

  // It will do nothing more.
  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] bool vanished() const { return vanished_; }
  // QUIT was answered by 221.
  [[nodiscard]] bool completed() const { return completed_; }
  [[nodiscard]] bool heard_421() const { return heard_421_; }
  [[nodiscard]] Mischief mischief() const {  // kNone also where there was no occasion for it
    return mischief_done_ ? options_.mischief : Mischief::kNone;
  }
  // One of its backends has broken a rule, or gone away.
  [[nodiscard]] bool met_rogue() const;
  [[nodiscard]] const SimPeer& peer() { return end_.peer(); }
  [[nodiscard]] int messages_accepted() const { return messages_accepted_; }
  // The oracle over its backend connections, at the end: empty, or what is wrong.
  [[nodiscard]] std::string Judge(Whole whole) const;
  // For failures: the last lines of the conversation.
  [[nodiscard]] const std::deque<std::string>& history() const { return history_; }
  void Abandon();

 private:
  enum class Next { kGreeting, kHello, kStartTls, kMessage, kContent, kRest, kQuit };

  void OnChange();
  void OnReply(const std::string& reply);
  void OnGreeting(const std::string& reply);
  void OnAccepted(const ScriptItem& item, const std::string& reply);
  void OnReplyAfterMischief(const std::string& reply);
  void CheckReply(const ScriptItem& item, const std::string& reply);
  void CheckHello(const std::string& reply);
  [[nodiscard]] const BackendLog* CurrentLog() const;
  void ContinueSoon();
  void Continue();
  void BeginTls();
  void BeginMessage();
  void Authenticate();
  [[nodiscard]] bool IsHasty();
  void SendChunks();
  void SendContent();
  void Quit();
  void Vanish();
  void End();

  // False: this is not the occasion.
  [[nodiscard]] bool TryMischief();
  [[nodiscard]] bool MischiefDue() const;
  void MisbehaveAtTls();
  void MisbehaveInContent(const std::string& sent, const std::string& expected);
  void Drip();
  void Utter(const std::string& sent, const std::string& expected);  // of which nobody is sure

  void Add(Utterance what, const std::string& sent, Reaches reaches = Reaches::kAlways);
  void AddNoise();
  void SendGroup();
  std::string DrawContent(std::string* expected);
  void After(TimeNs delay, void (RandomClient::*action)());
  [[nodiscard]] std::uint64_t Below(std::uint64_t n) { return world_->io().random().Below(n); }
  [[nodiscard]] bool in_tls() const { return end_.tls_was_ready(); }
  void Note(std::string_view text);

  SessionWorld* world_;
  RandomClientOptions options_;
  std::function<std::vector<const BackendLog*>()> backend_logs_;
  ClientEnd end_;
  std::string name_;
  std::shared_ptr<RandomClient*> alive_;  // for actions that may come after the end
  // What was said before TLS, and on another backend connection since.
  std::vector<std::vector<ScriptItem>> script_;
  std::size_t logs_before_tls_ = 0;
  std::deque<ScriptItem> awaiting_;  // said, not answered
  std::string group_;                // collected, not said
  std::string drip_;
  std::deque<std::string> history_;
  std::size_t reply_index_ = 0;  // into the present backend connection's replies

  Next next_ = Next::kGreeting;
  int messages_left_ = 0;
  int recipients_ = 0;
  int noise_left_ = 4;
  int groups_ = 0;
  bool mail_refused_ = false;
  bool recipient_accepted_ = false;
  bool data_accepted_ = false;
  bool data_said_ = false;
  bool tls_wanted_ = false;
  bool auth_offered_ = false;
  bool auth_said_ = false;
  bool authenticated_ = false;
  bool use_bdat_ = false;
  bool moving_ = false;
  bool mischief_done_ = false;
  bool listening_ = true;  // to what is SMTP
  bool completed_ = false;
  bool heard_421_ = false;
  bool vanished_ = false;
  bool done_ = false;
  int messages_accepted_ = 0;
  int number_ = 0;
};

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SESSION_RANDOM_CLIENT_H_
