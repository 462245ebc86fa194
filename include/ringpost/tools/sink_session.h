// SPDX-License-Identifier: GPL-3.0-or-later
//
// The SMTP server of ringpost-sink for one connection, as a pure state machine: octets in, replies
// out. It has no socket and no clock, and keeps no octet of a message itself.
//
// Owner: the sink's connection. Strict where RFC 5321 is, so that what a proxy gets wrong is seen
// here. Memory is bounded by SinkOptions and the limits below, whatever the peer sends.
#ifndef RINGPOST_TOOLS_SINK_SESSION_H_
#define RINGPOST_TOOLS_SINK_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ringpost/identity/proxy_header.h"
#include "ringpost/identity/xclient.h"
#include "ringpost/tools/content_reader.h"
#include "ringpost/tools/sink_options.h"

namespace ringpost {

// Everything the sink knows of a message but its content.
struct SinkEnvelope {
  std::string identity = "none";  // "proxy-v1", "proxy-v2", "proxy-local", "xclient"
  std::string client;             // as told, else the connection's own peer
  std::uint16_t client_port = 0;
  std::string server;
  std::uint16_t server_port = 0;

  bool tls = false;  // the client spoke TLS to the proxy; what follows is from the PROXY header
  std::string tls_version;
  std::string tls_cipher;
  std::string tls_group;
  std::string tls_sni;
  std::string tls_client_name;
  bool tls_client_verified = false;

  std::string protocol;  // "SMTP" or "ESMTP"
  std::string helo;
  std::string auth_user;
  std::string mail_from;
  std::string mail_parameters;
  std::vector<std::string> recipients;
  bool chunked = false;      // came with BDAT
  std::uint64_t octets = 0;  // of the content, dots unstuffed
};

// Where accepted messages go. One per connection. False means that it cannot be kept: the message
// gets a 452.
class MessageStore {
 public:
  virtual ~MessageStore() = default;
  [[nodiscard]] virtual bool Append(std::string_view content) = 0;
  // The message is complete; also called for an empty one.
  [[nodiscard]] virtual bool Commit(const SinkEnvelope& envelope) = 0;
  // Forgets what was appended since the last Commit().
  virtual void Discard() = 0;
  // Under which number the last message was kept; 0: this store has no numbers.
  [[nodiscard]] virtual std::uint64_t last_number() const { return 0; }
};

enum class SinkEnd : std::uint8_t {
  kNone,
  kClose,  // send the reply, then close
  kReset,  // drop the connection with a RST, now
  kStall,  // neither read nor write again, but keep the connection
};

struct [[nodiscard]] SinkStep {
  std::size_t consumed = 0;
  std::string_view reply{};  // valid until the next call
  SinkEnd end = SinkEnd::kNone;

  // More octets are needed.
  [[nodiscard]] bool idle() const {
    return consumed == 0 && reply.empty() && end == SinkEnd::kNone;
  }
};

class SinkSession {
 public:
  // No step needs more contiguous octets than this: AUTH lines (RFC 4954 4) and PROXY headers.
  static constexpr std::size_t kLineMax = 12288;

  // `options` is resolved; both must outlive the session. `store` may be null: content is
  // discarded. `peer` and `server` are the connection's own addresses without port.
  SinkSession(const SinkOptions* options, MessageStore* store, std::string_view peer,
              std::uint16_t peer_port, std::string_view server, std::uint16_t server_port);

  // To be called once, first: the greeting, unless a PROXY header has to come before it.
  SinkStep Start();
  // One step; `readable` are the contiguous octets at the front of what was received, up to
  // kLineMax of them if there are that many.
  SinkStep Next(std::string_view readable);
  // The connection has ended: a message without its end is forgotten.
  void Closed();

  // Complete after a message was accepted, until the next command.
  [[nodiscard]] const SinkEnvelope& envelope() const { return envelope_; }
  [[nodiscard]] std::uint32_t messages() const { return messages_; }
  [[nodiscard]] std::uint64_t octets() const { return octets_; }  // of accepted messages

 private:
  enum class State : std::uint8_t {
    kIdentity,
    kCommand,
    kAuthPlain,
    kAuthUser,
    kAuthPassword,
    kData,
    kChunk,
    kLongLine,  // discards up to the next CRLF
    kEnded,
  };
  // Framing, in sink_session.cc.
  SinkStep NextIdentity(std::string_view readable);
  SinkStep NextLine(std::string_view readable);
  SinkStep NextData(std::string_view readable);
  SinkStep NextChunk(std::string_view readable);
  SinkStep NextLongLine(std::string_view readable);

  // Commands, in sink_commands.cc; `argument` is what follows the verb and one blank.
  SinkStep OnCommand(std::string_view line);
  SinkStep OnAuthLine(std::string_view line);
  SinkStep Ehlo(std::string_view argument);
  SinkStep Helo(std::string_view argument);
  SinkStep Mail(std::string_view argument);
  SinkStep Rcpt(std::string_view argument);
  SinkStep Data(std::string_view argument);
  SinkStep Bdat(std::string_view argument);
  SinkStep Auth(std::string_view argument);
  SinkStep AuthFinish(std::string_view user, std::string_view password);
  SinkStep Xclient(std::string_view argument);

  SinkStep Greet();
  SinkStep FinishChunk();
  SinkStep FinishMessage();
  SinkStep Accept(std::string_view reply, std::string_view subject);
  SinkStep End(std::string_view reply, SinkEnd end = SinkEnd::kClose);
  void AppendContent(std::string_view content);
  void ResetTransaction();
  [[nodiscard]] bool Fault(SinkFault fault) const { return options_->fault == fault; }

  const SinkOptions* options_;
  MessageStore* store_;
  State state_ = State::kCommand;
  bool greeted_ = false;    // EHLO or HELO was accepted
  bool in_mail_ = false;    // MAIL was accepted
  bool utf8_mail_ = false;  // with SMTPUTF8
  bool too_big_ = false;
  bool store_failed_ = false;
  bool chunk_last_ = false;
  bool refusing_ = false;  // greeted with 554: only QUIT works
  std::uint64_t chunk_left_ = 0;
  std::string_view chunk_refusal_;  // the reply to a chunk that is only drained; static
  std::size_t long_line_octets_ = 0;
  std::uint32_t messages_ = 0;
  std::uint64_t octets_ = 0;  // of accepted messages
  ContentReader content_;
  SinkEnvelope envelope_;
  std::string auth_user_;        // who authenticated, if anybody did
  std::string auth_login_user_;  // AUTH LOGIN's first answer
  std::string reply_;            // backs SinkStep::reply where it is not static
};

}  // namespace ringpost

#endif  // RINGPOST_TOOLS_SINK_SESSION_H_
