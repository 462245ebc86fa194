// SPDX-License-Identifier: GPL-3.0-or-later
//
// The replies that ringpost makes itself: refusals of single commands, the last words of a session,
// and what the relay remembers of each reply the client is still owed. None of them is a 2xx to
// MAIL, RCPT, AUTH, DATA or BDAT (PROTOCOL 7).
#ifndef RINGPOST_SMTP_LOCAL_REPLY_H_
#define RINGPOST_SMTP_LOCAL_REPLY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ringpost/base/outcome.h"

namespace ringpost {

enum class LocalReply : std::uint8_t {
  // One command is refused; the session goes on.
  kNotRecognized,
  kLineTooLong,
  kBadSyntax,
  kEmptyLine,
  kLeadingBlank,
  kNulInCommand,
  kInvalidUtf8,
  kSmtputf8Needed,
  kHelloSyntax,
  kNotImplemented,
  kStarttlsParameter,
  kStarttlsNotOffered,
  kTlsActive,
  kMustStarttls,
  kEncryptionRequired,
  kBadSequence,
  kMailNeeded,
  kChunkingNotOffered,
  kDataAfterBdat,
  kAlreadyAuthenticated,
  kMechanismNotOffered,
  // To a client that has no backend yet, or none that can be used; no refusal.
  kOk,
  // The session ends with it.
  kBye,
  kTooManyErrors,
  kDiscardTooLong,
  kBdatSyntax,
  kForeignProtocol,
  kContentBefore354,
  kBareNewline,
  kPolicyChanged,
};

// The complete reply, for those that name no host; empty for those that end the session.
[[nodiscard]] std::string_view LocalReplyText(LocalReply reply);
// Its code and enhanced code, for all of them: "530 5.7.0".
[[nodiscard]] std::string_view LocalReplyCode(LocalReply reply);
// The same of any reply: without an enhanced code "550".
[[nodiscard]] std::string_view ReplyCode(std::string_view reply);
// kNone for those the session survives.
[[nodiscard]] CloseReason LocalReplyClose(LocalReply reply);
// The complete reply, for those that end the session: they say which host it was.
[[nodiscard]] std::string ClosingText(LocalReply reply, std::string_view hostname);
// The reply to EHLO where there is no backend whose list could be passed on. `keywords`: those of
// another time (KeptKeywords()); null: what nearly every mail server has. A sender that misses
// something here gives its mail back rather than keep it: SIZE and 8BITMIME, SMTPUTF8.
[[nodiscard]] std::string EhloReplyWithoutBackend(std::string_view hostname,
                                                  const std::string* keywords);
// The same for reasons that no command of the client gave; empty where nothing is to be said.
[[nodiscard]] std::string ClosingText(CloseReason reason, std::string_view hostname);
// The same where mail leaves, and the session ends because of the partner's server: "451 4.4.2
// mx.partner.example (192.0.2.1:25): closed the connection"; empty for other reasons.
[[nodiscard]] std::string LostServerText(CloseReason reason, std::string_view code,
                                         std::string_view server);

// What we refused last, for the log: "MAIL 530 5.7.0". Our own words only, none of the client's.
class LastRefusal {
 public:
  // `verb` is one of FindCommand()'s names.
  void Set(std::string_view verb, std::string_view code);
  [[nodiscard]] std::string_view text() const { return {text_.data(), length_}; }

 private:
  std::array<char, 23> text_{};
  std::uint8_t length_ = 0;
};

// A reply that the client is owed.
struct PendingReply {
  enum class From : std::uint8_t {
    kLocal,     // `local`, once it is its turn
    kHello,     // the backend, to EHLO
    kOldHello,  // to HELO
    kMail,
    kData,
    kFinal,      // to the final dot
    kChunk,      // to BDAT without LAST
    kChunkLast,  // to BDAT with LAST
    kReset,
    kNoop,
    kAuth,
    kQuit,
    kOther,  // its code decides nothing here
  };
  From from = From::kLocal;
  LocalReply local = LocalReply::kNotRecognized;
};

// Whether such a reply says what became of a message.
[[nodiscard]] constexpr bool AnswersContent(PendingReply::From from) {
  return from == PendingReply::From::kFinal || from == PendingReply::From::kChunkLast;
}

// First in, first out, of a fixed size: a client that pipelines more has to wait.
class PendingReplies {
 public:
  static constexpr std::size_t kCapacity = 128;

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] bool full() const { return size_ == kCapacity; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] PendingReply front() const { return entries_[first_]; }  // not empty
  void Push(PendingReply reply);                                         // not full
  void Pop();                                                            // not empty

 private:
  std::array<PendingReply, kCapacity> entries_{};
  std::uint8_t first_ = 0;
  std::uint8_t size_ = 0;
};

}  // namespace ringpost

#endif  // RINGPOST_SMTP_LOCAL_REPLY_H_
