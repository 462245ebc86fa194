// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the sink answers to each command.
#include <algorithm>
#include <array>

#include "ringpost/tools/ascii.h"
#include "ringpost/tools/sink_arguments.h"
#include "ringpost/tools/sink_session.h"

namespace ringpost {
namespace {

enum class Verb : std::uint8_t {
  kEhlo,
  kHelo,
  kMail,
  kRcpt,
  kData,
  kBdat,
  kRset,
  kNoop,
  kQuit,
  kVrfy,
  kHelp,
  kAuth,
  kStarttls,
  kXclient,
  kNotImplemented,
  kUnknown,
};

struct VerbName {
  std::string_view name;
  Verb verb;
};
constexpr auto kVerbs = std::to_array<VerbName>({
    {"EHLO", Verb::kEhlo},
    {"HELO", Verb::kHelo},
    {"MAIL", Verb::kMail},
    {"RCPT", Verb::kRcpt},
    {"DATA", Verb::kData},
    {"BDAT", Verb::kBdat},
    {"RSET", Verb::kRset},
    {"NOOP", Verb::kNoop},
    {"QUIT", Verb::kQuit},
    {"VRFY", Verb::kVrfy},
    {"HELP", Verb::kHelp},
    {"AUTH", Verb::kAuth},
    {"STARTTLS", Verb::kStarttls},
    {"XCLIENT", Verb::kXclient},
    {"EXPN", Verb::kNotImplemented},
    {"ETRN", Verb::kNotImplemented},
});

Verb VerbOf(std::string_view word) {
  for (const VerbName& entry : kVerbs) {
    if (EqualsIgnoreCase(entry.name, word)) {
      return entry.verb;
    }
  }
  return Verb::kUnknown;
}

bool HasNonAscii(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
}

constexpr std::string_view kOk = "250 2.0.0 Ok\r\n";
constexpr std::string_view kUnknownCommand = "500 5.5.2 Command not recognized\r\n";
constexpr std::string_view kNotImplemented = "502 5.5.1 Command not implemented\r\n";
constexpr std::string_view kBadSequence = "503 5.5.1 Bad sequence of commands\r\n";
constexpr std::string_view kBadArgument = "501 5.5.4 Syntax error in the argument\r\n";
constexpr std::string_view kUnknownParameter = "555 5.5.4 Parameter not recognized\r\n";
constexpr std::string_view kGoingDown = "421 4.3.2 Service shutting down\r\n";

// 600 octets with its CRLF; RFC 5321 4.5.3.1.5 allows 512.
const std::string& LongReply() {
  static const std::string reply = "250 2.1.0 " + std::string(588, 'x') + "\r\n";
  return reply;
}

}  // namespace

SinkStep SinkSession::OnCommand(std::string_view line) {
  const std::size_t blank = line.find(' ');
  const std::string_view argument =
      blank == std::string_view::npos ? std::string_view() : line.substr(blank + 1);
  const Verb verb = VerbOf(line.substr(0, blank));
  if (refusing_ && verb != Verb::kQuit) {
    return {.reply = kBadSequence};
  }
  switch (verb) {
    case Verb::kEhlo:
      return Ehlo(argument);
    case Verb::kHelo:
      return Helo(argument);
    case Verb::kMail:
      return Mail(argument);
    case Verb::kRcpt:
      return Rcpt(argument);
    case Verb::kData:
      return Data(argument);
    case Verb::kBdat:
      return Bdat(argument);
    case Verb::kRset:
      if (!argument.empty()) {
        return {.reply = kBadArgument};
      }
      ResetTransaction();
      return {.reply = kOk};
    case Verb::kNoop:
      return {.reply = kOk};
    case Verb::kQuit:
      return argument.empty() ? End("221 2.0.0 Bye\r\n") : SinkStep{.reply = kBadArgument};
    case Verb::kVrfy:
      return {.reply = "252 2.5.0 Cannot verify, send it\r\n"};
    case Verb::kHelp:
      return {.reply = "214 2.0.0 This is ringpost-sink: it takes mail and forgets it\r\n"};
    case Verb::kAuth:
      return Auth(argument);
    case Verb::kStarttls:
      return {.reply = Fault(SinkFault::kStarttlsAdvertised) ? "454 4.7.0 TLS not available\r\n"
                                                             : kNotImplemented};
    case Verb::kXclient:
      return Xclient(argument);
    case Verb::kNotImplemented:
      return {.reply = kNotImplemented};
    case Verb::kUnknown:
      break;
  }
  return {.reply = kUnknownCommand};
}

SinkStep SinkSession::Ehlo(std::string_view argument) {
  if (Fault(SinkFault::kRejectEhlo)) {
    return {.reply = kNotImplemented};
  }
  if (argument.empty()) {
    return {.reply = kBadArgument};
  }
  ResetTransaction();
  greeted_ = true;
  envelope_.protocol = "ESMTP";
  envelope_.helo = argument;
  return {.reply = options_->ehlo_reply};
}

SinkStep SinkSession::Helo(std::string_view argument) {
  if (argument.empty()) {
    return {.reply = kBadArgument};
  }
  ResetTransaction();
  greeted_ = true;
  envelope_.protocol = "SMTP";
  envelope_.helo = argument;
  reply_ = "250 " + options_->hostname + "\r\n";
  return {.reply = reply_};
}

SinkStep SinkSession::Mail(std::string_view argument) {
  if (!greeted_ || in_mail_) {
    return {.reply = kBadSequence};
  }
  const std::optional<PathArgument> path = ParsePath(argument, "FROM:");
  if (!path) {
    return {.reply = kBadArgument};
  }
  const MailParameters parameters = ParseMailParameters(path->parameters);
  if (parameters.error == ParameterError::kUnknown ||
      (parameters.smtputf8 && !options_->smtputf8)) {
    return {.reply = kUnknownParameter};
  }
  if (parameters.error == ParameterError::kSyntax) {
    return {.reply = kBadArgument};
  }
  if (HasNonAscii(path->path) && !parameters.smtputf8) {
    return {.reply = "553 5.6.7 Address needs SMTPUTF8\r\n"};
  }
  if (options_->size_max != 0 && parameters.size > options_->size_max) {
    return {.reply = "552 5.3.4 Message too big\r\n"};
  }
  switch (options_->fault) {
    case SinkFault::k421AtMail:
      return End(kGoingDown);
    case SinkFault::kRejectMail:
      return {.reply = "550 5.7.1 Sender refused\r\n"};
    case SinkFault::kDeferMail:
      return {.reply = "451 4.7.1 Try again later\r\n"};
    case SinkFault::kSilentAtMail:
      return End({}, SinkEnd::kStall);
    case SinkFault::kCloseAfterMail:
      return End("250 2.1.0 Ok\r\n");
    case SinkFault::kBadReplyCode:
      return {.reply = "250-a\r\n550 b\r\n"};
    case SinkFault::kBareLfReply:
      return {.reply = "250 2.1.0 Ok\n"};
    case SinkFault::kLongReply:
      return {.reply = LongReply()};
    default:
      break;
  }
  ResetTransaction();
  in_mail_ = true;
  utf8_mail_ = parameters.smtputf8;
  envelope_.mail_from = path->path;
  envelope_.mail_parameters = path->parameters;
  envelope_.auth_user = auth_user_;
  envelope_.recipients.clear();
  envelope_.chunked = false;
  return Accept("250 2.1.0 Ok", path->path);
}

SinkStep SinkSession::Rcpt(std::string_view argument) {
  if (!in_mail_ || envelope_.chunked) {
    return {.reply = kBadSequence};
  }
  const std::optional<PathArgument> path = ParsePath(argument, "TO:");
  if (!path || path->path.empty()) {
    return {.reply = kBadArgument};
  }
  switch (CheckRcptParameters(path->parameters)) {
    case ParameterError::kNone:
      break;
    case ParameterError::kSyntax:
      return {.reply = kBadArgument};
    case ParameterError::kUnknown:
      return {.reply = kUnknownParameter};
  }
  if (HasNonAscii(path->path) && !utf8_mail_) {
    return {.reply = "553 5.6.7 Address needs SMTPUTF8\r\n"};
  }
  if (Fault(SinkFault::kRejectRcpt)) {
    return {.reply = "550 5.1.1 No such user\r\n"};
  }
  if (Fault(SinkFault::kCloseAfterRcpt)) {
    return End("250 2.1.5 Ok\r\n");
  }
  if (envelope_.recipients.size() >= options_->recipients_max) {
    return {.reply = "452 4.5.3 Too many recipients\r\n"};
  }
  envelope_.recipients.emplace_back(path->path);
  return Accept("250 2.1.5 Ok", path->path);
}

SinkStep SinkSession::Data(std::string_view argument) {
  if (!argument.empty()) {
    return {.reply = kBadArgument};
  }
  // RFC 3030 2: DATA and BDAT do not mix in one transaction.
  if (!in_mail_ || envelope_.chunked) {
    return {.reply = kBadSequence};
  }
  if (envelope_.recipients.empty()) {
    return {.reply = "554 5.5.1 No valid recipients\r\n"};
  }
  if (Fault(SinkFault::kRejectData)) {
    return {.reply = "554 5.7.1 No content wanted\r\n"};
  }
  state_ = State::kData;
  content_.Begin(options_->line_end);
  return {.reply = Fault(SinkFault::kEarlyReply)
                       ? "354 End data with <CR><LF>.<CR><LF>\r\n250 2.0.0 Ok: too early\r\n"
                       : "354 End data with <CR><LF>.<CR><LF>\r\n"};
}

SinkStep SinkSession::Bdat(std::string_view argument) {
  const std::optional<ChunkArgument> chunk = ParseChunk(argument);
  if (!chunk) {
    // How many octets follow is not known, so no command can be found behind them.
    return End(kBadArgument);
  }
  chunk_left_ = chunk->octets;
  chunk_last_ = chunk->last;
  chunk_refusal_ = {};
  if (!options_->chunking) {
    chunk_refusal_ = kNotImplemented;
  } else if (!in_mail_) {
    chunk_refusal_ = kBadSequence;
  } else if (envelope_.recipients.empty()) {
    chunk_refusal_ = "554 5.5.1 No valid recipients\r\n";
  } else if (Fault(SinkFault::kRejectData)) {
    chunk_refusal_ = "554 5.7.1 No content wanted\r\n";
  }
  envelope_.chunked = true;
  if (chunk_left_ == 0) {
    return FinishChunk();
  }
  state_ = State::kChunk;
  return {};
}

SinkStep SinkSession::Auth(std::string_view argument) {
  if (!options_->auth) {
    return {.reply = kNotImplemented};
  }
  // RFC 4954 4: not twice, and not inside a transaction.
  if (!greeted_ || in_mail_ || !auth_user_.empty()) {
    return {.reply = kBadSequence};
  }
  const std::size_t blank = argument.find(' ');
  const std::string_view mechanism = argument.substr(0, blank);
  std::string_view initial =
      blank == std::string_view::npos ? std::string_view() : argument.substr(blank + 1);
  const bool has_initial = !initial.empty();
  if (initial == "=") {
    initial = {};
  }
  if (EqualsIgnoreCase(mechanism, "PLAIN")) {
    state_ = State::kAuthPlain;
    return has_initial ? OnAuthLine(initial) : SinkStep{.reply = "334 \r\n"};
  }
  if (EqualsIgnoreCase(mechanism, "LOGIN")) {
    state_ = State::kAuthUser;
    return has_initial ? OnAuthLine(initial) : SinkStep{.reply = "334 VXNlcm5hbWU6\r\n"};
  }
  return {.reply = "504 5.5.4 Mechanism not supported\r\n"};
}

SinkStep SinkSession::OnAuthLine(std::string_view line) {
  const State state = state_;
  state_ = State::kCommand;
  if (state == State::kAuthPlain) {
    const std::optional<PlainCredentials> credentials = ParseAuthPlain(line);
    return credentials ? AuthFinish(credentials->user, credentials->password)
                       : SinkStep{.reply = kBadArgument};
  }
  const std::optional<std::string> answer = DecodeBase64(line);  // fails for the "*" of a cancel
  if (!answer) {
    auth_login_user_.clear();
    return {.reply = kBadArgument};
  }
  if (state == State::kAuthUser) {
    auth_login_user_ = *answer;
    state_ = State::kAuthPassword;
    return {.reply = "334 UGFzc3dvcmQ6\r\n"};
  }
  return AuthFinish(auth_login_user_, *answer);
}

SinkStep SinkSession::AuthFinish(std::string_view user, std::string_view password) {
  if (user != "test" || password != "test") {
    return {.reply = "535 5.7.8 Authentication failed\r\n"};
  }
  auth_user_ = user;
  return {.reply = "235 2.7.0 Authentication successful\r\n"};
}

SinkStep SinkSession::Xclient(std::string_view argument) {
  if (options_->identity != SinkIdentity::kXclient) {
    return {.reply = kUnknownCommand};
  }
  if (in_mail_) {
    return {.reply = kBadSequence};
  }
  if (Fault(SinkFault::kRefuseIdentity)) {
    return {.reply = "550 5.7.0 Insufficient authorization\r\n"};
  }
  std::string line = "XCLIENT ";
  line += argument;
  const std::optional<XclientCommand> command = ParseXclientCommand(line);
  // LOGIN is not offered: whoever sends it anyway wants to be somebody else.
  if (!command || command->login) {
    return {.reply = kBadArgument};
  }
  const auto port_of = [](const std::optional<std::string>& text) {
    return static_cast<std::uint16_t>(ParseDecimal(*text, 65535).value_or(0));
  };
  envelope_.identity = "xclient";
  if (command->addr) {
    envelope_.client = *command->addr;
  }
  if (command->port) {
    envelope_.client_port = port_of(command->port);
  }
  if (command->destaddr) {
    envelope_.server = *command->destaddr;
  }
  if (command->destport) {
    envelope_.server_port = port_of(command->destport);
  }
  // As in Postfix, the session starts again with the greeting, and EHLO has to be repeated.
  greeted_ = false;
  auth_user_.clear();
  envelope_.helo.clear();
  return {.reply = options_->greeting};
}

}  // namespace ringpost
