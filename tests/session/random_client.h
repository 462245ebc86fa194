// SPDX-License-Identifier: GPL-3.0-or-later
//
// A client that draws what it does: STARTTLS or not, pipelined or not, DATA or BDAT, commands that
// ringpost has to refuse, pauses, deafness, vanishing in the middle. It checks each reply as it
// comes and keeps the script for the oracle.
#ifndef RINGPOST_TESTS_SESSION_RANDOM_CLIENT_H_
#define RINGPOST_TESTS_SESSION_RANDOM_CLIENT_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "script.h"
#include "session_world.h"

namespace ringpost {

struct RandomClientOptions {
  bool starttls = false;      // says STARTTLS
  bool implicit_tls = false;  // begins with TLS
  unsigned vanish = 0;        // in 1/10,000 per reply
  unsigned deaf = 0;          // stops reading for a while
  std::size_t content_max = 60'000;
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
  [[nodiscard]] SimCut cut() { return end_.peer().cut(); }
  [[nodiscard]] int messages_accepted() const { return messages_accepted_; }
  // One list of items per backend connection.
  [[nodiscard]] const std::vector<std::vector<ScriptItem>>& script() const { return script_; }
  // For failures: the last lines of the conversation.
  [[nodiscard]] const std::deque<std::string>& history() const { return history_; }
  void Abandon();

 private:
  enum class Next { kGreeting, kHello, kMessage, kContent, kRest };

  void OnChange();
  void OnReply(const std::string& reply);
  void CheckReply(const ScriptItem& item, const std::string& reply);
  void Continue();
  void BeginMessage();
  void SendChunks();
  void SendContent();
  void Vanish();
  void End();

  void Add(Utterance what, const std::string& sent, Reaches reaches = Reaches::kAlways);
  void AddNoise();
  void SendGroup();
  std::string DrawContent(std::string* expected);
  [[nodiscard]] std::uint64_t Below(std::uint64_t n) { return world_->io().random().Below(n); }
  void Note(const std::string& text);

  SessionWorld* world_;
  RandomClientOptions options_;
  std::function<std::vector<const BackendLog*>()> backend_logs_;
  ClientEnd end_;
  std::shared_ptr<RandomClient*> alive_;  // for actions that may come after the end
  std::vector<std::vector<ScriptItem>> script_;
  std::deque<ScriptItem> awaiting_;  // said, not answered
  std::string group_;                // collected, not said
  std::deque<std::string> history_;
  std::size_t reply_index_ = 0;  // into the present backend connection's replies

  Next next_ = Next::kGreeting;
  int messages_left_ = 0;
  int recipients_ = 0;
  int noise_left_ = 4;
  bool mail_refused_ = false;
  bool recipient_accepted_ = false;
  bool data_accepted_ = false;
  bool data_said_ = false;
  bool tls_wanted_ = false;
  bool greeted_ = false;
  bool use_bdat_ = false;
  bool moving_ = false;
  bool quit_said_ = false;
  bool completed_ = false;
  bool heard_421_ = false;
  bool vanished_ = false;
  bool done_ = false;
  int messages_accepted_ = 0;
  int number_ = 0;
};

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SESSION_RANDOM_CLIENT_H_
