# SPDX-License-Identifier: GPL-3.0-or-later
"""What is broken on purpose, and who must notice.

One Defect: a name, what is broken, the edits that do it (a text that is in its file exactly once, and what
stands there instead), the detector that must fail, and what it must say. Nothing here is ever applied to the
tree; run.py compiles broken copies.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Detector:
    """A program that is linked with the broken code, and how it is run.

    {program} is the linked program, {folder} a folder with ringpost, ringpost-sink and ringpost-load in which
    the broken program takes the place of the sound one, {scratch} an empty folder, {root} the source tree.
    """
    name: str
    target: str  # of ninja
    command: tuple
    flavour: str = "plain"  # asan, tsan, fuzz: in which build folder
    seconds: int = 60
    needs: tuple = ()  # other targets of ninja
    # Whether it is run with nothing broken as well; not where tools/test does that anyway, and longer.
    sound: bool = True


@dataclasses.dataclass(frozen=True)
class Edit:
    file: str
    old: str
    new: str


@dataclasses.dataclass(frozen=True)
class Defect:
    name: str
    breaks: str
    edits: tuple
    detector: Detector
    finds: str  # a regular expression in what the detector prints
    rebuild: tuple = ()  # sources to compile again because a header of theirs is broken


def unit(target, only="*", flavour="plain", seconds=60):
    name = target.rsplit("/", 1)[-1]
    name += "" if only == "*" else f" {only}"
    name += "" if flavour == "plain" else f" ({flavour})"
    return Detector(name, target, ("{program}", f"--gtest_filter={only}"), flavour, seconds)


def fuzz(target, runs=30_000):
    """A short run of a fuzz target, always the same one."""
    return Detector(f"fuzz {target}", f"tests/fuzz/fuzz_{target}",
                    ("{program}", f"-runs={runs}", "-seed=1", "-max_len=600",
                     "-artifact_prefix={scratch}/", "{scratch}", "{root}/tests/fuzz/corpus/" + target),
                    "fuzz")


def chaos(target, *options, kills=8):
    """A short chaos run, with the broken ringpost or ringpost-sink."""
    return Detector(f"chaos ({' '.join((target, *options))})", target,
                    ("python3", "{root}/tests/chaos/run.py", "--build={folder}", f"--kills={kills}",
                     "--lanes=1", "--seed=1", *options), seconds=120,
                    needs=("ringpost", "ringpost-sink", "ringpost-load"), sound=False)


def e2e(*names, seconds=60):
    """End-to-end cases, with the broken ringpost."""
    return Detector(f"e2e {' '.join(names)}", "ringpost",
                    ("python3", "{root}/tests/e2e/run.py", "--build", "{folder}", *names), seconds=seconds,
                    needs=("ringpost-sink", "ringpost-load"))


def world(*names):
    """Real mail clients, through the broken ringpost."""
    return Detector(f"world {' '.join(names)}", "ringpost",
                    ("python3", "{root}/tests/world/run.py", "--build", "{folder}", *names), needs=("ringpost-sink",),
                    sound=False)


SMTP = unit("tests/smtp/smtp_test")
DIALOGUES = unit("tests/session/session_dialogue_test")
URING = unit("tests/io/io_test", "UringTest.*")
URING_REFUSED = unit("tests/io/io_test", "UringRefusedTest.*")
SIMULATION = Detector("simulate --seeds=500", "tests/session/simulate",
                      ("{program}", "--seeds=500", "--no-table"))
SHARD = unit("tests/session/shard_test")
TLS = unit("tests/tls/tls_test")
X509 = unit("tests/x509/x509_test")
EARLY_DATA = unit("tests/tls/tls_test", "*EarlyData*")
PROXY_HEADER = unit("tests/identity/proxy_header_test")
PROBE = unit("tests/session/health_probe_test")
BACKEND = unit("tests/session/backend_test")
HEALTH = unit("tests/session/upstream_health_test")
BASE = unit("tests/base/base_test")
SINK = unit("tests/tools/tools_test", "SinkSession*")
SERVER = unit("tests/process/shards_test")
TABLE = unit("tests/session/session_table_test")
POLICY = unit("tests/policy/policy_test")
LIMITS = unit("tests/session/client_limits_test")
SHARES = unit("tests/session/client_shares_test")
RELOAD_MEMORY = unit("tests/session/reload_memory_test")

FRONT = "src/smtp/smtp_relay_front.cc"
BACK = "src/smtp/smtp_relay_back.cc"
RELAY = "src/smtp/smtp_relay.cc"
FRAMER = "src/smtp/content_framer.cc"
COMMAND = "src/smtp/command.cc"
LEG = "src/session/leg.cc"
SESSION = "src/session/session.cc"
BACKEND_CC = "src/session/backend.cc"
SESSION_END = "src/session/session_end.cc"
SESSION_TLS = "src/session/session_tls.cc"
PROBE_CC = "src/session/health_probe.cc"
HEALTH_CC = "src/session/upstream_health.cc"
SHARD_CC = "src/session/shard.cc"
SHARD_RELOAD = "src/session/shard_reload.cc"
SHARD_H = "include/ringpost/session/shard.h"
ENGINE = "src/tls/tls_engine.cc"

EARLY_250 = (
    Edit(FRONT,
         "      pending_.Push(PendingReply{.from = PendingReply::From::kFinal});\n"
         "      return Forward(Side::kFront, step.octets);\n",
         "      pending_.Push(PendingReply{.from = PendingReply::From::kFinal});\n"
         '      text_ = "250 2.0.0 Ok\\r\\n";\n      inject_due_ = InjectDue::kFront;\n'
         "      return Forward(Side::kFront, step.octets);\n"),
    Edit(BACK, "  Answered(from, reply.code);\n",
         "  Answered(from, reply.code);\n"
         "  if (from == PendingReply::From::kFinal) return Drop(Side::kBack, reply.octets);\n"))
CLEAR_BEFORE_HANDSHAKE = (
    Edit(SESSION_END, "  if (farewell == Farewell::kSay && !front_.tls_pending()) {\n", "  if (true) {\n"),
    Edit(SESSION_END,
         "    if (!front_.tls_pending() && host_->pool().free_count(BlockSize::kLarge) >= kLargeNeeded) {\n",
         "    if (host_->pool().free_count(BlockSize::kLarge) >= kLargeNeeded) {\n"),
    Edit(LEG, "  return tls_->Write(plain_out_, raw_out_, kOutputMax);\n",
         "  if (!tls_->handshake_complete()) {\n    plain_out_.MoveFront(plain_out_.size(), raw_out_);\n"
         "    return TlsOutcome::kDone;\n  }\n  return tls_->Write(plain_out_, raw_out_, kOutputMax);\n"))
SECOND_REASON = (
    Edit(SESSION_END, "  if (!running()) {\n    return;\n  }\n  const bool is_rejected = ",
         "  if (!running()) {\n    close_reason_ = reason;\n    return;\n  }\n  const bool is_rejected = "),)
READ_BEHIND_CLOSE_NOTIFY = (
    Edit(LEG, "    raw_in_.Clear();  // never read, not even as TLS\n",
         "    raw_in_.MoveFront(raw_in_.size(), plain_in_);\n"),)
WRONG_CLIENT = (
    Edit("src/session/next_hop.cc", "WriteProxyV2(out, identity.client, identity.server, ",
         "WriteProxyV2(out, identity.server, identity.server, "),)
NOOP_PIPELINED = (
    Edit(COMMAND, 'CommandRule{"NOOP", Verb::kNoop, true, false, kReply,',
         'CommandRule{"NOOP", Verb::kNoop, true, false, kPipelined,'),)
PIPELINING_NOT_OFFERED = (
    Edit(FRONT, "end == CommandEnd::kReply || !capabilities_.pipelining ?", "end == CommandEnd::kReply ?"),)
NOOP_NOT_SENT = (Edit(BACK, "    if (options_->prove_with_noop) {\n", "    if (false) {\n"),)
NOOP_REPLY_UNREAD = (
    Edit(BACK, "      if (reply.code != kOk) return Close(CloseReason::kBackendIdentity);\n", ""),)
REFUTED_IN_USE = (
    Edit(HEALTH_CC, "    if (IsTried(tried, address) || state.proof != Proof::kProven) {\n",
         "    if (IsTried(tried, address) ||\n"
         "        (state.proof != Proof::kProven && state.proof != Proof::kRefuted)) {\n"),)
CLIENT_LIMIT = (Edit("src/session/client_limits.cc", "slot->sessions >= sessions_max", "false"),)
TRUNCATED_ENDED = (
    Edit(FRONT, "      return Close(CloseReason::kClientTruncated);  // PROTOCOL 33\n",
         "      front_phase_ = FrontPhase::kCommand;\n      front_transaction_ = false;\n"
         "      pending_.Push(PendingReply{.from = PendingReply::From::kFinal});\n"
         '      text_ = "\\r\\n.\\r\\n";\n      return DropAndInject(Side::kFront, 0, InjectDue::kBack);\n'),)
BARE_LF_TERMINATOR = (
    Edit(FRAMER, "          if (behind_crlf) {\n",
         "          if (behind_crlf || position_ == Position::kLineStartBare) {\n"),
    Edit(FRAMER, "          if (position_ == Position::kLineStart) {\n            stop = true;\n",
         "          {\n            stop = true;\n"))
UNCOUNTED = (Edit(ENGINE, "  empty_records_ += weight;\n", ""),
             Edit("src/tls/tls_engine_records.cc",
                  "      if (++empty_records_ > kEmptyRecordsMax || empty_bytes_ > kEmptyBytesMax) {\n",
                  "      if (empty_records_ > kEmptyRecordsMax || empty_bytes_ > kEmptyBytesMax) {\n"))

DEFECTS = (
    # --- The protocol
    Defect(
        "starttls-injection-relay",
        "octets behind STARTTLS are read as if they had come through TLS (PROTOCOL 12): the relay "
        "does not look",
        (Edit(FRONT, "  if (input.total > octets) return CloseWith(CloseReason::kStarttlsInjection, {});\n",
              ""),),
        SMTP, r"FAILED  \] .*starttls_injection"),
    Defect(
        "starttls-injection-session",
        "octets behind STARTTLS are dropped, and the session goes on (PROTOCOL 12)",
        (Edit(FRONT, "  if (input.total > octets) return CloseWith(CloseReason::kStarttlsInjection, {});\n",
              ""),
         Edit(SESSION_TLS,
              "  if (!front_.input().empty()) {\n"
              "    Close(CloseReason::kStarttlsInjection, Farewell::kSilent);\n"
              "    return;\n  }\n",
              "  front_.input().Clear();\n")),
        DIALOGUES, r"FAILED  \] .*starttls_injection"),
    Defect(
        "state-kept-over-starttls",
        "MAIL is allowed after the handshake without a new EHLO (PROTOCOL 13)",
        (Edit(RELAY, "(PROTOCOL 13).\n  hello_needed_ = true;\n", "(PROTOCOL 13).\n"),),
        SMTP, r"FAILED  \] .*starttls_same"),
    Defect(
        "bare-lf-ends-a-command",
        "a bare LF ends a command line (PROTOCOL 1)",
        (Edit(FRONT, "  const bool whole = EndsInCrlf(line);\n", "  const bool whole = true;\n"),
         Edit(FRONT, "line.substr(0, octets - (whole ? kCrlfOctets : 1))",
              "line.substr(0, octets - (EndsInCrlf(line) ? kCrlfOctets : 1))")),
        SMTP, r"FAILED  \] .*bad_lines"),
    Defect(
        "bare-lf-swallows-the-next-line",
        "the line behind one that ends in a bare LF is read past (PROTOCOL 1)",
        (Edit(FRONT, "  LineCheck check = CheckLine(text);\n",
              "  if (!whole) discarded_octets_ = static_cast<std::uint32_t>(octets);\n"
              "  LineCheck check = CheckLine(text);\n"),),
        SMTP, r"FAILED  \] .*bad_lines"),
    Defect(
        "bare-lf-swallows-the-next-line-in-a-session",
        "the same, in the simulation",
        (Edit(FRONT, "  LineCheck check = CheckLine(text);\n",
              "  if (!whole) discarded_octets_ = static_cast<std::uint32_t>(octets);\n"
              "  LineCheck check = CheckLine(text);\n"),),
        SIMULATION, r"seed \d+ failed"),
    Defect(
        "bare-lf-terminator",
        "LF . CR LF ends a message: SMTP smuggling",
        BARE_LF_TERMINATOR,
        SMTP, r"FAILED  \] SmugglingTest.MatrixCutAtEveryOctet"),
    Defect(
        "bare-newline-passes",
        "a bare LF in a message is forwarded as it is",
        (Edit(FRAMER, '      rewritten->append("\\r\\n");\n      ++i;\n      ++*bare_newlines;\n',
              '      rewritten->append("\\n");\n      ++i;\n      ++*bare_newlines;\n'),),
        unit("tests/smtp/smtp_test", "SmugglingTest*"), r"FAILED  \] SmugglingTest.MatrixCutAtEveryOctet"),
    Defect(
        "early-250",
        "the client is told 250 at the final dot, before the backend has said so (PROTOCOL 7)",
        EARLY_250,
        SMTP, r"FAILED  \] .*backend_eof_final_reply"),
    Defect(
        "early-250-in-a-session",
        "the same, in the simulation: a client believes that a message was stored which the backend "
        "refused or lost",
        EARLY_250,
        SIMULATION, r"not the backend's reply: 250 2.0.0 Ok"),
    Defect(
        "reply-order",
        "a refusal of ours overtakes the backend's replies to the commands before (PROTOCOL 8)",
        (Edit(FRONT, "  stats_.last_refused.Set(rule_->name, LocalReplyCode(reply));\n",
              "  stats_.last_refused.Set(rule_->name, LocalReplyCode(reply));\n"
              "  if (LocalReplyClose(reply) == CloseReason::kNone) {\n    text_ = LocalReplyText(reply);\n"
              "    return DropAndInject(Side::kFront, octets, InjectDue::kFront);\n  }\n"),),
        SMTP, r"FAILED  \] .*pipelining"),
    Defect(
        "pipelined-behind-noop",
        "a command follows NOOP before its reply, and Postfix 3.9 closes the connection (RFC 2920 3.1)",
        NOOP_PIPELINED,
        SMTP, r"FAILED  \] .*pipelining_groups"),
    Defect(
        "pipelined-behind-noop-in-a-session",
        "the same, in the simulation",
        NOOP_PIPELINED,
        SIMULATION, r"improper pipelining after NOOP"),
    Defect(
        "pipelined-behind-noop-end-to-end",
        "the same, in front of a Postfix that is as strict",
        NOOP_PIPELINED,
        e2e("mail.pipelining_more_than_allowed"), r"FAIL.*pipelining_more_than_allowed"),
    Defect(
        "pipelining-not-offered",
        "a backend that has not offered PIPELINING is sent several commands at once (RFC 2920 3.1)",
        PIPELINING_NOT_OFFERED,
        SMTP, r"FAILED  \] .*pipelining_not_offered"),
    Defect(
        "pipelining-not-offered-in-a-session",
        "the same, in the simulation",
        PIPELINING_NOT_OFFERED,
        SIMULATION, r"improper pipelining after"),
    Defect(
        "pipelining-not-offered-random",
        "the same, where a random client meets an honest backend",
        PIPELINING_NOT_OFFERED,
        unit("tests/smtp/smtp_test", "RandomSessionTest*"), r"FAILED  \] RandomSessionTest"),
    Defect(
        "refused-quit-ends-the-session",
        "a QUIT that the backend has refused ends the session (RFC 5321 3.8)",
        (Edit(BACK, "      if (Quits(from, code)) close_due_ = CloseReason::kQuit;\n",
              "      close_due_ = CloseReason::kQuit;\n"),),
        SMTP, r"FAILED  \] .*quit_refused"),
    Defect(
        "second-reply-to-a-refused-quit",
        "what a backend says behind its refusal of QUIT is taken for the reply to the next command",
        (Edit(BACK, "  if (pending_.size() == 1 && !Quits(from, reply.code)) {\n",
              "  if (pending_.size() == 1 && from != PendingReply::From::kQuit) {\n"),),
        SMTP, r"FAILED  \] .*quit_refused_twice"),
    Defect(
        "command-line-limit",
        "a command line of exactly the longest length allowed is refused (PROTOCOL 2)",
        (Edit(FRONT, "  const std::size_t octets = LineOctets(input.readable.substr(0, line_max));\n",
              "  const std::size_t octets = LineOctets(input.readable.substr(0, line_max - 1));\n"),
         Edit(FRONT,
              "    if (input.readable.size() >= line_max) return LongLine(input.readable.substr(0, "
              "line_max));\n",
              "    if (input.readable.size() >= line_max - 1)\n"
              "      return LongLine(input.readable.substr(0, line_max - 1));\n")),
        SMTP, r"FAILED  \] RelayLimitsTest.CommandLines"),
    Defect(
        "truncated-message-ended",
        "a message that was cut off is given a terminator, and the backend stores the half (PROTOCOL 33)",
        TRUNCATED_ENDED,
        SMTP, r"FAILED  \] .*truncated_data"),
    Defect(
        "client-xclient-forwarded",
        "a client's own XCLIENT reaches the backend (PROTOCOL 40)",
        (Edit(COMMAND, 'CommandRule{"XCLIENT", Verb::kIdentity,', 'CommandRule{"XCLIENT", Verb::kNoop,'),),
        SMTP, r"FAILED  \] .*bad_lines"),
    Defect(
        "bdat-one-octet-short",
        "a chunk ends one octet early, and its last octet is taken for a command (PROTOCOL 18)",
        (Edit(FRONT, "  chunk_octets_ = argument->octets;\n",
              "  chunk_octets_ = argument->octets > 1 ? argument->octets - 1 : argument->octets;\n"),),
        SMTP, r"FAILED  \] .*/bdat\b"),
    Defect(
        "bdat-blanks-end-the-session",
        "blanks behind the size of a chunk are taken for a size that cannot be read (PROTOCOL 19)",
        (Edit(COMMAND, "  while (!rest.empty() && IsBlank(rest.back())) rest.remove_suffix(1);\n\n", "\n"),),
        SMTP, r"FAILED  \] .*bdat_blanks"),
    Defect(
        "bdat-blanks-forwarded",
        "a backend that takes no blanks in BDAT would read the chunk as commands (PROTOCOL 19)",
        (Edit(FRONT, "  if (argument->canonical) return Forward(Side::kFront, octets);\n",
              "  if (argument->octets >= 0) return Forward(Side::kFront, octets);\n"),),
        SMTP, r"FAILED  \] RelayBdatTest.TheBackendGetsOneSpelling"),
    Defect(
        "chunk-searched-for-bare-newlines",
        "bare newlines in a chunk are refused, as if they could end it (PROTOCOL 18)",
        (Edit(FRONT, "  if (chunk_octets_ == 0) {\n    front_phase_ = refused",
              "  if (options_->bare_newline == BareNewline::kReject && input.readable.starts_with('\\n')) {\n"
              "    return RefuseContent(LocalReply::kBareNewline);\n"
              "  }\n"
              "  if (chunk_octets_ == 0) {\n    front_phase_ = refused"),),
        SMTP, r"FAILED  \] RelayBdatTest.AChunkPasses"),
    Defect(
        "content-before-354",
        "octets that came before the 354 are taken for content (PROTOCOL 9)",
        (Edit(BACK, "reply.code == kStartContent && front_total_ > 0) {",
              "reply.code == kStartContent && false) {"),),
        SMTP, r"FAILED  \] .*data_content_before_354"),
    Defect(
        "backend-starttls-offered",
        "STARTTLS is offered inside TLS (PROTOCOL 14)",
        (Edit(BACK, "options_->tls_policy != TlsPolicy::kNone && !tls_;",
              "options_->tls_policy != TlsPolicy::kNone;"),),
        SMTP, r"FAILED  \] .*starttls_reconnected"),
    Defect(
        "clear-mail-on-an-encrypt-route",
        "a route that demands TLS takes mail in clear (PROTOCOL 15)",
        (Edit(FRONT, "options_->tls_policy >= TlsPolicy::kEncrypt && !tls_ && !rule.before_tls", "false"),),
        SMTP, r"FAILED  \] .*encrypt_before_tls"),
    Defect(
        "password-in-clear",
        "AUTH is passed on before TLS although the route does not say so (PROTOCOL 14)",
        (Edit(FRONT, "(options_->auth == AuthPolicy::kAsBackend && ", "("),),
        SMTP, r"FAILED  \] .*auth_in_clear"),
    Defect(
        "password-in-clear-on-an-encrypt-route",
        "auth = as_backend opens a route that demands TLS to AUTH in clear (PROTOCOL 15)",
        (Edit(FRONT, " && options_->tls_policy < TlsPolicy::kEncrypt);", ");"),),
        SMTP, r"FAILED  \] .*auth_encrypt_as_backend"),
    Defect(
        "password-in-clear-in-report-mode",
        "report mode lets a password pass in clear",
        (Edit("src/session/runtime.cc", "  options.auth = route.auth;\n",
              "  options.auth = route.policy.mode == PolicyMode::kReport ? AuthPolicy::kAsBackend : route.auth;\n"),),
        DIALOGUES, r"FAILED  \] .*auth_report"),
    Defect(
        "refusal-in-clear-untold",
        "a route that demands TLS leaves no trace of whom it refuses",
        (Edit(FRONT, "      policy_->RefusedInClear(argument);\n", ""),),
        DIALOGUES, r"FAILED  \] .*Whole/encrypt\b"),
    Defect(
        "encrypt-met-uncounted",
        "the summary of a route that demands TLS misses the messages that met it",
        (Edit("src/session/session_mail.cc",
              "    policies_->counters->Count(judged_as_->route_subject, met);\n", ""),),
        DIALOGUES, r"FAILED  \] .*Whole/encrypt\b"),
    Defect(
        "refused-verb-of-another-command",
        "the log names another command than the one that was refused",
        (Edit(FRONT, "  rule_ = &rule;\n", "  if (rule_ == nullptr) rule_ = &rule;\n"),),
        SMTP, r"FAILED  \] RelayStatsTest.NamesTheLastRefusal"),
    Defect(
        "response-splitting",
        "a reply of the backend may change its code half-way (PROTOCOL 10)",
        (Edit("src/smtp/reply.cc", "!first && code_is_whole && line.code != reply.code", "false"),),
        SMTP, r"FAILED  \] .*backend_changing_code"),
    Defect(
        "long-line-refused",
        "a line of the backend that is longer than 512 octets ends the session (PROTOCOL 10)",
        (Edit("src/smtp/reply.cc",
              "    if (octets > kReplyLineMax && reply.code != kAuthChallenge) reply.has_long_line = true;\n",
              "    if (octets > 512) return malformed(ReplyFault::kTooLong);\n"),),
        SMTP, r"FAILED  \] .*final_long"),
    Defect(
        "stored-and-sent-again",
        "the sender of a stored message hears 421 because the reply goes wrong behind its code (PROTOCOL 10)",
        (Edit(BACK, "  if (!AnswersContent(from) ||", "  if (true ||"),),
        SMTP, r"FAILED  \] .*final_bare_lf"),
    Defect(
        "long-reply-without-end",
        "a long reply that goes wrong half-way leaves the client with half of it",
        (Edit("src/smtp/smtp_relay.cc", "  const int code = long_reply_.owes_end() ?",
              "  const int code = false ?"),),
        SMTP, r"FAILED  \] LongReplyTest.WhatGoesWrongHalfWay"),
    Defect(
        "hello-control-character",
        "a control character in EHLO's name reaches the backend (PROTOCOL 14)",
        (Edit(COMMAND, "    if (IsControl(argument.substr(i))) return false;\n", ""),),
        SMTP, r"FAILED  \] .*hello_names"),
    Defect(
        "odd-hello-doubts-the-backend",
        "a client takes the backend out of use by a name that it does not understand",
        (Edit(BACK, "odd_hello_ && IsHello(from) &&", "false &&"),),
        SMTP, r"FAILED  \] .*proxy_v2_odd_hello"),
    Defect(
        "deadlines-never-set",
        "a client that says nothing keeps its session for ever (PROTOCOL 5)",
        (Edit(SESSION_END, "  host_->wheel().Set(timer, Deadline());\n", ""),),
        DIALOGUES, r"FAILED  \] .*client_idle"),
    # --- What the log says of a refusal
    Defect(
        "refused-recipient-not-counted",
        "the log says refused=0 although the mail server refused a recipient",
        (Edit("src/smtp/smtp_relay.cc", "  if (code >= 400) ++stats_.backend_refusals;\n", ""),),
        SMTP, r"FAILED  \] RelayStatsTest.CountsWhatTheBackend"),
    Defect(
        "alert-behind-the-handshake",
        "a client that rejects the certificate behind its Finished has another reason in the log",
        (Edit(SESSION_END, "const bool is_rejected = IsRejected(reason);", "const bool is_rejected = false;"),),
        e2e("clients.an_alert_behind_the_handshake_is_the_reason[1.2,starttls,warning]"),
        r"FAIL clients.an_alert_behind"),
    # --- What a backend does to one client
    Defect(
        "suspect-is-down",
        "a greeting that is slow for one client takes the mail server from all",
        (Edit(BACKEND_CC, "Blame(reason == CloseReason::kBackendConnect ?", "Blame(true ?"),),
        SHARD, r"FAILED  \] ShardSuspicionTest.WhatOneClientMeets"),
    Defect(
        "down-is-suspect",
        "an address that takes no connection is tried by each client",
        (Edit(BACKEND_CC, "Blame(reason == CloseReason::kBackendConnect ?", "Blame(false ?"),),
        SHARD, r"FAILED  \] ShardSuspicionTest.WhoCannotBeConnectedTo"),
    Defect(
        "suspect-is-never-probed",
        "a mail server that greets nobody keeps each client waiting",
        (Edit("src/session/upstream_health.cc", "  if (!state.down && !state.probing) {\n    state.due = std::min(",
              "  if (false) {\n    state.due = std::min("),),
        SHARD, r"FAILED  \] ShardSuspicionTest"),
    Defect(
        "closed-to-one-keeps-all-waiting",
        "a client that the mail server closes to takes it from all until a probe has its answer",
        (Edit(BACKEND_CC, "    Blame(NextHop::Fault::kMute);\n    return next_hop_",
              "    Blame(NextHop::Fault::kOutOfStep);\n    return next_hop_"),),
        SHARD, r"FAILED  \] ShardSuspicionTest.WhoIsClosedTo"),
    Defect(
        "tried-is-tried-again",
        "a session goes round its upstream's addresses for ever",
        (Edit(BACKEND_CC, "  tried_ |= std::uint64_t{1} << address_;\n", ""),),
        BACKEND, r"FAILED  \] BackendTest.FailsWhenAllWereTried"),
    Defect(
        "descriptor-of-another-family",
        "an IPv6 address is connected to with a descriptor for IPv4",
        (Edit(BACKEND_CC, "    ReleaseSocket();\n  }\n  return held_fd_", "  }\n  return held_fd_"),),
        BACKEND, r"FAILED  \] BackendTest.ADescriptorOfTheWrongFamily"),
    Defect(
        "second-connection-counts-as-greeted",
        "after STARTTLS a mail server that says nothing is taken for one that has greeted",
        (Edit(BACKEND_CC, "  greeted_ = false;\n", ""),),
        BACKEND, r"FAILED  \] BackendTest.RetiresWithQuit"),
    # --- ACKs
    Defect(
        "acks-left-to-the-kernel",
        "a client that writes twice before it reads waits 40 ms",
        (Edit("src/session/session.cc", "  ArmSend(back_);\n  AckUnanswered();\n", "  ArmSend(back_);\n"),),
        DIALOGUES, r"FAILED  \] .*Whole/acks_tls"),
    Defect(
        "acks-of-chunk-left-to-the-kernel",
        "the line of BDAT is taken for a command that will be answered",
        (Edit("src/smtp/smtp_relay.cc", "front_phase_ == FrontPhase::kChunk ? 1 : 0", "0"),),
        DIALOGUES, r"FAILED  \] .*Whole/acks_clear"),
    Defect(
        "acks-of-commands",
        "a command is acknowledged twice, at once and by its reply",
        (Edit("src/session/session.cc", "        (relay_.owes_reply() || ", "        ("),),
        DIALOGUES, r"FAILED  \] .*Whole/acks_clear"),
    Defect(
        "acks-of-content",
        "each part of a message takes a system call for its ACK",
        (Edit("src/session/leg.cc", "acked_until_answered_ = hint == AckHint::kUntilAnswered;",
              "acked_until_answered_ = false;"),),
        DIALOGUES, r"FAILED  \] .*Whole/acks_clear"),
    Defect(
        "acks-never-with-answers",
        "after one ACK at once each command has an ACK of its own",
        (Edit("src/io/socket.cc", "behind == AcksBehind::kWithAnswers ? 2 : 1", "1"),),
        URING, r"FAILED  \] UringTest.WhatIsNotAnswered"),
    # --- Replies that their command cannot have
    Defect(
        "2yz-to-data",
        "a 250 in reply to DATA is relayed, although it answers something else",
        (Edit(BACK, "      return code < 300 && from != PendingReply::From::kData;\n",
              "      return code < 300;\n"),),
        SMTP, r"FAILED  \] .*backend_2yz_to_data"),
    Defect(
        "235-to-any-command",
        "a reply that only AUTH can have is relayed to other commands",
        (Edit(BACK, "      return from == PendingReply::From::kAuth;\n", "      return true;\n"),),
        SMTP, r"FAILED  \] MatrixTest.EveryStateAndEvent"),
    Defect(
        "354-to-any-command",
        "a reply that only DATA can have is relayed to other commands",
        (Edit(BACK, "      return from == PendingReply::From::kData;\n", "      return true;\n"),),
        SMTP, r"FAILED  \] MatrixTest.EveryStateAndEvent"),
    Defect(
        "221-to-any-command",
        "a reply that only QUIT can have is relayed to other commands",
        (Edit(BACK, "      return from == PendingReply::From::kQuit;\n", "      return true;\n"),),
        SMTP, r"FAILED  \] MatrixTest.EveryStateAndEvent"),
    Defect(
        "greeting-for-a-reply",
        "a second greeting is relayed as a command's reply",
        (Edit(BACK, "      return false;  // a greeting\n", "      return true;\n"),),
        SMTP, r"FAILED  \] MatrixTest.EveryStateAndEvent"),
    Defect(
        "unasked-reply-dropped",
        "a reply without a command is passed over, and the session goes on",
        (Edit(BACK, "  if (pending_.empty()) return UnaskedReply(input, reply);\n",
              "  if (pending_.empty()) return Drop(Side::kBack, reply.octets);\n"),),
        SMTP, r"FAILED  \] .*backend_unsolicited"),
    Defect(
        "unasked-reply-relayed",
        "a reply without a command is given to the client",
        (Edit(BACK, "  if (pending_.empty()) return UnaskedReply(input, reply);\n",
              "  if (pending_.empty()) return Forward(Side::kBack, reply.octets);\n"),),
        SMTP, r"FAILED  \] .*backend_unsolicited"),
    Defect(
        "early-reply-counts",
        "what the backend said before a command was sent counts as its reply",
        (Edit(FRONT, "  if (pending_.size() <= 1 && input.other_total > 0) return kBlocked;\n", ""),),
        SMTP, r"FAILED  \] RelayTest.NoCommandIsSentBefore"),
    Defect(
        "second-reply-behind-the-last",
        "of two replies to the last command the first is relayed, and nobody knows which is its own",
        (Edit(BACK, "      case BehindLast::kReply:\n        return Close(CloseReason::kBackendIdentity);\n",
              "      case BehindLast::kReply:\n        break;\n"),),
        SMTP, r"FAILED  \] .*backend_two_final_replies"),
    # --- A backend proves that it takes its identity (PROTOCOL 37)
    Defect(
        "noop-not-sent",
        "behind PROXY version 1 the backend is not asked for a NOOP before the client is greeted",
        NOOP_NOT_SENT,
        SMTP, r"FAILED  \] .*proxy_v1_proven"),
    Defect(
        "noop-reply-unread",
        "any reply to the NOOP behind PROXY version 1 proves the identity",
        NOOP_REPLY_UNREAD,
        SMTP, r"FAILED  \] .*proxy_v1_not_known"),
    Defect(
        "two-replies-to-the-noop",
        "a reply behind the one to the NOOP is kept for the client's first command",
        (Edit(BACK, "  if (back_phase_ != BackPhase::kReady && !Negative(reply) && input.total > reply.octets) {\n",
              "  if (false) {\n"),),
        SMTP, r"FAILED  \] .*proxy_v1_two_replies"),
    Defect(
        "refusal-proves",
        "a backend that refuses everybody gets the client's commands, unproven",
        (Edit(BACK, "  if (reply.code == kServiceClosing || options_->prove_with_noop) {\n",
              "  if (reply.code == kServiceClosing) {\n"),),
        SMTP, r"FAILED  \] .*proxy_v1_greeting_554"),
    Defect(
        "header-answered-as-a-command",
        "a 502 to the PROXY header is taken for the reply to the first command",
        (Edit(BACK, "  if (!replied_ && DisownsIdentity(", "  if (false && DisownsIdentity("),),
        SMTP, r"FAILED  \] .*proxy_v2_not_known"),
    Defect(
        "hello-503-relayed",
        "the 503 of an Exim that waits for a PROXY header is relayed: honest mail is lost",
        (Edit(BACK, "  if (hello && reply.code == kBadSequence) return true;\n", ""),),
        SMTP, r"FAILED  \] .*hello_503"),
    Defect(
        "sim-noop-not-sent",
        "behind PROXY version 1 the backend is not asked for a NOOP before the client is greeted",
        NOOP_NOT_SENT,
        SIMULATION, r"NOOP\\r\\n|2\.0\.0 proven"),
    Defect(
        "sim-noop-reply-unread",
        "any reply to the NOOP behind PROXY version 1 proves the identity",
        NOOP_REPLY_UNREAD,
        SIMULATION, r"simulate --seed="),
    Defect(
        "probe-does-not-listen",
        "a probe sends the PROXY header at once, so that nobody sees who greets without it",
        (Edit(PROBE_CC, "    WaitFor(Phase::kSilence, kSilence);\n", "    TellIdentity();\n"),),
        PROBE, r"FAILED  \] HealthProbeTest.SeesWhatIsWrong"),
    Defect(
        "probe-hears-and-goes-on",
        "a probe hears a greeting before the header, and thinks nothing of it",
        (Edit(PROBE_CC, "    if (phase_ == Phase::kSilence && !readable.empty()) {\n",
              "    if (phase_ == Phase::kSilence) {\n      break;\n    }\n    if (false) {\n"),),
        PROBE, r"FAILED  \] HealthProbeTest.SeesWhatIsWrong"),
    Defect(
        "probe-takes-any-reply",
        "any reply to a probe's NOOP proves the identity",
        (Edit(PROBE_CC, "      if (reply.code != kOk) {\n", "      if (false) {\n"),),
        PROBE, r"FAILED  \] HealthProbeTest.SeesWhatIsWrong"),
    Defect(
        "probe-takes-lmtp",
        "a server that knows neither EHLO nor HELO is taken for a mail server",
        (Edit(PROBE_CC, "      if (unknown) {\n", "      if (false) {\n"),),
        PROBE, r"FAILED  \] HealthProbeTest.SeesWhatIsWrong"),
    Defect(
        "probe-takes-two-replies",
        "a probe does not mind more replies than it asked for",
        (Edit(PROBE_CC, "    if (reply.code < kNegative && input.size() > reply.octets) {\n", "    if (false) {\n"),),
        PROBE, r"FAILED  \] HealthProbeTest.SeesWhatIsWrong"),
    Defect(
        "probe-takes-a-refused-xclient",
        "a probe goes on when XCLIENT was refused",
        (Edit(PROBE_CC, "      if (reply.code != kServiceReady) {\n        Fail(ProbeFault::kXclientRefused",
              "      if (false) {\n        Fail(ProbeFault::kXclientRefused"),),
        PROBE, r"FAILED  \] HealthProbeTest.SeesWhatIsWrong"),
    Defect(
        "probe-shows-a-short-header",
        "a probe shows the backend a shorter header than sessions will send",
        (Edit(PROBE_CC, "    length = WriteProxyV2Local(header, header_octets_);\n",
              "    length = WriteProxyV2Local(header);\n"),),
        PROBE, r"FAILED  \] HealthProbeTest.FindsOutHowLongAHeaderMayBe"),
    Defect(
        "unproven-in-use",
        "an address gets clients before it has proven its identity",
        (Edit(HEALTH_CC, "    if (IsTried(tried, address) || state.proof != Proof::kProven) {\n",
              "    if (IsTried(tried, address)) {\n"),),
        HEALTH, r"FAILED  \] UpstreamHealthTest.NothingIsUsedBeforeItIsProven"),
    Defect(
        "refuted-in-use",
        "an address that does not take its identity gets clients",
        REFUTED_IN_USE,
        HEALTH, r"FAILED  \] UpstreamHealthTest.WhatIsRefutedIsAskedAgain"),
    Defect(
        "doubted-in-use",
        "an address that a session has caught goes on getting clients",
        (Edit(HEALTH_CC, "    state.proof = Proof::kPending;\n", ""),),
        HEALTH, r"FAILED  \] UpstreamHealthTest.WhatIsDoubtedIsNotUsed"),
    Defect(
        "log-does-not-quote-the-server",
        "the log says that a server is wrong, but not what it said",
        (Edit("src/process/upstream_words.cc",
              '  return words.empty() ? std::string("nothing") : absl::StrCat("\\"", words, "\\"");\n',
              '  return std::string("something");\n'),),
        unit("tests/process/upstream_words_test"), r"FAILED  \] UpstreamWordsTest.ARefutedServerIsQuoted"),
    # --- Memory and operations
    Defect(
        "block-moved-in-flight",
        "octets that the kernel is sending are copied elsewhere and their block is given back",
        (Edit(LEG, "  raw_in_.Compact();\n", "  raw_in_.Compact();\n  raw_out_.Compact();\n"),),
        SIMULATION, r"octets changed while they were being sent"),
    Defect(
        "block-returned-in-flight",
        "the octets of a send are let go when it is handed to the ring, not when it is complete",
        (Edit(LEG, "all ? hint : SendHint::kAtOnce);\n",
              "all ? hint : SendHint::kAtOnce);\n  raw_out_.Consume(send_.octets);\n"),
         Edit(LEG, "    raw_out_.Consume(sent);\n", "")),
        SIMULATION, r"octets changed while they were being sent"),
    Defect(
        "block-never-returned",
        "a block that is received while a session ends is never given back",
        (Edit(LEG, "      pool.Release(completion.block);\n", ""),),
        SIMULATION, r"CHECK failed: free_large_"),
    Defect(
        "two-sends-in-flight",
        "a second send is handed to the ring while the first is in flight",
        (Edit(LEG, "  if (send_.in_flight || raw_out_.empty()", "  if (raw_out_.empty()"),),
        SIMULATION, r"CHECK failed: !operation.in_flight"),
    Defect(
        "freed-in-flight",
        "a session's memory is given back while the kernel may still write to it",
        (Edit(LEG, "  if (state_ != LegState::kJoining || in_flight()) {\n",
              "  if (state_ != LegState::kJoining) {\n"),),
        SIMULATION, r"simulate --seed="),
    Defect(
        "bulk-out-of-order",
        "what was taken behind a full block goes in front of it",
        (Edit(LEG, "      raw_in_.AppendBlock(blocks[i], length);\n",
              "      raw_in_.AppendBlock(blocks[count - 1 - i], length);\n"),),
        SIMULATION, r"simulate --seed="),
    Defect(
        "bulk-block-lost",
        "a block that a direct receive left empty is not given back",
        (Edit(LEG, "    } else {\n      pool.Release(blocks[i]);\n    }\n", "    }\n"),),
        SIMULATION, r"simulate --seed=|CHECK failed"),
    Defect(
        "second-close-reason",
        "a later reason overwrites the first: the log names the wrong one",
        SECOND_REASON,
        DIALOGUES, r"FAILED  \] .*stop_behind_quit"),
    Defect(
        "starved-for-ever",
        "a session that waits for blocks is never woken",
        (Edit(SHARD_CC, "  WakeStarved();\n  if (shares_", "  if (shares_"),),
        SIMULATION, r"simulate --seed="),
    Defect(
        "accept-spins",
        "without descriptors the shard tries again at once, for ever",
        (Edit("src/session/shard_accept.cc", "  accept_paused_until_ = io_->Now() + kAcceptPause;\n", ""),),
        unit("tests/session/shard_test", "*WithoutDescriptorsAccepting*", seconds=20),
        r"not done after 20 s"),
    Defect(
        "generation-not-checked",
        "a completion of a session that has ended is given to the one that has its slot now",
        (Edit("src/session/session_table.cc",
              "used_[user_data.slot] &&\n"
              "                 generations_[user_data.slot] == user_data.generation);\n",
              "used_[user_data.slot]);\n"),),
        TABLE, r"ACompletionOfAnEarlierSession"),
    Defect(
        "generation-not-advanced",
        "a slot keeps its generation when it is used again",
        (Edit("src/session/session_table.cc",
              "  generations_[slot] = (generations_[slot] + 1) & kGenerationMask;\n", ""),),
        TABLE, r"FindsTheSessionOfASlotAndGeneration|CHECK failed"),
    Defect(
        "sim-clear-text-before-the-handshake",
        "what is said while a handshake is going on is sent in clear",
        CLEAR_BEFORE_HANDSHAKE,
        SIMULATION, r"clear octets on a TLS leg"),
    Defect(
        "sim-read-behind-close-notify",
        "what follows a close_notify in clear is read as if it were inside TLS",
        READ_BEHIND_CLOSE_NOTIFY,
        SIMULATION, r"an answer to close_notify"),
    Defect(
        "sim-wrong-client",
        "the backend is told the address of ringpost instead of the client's",
        WRONG_CLIENT,
        SIMULATION, r"is told of 198\.51\.100\.1 25"),
    Defect(
        "sim-tls-memory-kept",
        "a TLS object is not given back with its session",
        (Edit(ENGINE, "    wolfSSL_free(ssl_);\n", ""),),
        SIMULATION, r"wolfSSL's memory"),
    Defect(
        "sim-octets-lost",
        "octets that the other side has no room for are dropped",
        (Edit(SESSION, "      if (other.failed()) {\n",
              "      if (other.failed() || other.output_octets() > 20'000) {\n"),),
        SIMULATION, r"at octet"),
    Defect(
        "sim-password-in-clear",
        "AUTH is passed on before TLS although the route does not say so (PROTOCOL 14)",
        (Edit(FRONT, "(options_->auth == AuthPolicy::kAsBackend && ", "("),),
        SIMULATION, r"auth_offered_|AUTH"),
    Defect(
        "sim-backend-kept-over-starttls",
        "what a client authenticated as in clear still counts at the backend after STARTTLS (PROTOCOL 13)",
        (Edit(SESSION_TLS, " || relay_.authenticated() ||\n", " ||\n"),),
        SIMULATION, r"not the backend's reply"),
    Defect(
        "sim-allocation-failure-is-fatal",
        "memory that is refused costs the process, not the session",
        (Edit(SHARD_H, "      session.Close(CloseReason::kOutOfResources, Session::Farewell::kSilent);\n",
              "      throw;\n"),),
        SIMULATION, r"simulate --seed=", (SHARD_CC, "src/session/shard_accept.cc")),
    Defect(
        "reload-lost-without-memory",
        "a new configuration whose memory is refused is dropped",
        (Edit(SHARD_RELOAD, "      updates_.splice(updates_.begin(), next);\n", ""),),
        RELOAD_MEMORY, r"FAILED  \] .*ItIsTakenWhenThereIsMemory"),
    Defect(
        "reload-out-of-order",
        "a new configuration whose memory was refused is taken behind a later one",
        (Edit(SHARD_RELOAD, "      updates_.splice(updates_.begin(), next);\n",
              "      updates_.splice(updates_.end(), next);\n"),),
        RELOAD_MEMORY, r"CHECK failed|FAILED  \] .*ThoseThatWaitAreTakenInOrder"),
    Defect(
        "name-that-nobody-asked-for",
        "a client is told by its certificate's first name instead of the one that the policy asked for",
        (Edit("src/policy/judge.cc", "      match = {.by = By::kName, .name = name};\n",
              "      match = {.by = By::kName, .name = certificate.names.front()};\n"),),
        unit("tests/policy/policy_test", "JudgeCertificate*"), r"FAILED  \] JudgeCertificateTest.SaysWhatProvedIt"),
    Defect(
        "proof-of-another-message",
        "what one partner's policy knows of a client is said of all its messages",
        (Edit("src/process/policy_answer.cc",
              "  facts->proof = Better(of_partners, session.trace.proof);\n",
              "  facts->proof = session.mail.judged.empty() ? session.trace.proof : session.mail.judged.front().proof;\n"),),
        unit("tests/process/policy_answer_test"), r"FAILED  \] PolicyPartnerTest.WhatProvedTheClientIsTheMessagesOwn"),
    Defect(
        "past-ringpost-from-the-same-port",
        "a client that reached another server from the same address and port is told to be one of ringpost's",
        (Edit("src/process/policy_answer.cc",
              "    return session.server != *address || session.server_port != *port;\n",
              "    return session.server != *address;\n"),),
        unit("tests/process/policy_answer_test"),
        r"FAILED  \] PolicyAnswerTest.ASessionThatReachedAnotherServerIsNotOurs"),
    Defect(
        "asked-by-another-program",
        "what one connection of the policy service was told is kept from the others",
        (Edit("src/process/policy_service.cc", "        !connection.instances.Remember(",
              "        !connections.front().instances.Remember("),),
        unit("tests/process/policy_service_test"),
        r"FAILED  \] PolicyServiceTest.WhatAnotherProgramHasAskedSilencesNobody"),
    Defect(
        "report-mode-refuses",
        "a sender that cannot be read is refused although every policy only reports",
        (Edit("src/policy/partner_table.cc",
              "enforces_domains_ = enforces_domains_ || partner.mode == PolicyMode::kEnforce;",
              "enforces_domains_ = true;"),),
        DIALOGUES, r"FAILED  \] .*partner_report"),
    Defect(
        "reported-is-called-refused",
        "what was counted in report mode goes on in the summary of the mode that enforces",
        (Edit("src/process/policy_summary.cc",
              "    eras.push_back(same ? known->second.second : ++last_era_);\n",
              "    eras.push_back(known != before.end() ? known->second.second : ++last_era_);\n"),),
        unit("tests/process/policy_summary_test"),
        r"FAILED  \] PolicySummaryTest.AChangedPolicyIsCountedAnewAndTheOldCountIsKept"),
    Defect(
        "revoked-and-still-trusted",
        "a running session is judged by what the trust store said before the reload",
        (Edit("src/session/session_policy.cc", "  chain_faults_.clear();\n", ""),),
        e2e("policy_reload.a_certificate_revoked_at_a_reload"), r"FAIL policy_reload.a_certificate_revoked"),
    Defect(
        "old-policies-after-a-reload",
        "a running session goes on under the policies it began with",
        (Edit("src/session/session_mail.cc", "!runtime->HasPoliciesOf(*policies_) &&", "runtime == nullptr &&"),),
        unit("tests/session/reload_test"), r"FAILED  \] ReloadTest.MailIsJudgedByThePolicyInForce"),
    Defect(
        "clear-text-to-a-partner",
        "a partner's server without STARTTLS gets the mail in clear, whatever the route asks for (PROTOCOL 42)",
        (Edit("src/session/backend.cc", "                                                  : StarttlsUse::kAlways;",
              "                                                  : StarttlsUse::kIfOffered;"),),
        unit("tests/session/egress_test"), r"FAILED  \] EgressTest.WithoutTlsNothingOfAMessage"),
    Defect(
        "verdict-on-a-partner-passed-over",
        "a partner's server gets the mail whatever its certificate is worth (PROTOCOL 44)",
        (Edit("src/session/partner_opening.cc",
              "  if (facts_.fault != PolicyFault::kNone && route_->mode == PolicyMode::kEnforce) {",
              "  if (facts_.fault != PolicyFault::kNone && route_->mode == PolicyMode::kReport) {"),),
        e2e("egress.presented[wrong name]"), r"FAIL egress.presented\[wrong name\]"),
    Defect(
        "words-behind-the-220-of-a-partner",
        "what somebody on the way has put behind a partner's 220 to STARTTLS is not noticed (PROTOCOL, response injection)",
        (Edit("src/smtp/client_dialogue.cc", "  if (phase_ == Phase::kStarttlsReply && code < kNegative && !alone) {",
              "  if (phase_ == Phase::kOver && code < kNegative && !alone) {"),
         Edit("src/smtp/client_dialogue.cc", "  if (!alone && (code < kNegative || goes_on))",
              "  if (!alone && phase_ != Phase::kStarttlsReply && (code < kNegative || goes_on))")),
        e2e("egress_middle.attack[a list behind the 220]"), r"FAIL egress_middle.attack\[a list behind the 220\]"),
    Defect(
        "partners-of-p256-left-out",
        "a partner's server that knows P-256 alone, as sendmail does, gets no mail",
        (Edit("src/session/runtime.cc", """  options.groups = {"X25519MLKEM768", "X25519", "P-256", "P-384"};""",
              """  options.groups = {"X25519MLKEM768", "X25519", "P-384"};"""),),
        e2e("egress_receivers.mail_arrives[sendmail]"), r"FAIL egress_receivers.mail_arrives\[sendmail\]"),
    Defect(
        "our-certificate-not-shown",
        "a partner's server that asks for our certificate gets none, although the route has one",
        (Edit("src/tls/tls_client.cc", "  if (options.cert_pem.empty() && key.empty()) {", "  if (options.cert_pem.empty() || !key.empty()) {"),),
        e2e("egress_receivers.mail_arrives[sendmail]"), r"our certificate at sendmail"),
    Defect(
        "refused-partner-without-words",
        "our own mail server's queue does not say what is wrong with the partner's server",
        (Edit("src/smtp/client_dialogue.cc", """      return "does not offer STARTTLS";""", """      return "";"""),),
        e2e("egress_queue.the_queue_has_the_words[Postfix]"), r"replies to MAIL that are not as described"),
    Defect(
        "unusable-partner-refused-at-the-hello",
        "a partner that cannot be reached ends the session, and the queue does not say why (PROTOCOL 42)",
        (Edit("src/session/session_backend.cc", "      if (relay_.opens_backend()) {", "      if (relay_.lacks_backend()) {"),),
        unit("tests/session/egress_test"), r"FAILED  \] EgressTest.NoneCanBeReached"),
    Defect(
        "egress-verdict-for-ever",
        "what was verified once is taken to be so for as long as the session is resumed",
        (Edit("src/session/partner_opening.cc", "    if (!facts_.tls.resumed || now >= session_.judged_until) {\n",
              "    if (!facts_.tls.resumed) {\n"),),
        unit("tests/session/partner_resumption_test"), r"FAILED  \] PartnerResumption.UntilTheCertificateExpires"),
    Defect(
        "egress-resumption-insists",
        "a server that cannot take its own ticket back gets no mail",
        (Edit("src/session/partner_opening.cc", "  trouble_.is_of_resumption =\n", "  trouble_.is_of_resumption = false &&\n"),),
        e2e("a_server_that_fails_where_it_is_asked_to_resume"), r"FAIL egress_resumption.a_server_that_fails_where"),
    Defect(
        "partner-list-forgotten",
        "while a partner is away, EHLO does not list what it offered",
        (Edit("src/smtp/smtp_relay_back.cc", "  if (options_->greets && policy_ != nullptr) policy_->BackendOffers(text_);\n", ""),),
        unit("tests/session/egress_test"), r"FAILED  \] EgressTest.WhatItOfferedAnotherTime"),
    Defect(
        "partner-list-without-bounds",
        "what a partner offers is kept whatever its length",
        (Edit("src/smtp/reply.cc", "    if (is_auth || kept.size() + line.size() + kCrlf.size() > octets_max) continue;",
              "    if (is_auth || octets_max == 0) continue;"),),
        unit("tests/session/egress_test"), r"FAILED  \] EgressTest.AnOfferThatIsLong"),
    Defect(
        "lost-partner-said-with-421",
        "a partner's server that is lost in the middle of a session is not named in the sender's queue",
        (Edit("src/smtp/smtp_relay.cc", "? LostServerText(reason, kRefused, *server_)",
              "? LostServerText(CloseReason::kNone, kRefused, *server_)"),),
        SMTP, r"FAILED  \].*greets_lost"),
    Defect(
        "last-words-without-bounds",
        "a partner that is lost with many commands waiting ends the process",
        (Edit("src/smtp/smtp_relay.cc", " || words.size() > kLastWordsMax) {", ") {"),),
        SMTP, r"FAILED  \] RelayLastWordsTest.AreBounded"),
    Defect(
        "partner-lost-for-our-own-refusals",
        "where a partner's server is lost, a client that does not speak SMTP is told of that, and nothing ends there",
        (Edit("src/smtp/smtp_relay.cc", "    if (LocalReplyClose(next.local) != CloseReason::kNone) {\n      return words +",
              "    if (false) {\n      return words +"),),
        SMTP, r"FAILED  \] RelayLastWordsTest.OurOwnRefusals"),
    Defect(
        "lost-partner-owes-replies",
        "where a partner's server is lost, only the first command of a group has its reply",
        (Edit("src/smtp/smtp_relay.cc", "  for (; !waiting.empty(); waiting.Pop()) {", "  for (; words.empty(); waiting.Pop()) {"),),
        SMTP, r"FAILED  \].*greets_lost_reply_due"),
    Defect(
        "no-close-notify-to-a-partner",
        "a partner's server cannot tell the end of a session from one that was cut",
        (Edit("src/session/session_end.cc", "may_notify ? Backend::Ending::kRetire", "may_notify ? Backend::Ending::kAtOnce"),),
        e2e("egress.the_end_of_tls"), r"FAIL egress.the_end_of_tls"),
    Defect(
        "stays-with-a-partner",
        "a partner's server that keeps its connection after QUIT keeps the session",
        (Edit("src/session/session_end.cc", "  phase_ = Phase::kJoining;\n  back_.ShutDown(host_->io());", "  phase_ = Phase::kJoining;"),),
        e2e("egress.a_server_that_stays"), r"FAIL egress.a_server_that_stays"),
    Defect(
        "close-notify-behind-half-a-message",
        "content that is cut looks finished to a partner's TLS library",
        (Edit("src/session/session_end.cc", "back_.may_notify() && !relay_.in_content();", "back_.may_notify();"),),
        e2e("egress.the_end_of_tls"), r"FAIL egress.the_end_of_tls"),
    Defect(
        "partner-handshake-without-its-time",
        "a partner's server that does not end its handshake is waited for as long as all of the opening takes",
        (Edit("src/session/session_end.cc", "      return std::min(OpeningDeadline(), now + listener_->route->handshake_timeout);",
              "      return OpeningDeadline();"),),
        unit("tests/session/egress_test"), r"FAILED  \] EgressTest.AHandshakeThatTakesLong"),
    Defect(
        "shortage-said-to-be-silence",
        "a partner's server is said to be silent where this machine had no memory to talk to it",
        (Edit("src/session/session_end.cc", "  const bool lacks_blocks = needs_round || back_.starved();",
              "  const bool lacks_blocks = needs_round && back_.starved();"),),
        unit("tests/session/egress_test"), r"FAILED  \] EgressTest.BlocksThatAreMissing"),
    Defect(
        "clear-text-to-a-partner-simulated",
        "the same, in the simulation",
        (Edit("src/session/backend.cc", "                                                  : StarttlsUse::kAlways;",
              "                                                  : StarttlsUse::kIfOffered;"),),
        SIMULATION, r"in clear to a partner"),
    Defect(
        "verdict-on-a-partner-passed-over-simulated",
        "the same, in the simulation",
        (Edit("src/session/partner_opening.cc",
              "  if (facts_.fault != PolicyFault::kNone && route_->mode == PolicyMode::kEnforce) {",
              "  if (facts_.fault != PolicyFault::kNone && route_->mode == PolicyMode::kReport) {"),),
        SIMULATION, r"partner [0-9/]+ \((untrusted|wrong name|expired)\) hears MAIL"),
    Defect(
        "unusable-partner-refused-at-the-hello-simulated",
        "the same, in the simulation",
        (Edit("src/session/session_backend.cc", "      if (relay_.opens_backend()) {", "      if (relay_.lacks_backend()) {"),),
        SIMULATION, r"sender\.completed\(\)"),
    Defect(
        "mail-accepted-without-a-partner",
        "MAIL is accepted although the partner's server cannot be used (PROTOCOL 7)",
        (Edit(FRONT, "      return RefuseUnusable(octets);\n", "      return Answer(LocalReply::kOk, octets);\n"),),
        SIMULATION, r"nobody's reply: 250"),
    Defect(
        "failed-handshake-gives-mail-back",
        "with hard_bounce, a message goes back because a handshake has failed, for want of memory perhaps",
        (Edit("src/session/partner_opening.cc",
              "  trouble_.is_passing = trouble_.is_passing || kind == Kind::kHandshake;\n", ""),),
        unit("tests/session/egress_test"), r"FAILED  \] EgressTest.AFailedHandshakeGivesNoMessageBack"),
    Defect(
        "egress-listens-everywhere",
        "an egress route listens where everybody can reach it, without allow_networks",
        (Edit("src/config/resolve.cc", "      if (IsLocal(route.listeners[i].endpoint)) continue;\n      if (!allow_networks) {",
              "      if (IsLocal(route.listeners[i].endpoint)) continue;\n      if (allow_networks) {"),),
        unit("tests/config/egress_test"), r"FAILED  \] EgressConfigTest.NoOpenRelayByAccident"),
    Defect(
        "failed-look-up-forgets",
        "a host name that cannot be looked up loses the addresses that it had",
        (Edit("src/process/upstream_names.cc", "    if (!std::exchange(name.failing, true)) {\n",
              "    name.addresses.clear();\n    if (!std::exchange(name.failing, true)) {\n"),),
        unit("tests/process/upstream_names_test"), r"FAILED  \] UpstreamNamesTest.AFailureKeepsTheAddresses"),
    Defect(
        "egress-starts-as-ingress",
        "the line of an egress route at the start is that of one of ingress, in clear and without a policy",
        (Edit("src/process/start_log.cc", "  if (listener.route->egress.has_value()) {\n    return EgressSentence", "  if (false) {\n    return EgressSentence"),),
        e2e("egress_words.start_lines"), r"FAIL egress_words.start_lines"),
    Defect(
        "partners-name-as-our-own",
        "the log says of a partner's host name that clients are told 421",
        (Edit("src/process/upstream_names.cc", "        (upstream.is_partner ? users.egress : users.ingress) = true;\n",
              "        users.ingress = true;\n"),),
        unit("tests/process/upstream_names_test"), r"FAILED  \] UpstreamNamesTest.WhatItMeansThatANameHasNoAddress"),
    Defect(
        "warning-after-the-wait",
        "the warning about a host name comes after whoever waited for the answer has gone on",
        (Edit("src/process/upstream_names.cc",
              "    const std::lock_guard lock(mutex_);\n    const auto name = names_.find(host);\n    if",
              "    std::unique_lock lock(mutex_);\n    const auto name = names_.find(host);\n    if"),
         Edit("src/process/upstream_names.cc", "    // Before Follow() returns: who",
              "    answered_.notify_all();\n    lock.unlock();\n    // Before Follow() returns: who")),
        unit("tests/process/upstream_names_test"), r"FAILED  \] UpstreamNamesTest.TheWarningIsThereBefore"),
    Defect(
        "no-such-name-for-an-hour",
        "a host name that is not there is taken for missing for as long as its zone says",
        (Edit("src/dns/resolver.cc", '      std::pair{"cache-max-negative-ttl:", "1"},\n', ""),),
        unit("tests/dns/dns_test"), r"FAILED  \] ResolverTest.NamesThatAreThereALittleLater"),
    Defect(
        "blocks-not-reclaimed",
        "peers that never read keep the blocks that others wait for",
        (Edit(SHARD_CC, "    ReclaimBlocks();\n    if (probes_at_", "    if (probes_at_"),),
        unit("tests/session/shard_test", "*CannotStarveTheOthers"), r"FAILED  \] ShardTest.ThoseWho"),
    Defect(
        "deaf-client-keeps-its-session",
        "a client that reads no replies is waited for like a backend that gives none",
        (Edit(SESSION_END, "  return front_.output_octets() >= Leg::kOutputMax && wait", "  return false && wait"),),
        SHARD, r"FAILED  \] ShardTest.WhoDoesNotReadIsNotWaitedFor"),
    # --- Limits
    Defect(
        "client-limit-not-held",
        "a client may have any number of sessions",
        CLIENT_LIMIT,
        SHARD, r"FAILED  \] ShardTest.AClientWithTooManySessionsIsTold"),
    Defect(
        "handshakes-not-counted",
        "a client may begin any number of handshakes",
        (Edit("src/session/client_limits.cc", "  if (full_at > now + share * per_minute) {\n", "  if (false) {\n"),),
        SHARD, r"FAILED  \] ShardTest.TheHandshakesOfAClientAreCounted"),
    Defect(
        "running-sessions-lose-descriptors",
        "accepting takes the descriptors that sessions which were let in will need",
        (Edit(BACKEND_CC, "    HoldSocket();\n", ""),),
        SHARD, r"FAILED  \] ShardTest.ASessionThatRunsKeepsItsDescriptors"),
    Defect(
        "client-not-counted-back",
        "a session that ends does not give its client's slot back: in the end nobody is let in",
        (Edit(SHARD_CC, "  Leave(std::exchange(session.counted, std::nullopt));\n", ""),),
        SERVER, r"CHECK failed"),
    Defect(
        "pipelining-without-turns",
        "all sessions of a client have their pipelined commands with the mail server at the same time",
        (Edit(SESSION, "  if (overran_ && side == Side::kFront && !MayGoOn()) [[unlikely]] {\n", "  if (false) {\n"),),
        SHARD, r"FAILED  \] ShardTest.APipeliningClientsSessionsTakeTurns"),
    Defect(
        "one-client-holds-all-blocks",
        "a client that holds more blocks than its share is read from all the same",
        (Edit(SESSION, "shares.IsOver(share)) [[unlikely]] {\n", "false) [[unlikely]] {\n"),),
        SHARD, r"FAILED  \] ShardTest.OneClientCannotHoldAllBlocks"),
    Defect(
        "turns-without-a-line",
        "a session that ends its turn leaves it unused while others wait",
        (Edit("src/session/client_shares.cc", "  GiveTurn(*next);\n", ""),),
        SHARES, r"Value of: ends.has_turn"),
    Defect(
        "client-slot-kept",
        "the table of clients does not count sessions down",
        (Edit("src/session/client_limits.cc", "  if (--slot->sessions > 0) {\n",
              "  if (slot->sessions > 0) {\n"),),
        LIMITS, r"FAILED|CHECK failed"),
    # --- Policies
    Defect(
        "narrow-partner-hides-the-wide-one",
        "a partner that a message does not concern hides the less specific one that it does concern",
        (Edit("src/policy/partner_table.cc",
              "    return partner != nullptr;\n", "    return found != by_domain_.end();\n"),),
        POLICY, r"FAILED  \] JudgeMailTest.APartnerThatIsNotConcernedHidesNoWiderOne"),

    Defect(
        "domain-in-the-local-part",
        "the partner of a domain within the local part is not asked, which Postfix reads in its own domain",
        (Edit("src/policy/judge.cc", "  for (const std::string& domain : sender.inner_domains) {\n",
              "  for (const std::string& domain : std::vector<std::string>()) {\n"),),
        e2e("policy_readers.no_server_reads_a_partner_that_ringpost_did_not[Postfix]", seconds=120),
        r"taken for the partner by the server only"),
    Defect(
        "domain-torn-by-blanks",
        "a local part whose domains nobody can tell is let through in front of a domain that may be the mail server's own",
        (Edit("src/policy/judge.cc", "  return !sender.inner_torn ||\n", "  return true ||\n"),),
        e2e("policy_readers.what_a_server_reads[Postfix]"), r"ringpost's reply for .*contoso .example"),
    Defect(
        "address-in-a-parameter",
        "a path without brackets and a parameter with an address, which Exim reads as a name and that address",
        (Edit("src/policy/sender_address.cc",
              '  if (text.find_first_of("<>@") != std::string_view::npos) return Malformed();\n', ""),),
        e2e("policy_readers.what_a_server_reads[Exim]"), r"ringpost's reply for b'MAIL FROM:x X="),

    # --- TLS
    Defect(
        "clear-text-before-the-handshake",
        "what is said while a handshake is going on is sent in clear",
        CLEAR_BEFORE_HANDSHAKE,
        DIALOGUES, r"FAILED  \] .*implicit_silent"),
    Defect(
        "read-behind-close-notify",
        "what follows a close_notify in clear is read as if it were inside TLS (PROTOCOL 36)",
        READ_BEHIND_CLOSE_NOTIFY,
        DIALOGUES, r"FAILED  \] .*client_notify_then_clear"),
    Defect(
        "key-update-flood",
        "KeyUpdates and empty records are not counted (PROTOCOL 31)",
        UNCOUNTED,
        TLS, r"FAILED  \] .*KeyUpdateFlood"),
    Defect(
        "record-keys-not-changed",
        "a client's KeyUpdate is taken, but not followed",
        (Edit("src/tls/record_layer.cc", "  if (!peer_.Update()) {\n", "  if (message_.empty()) {\n"),),
        TLS, r"FAILED  \] .*FollowsAKeyUpdate"),
    Defect(
        "record-too-long-accepted",
        "padding hides a content of more than 2^14 octets (PROTOCOL 32)",
        (Edit("src/tls/record_layer.cc", "inner.bytes > kPlainBytesMax) {\n", "inner.bytes > kSealedBytesMax) {\n"),),
        TLS, r"CHECK failed: n <= TailRoom|FAILED  \] .*RefusesLongerContent"),
    Defect(
        "record-number-stands-still",
        "each record is opened as if it were the first, so that one can be repeated",
        (Edit("src/tls/record_cipher.cc", "  ++sequence_;\n", "  sequence_ += 0;\n"),),
        TLS, r"FAILED  \] .*(ReplayedRecord|RefusesRecordsOutOfOrder)"),
    Defect(
        "record-within-message",
        "content may stand between the parts of a handshake message (RFC 8446 5.1)",
        (Edit("src/tls/record_layer.cc", "    if ((message_bytes_ > 0 || ticket_left_ > 0) && type != ContentType::kHandshake) {\n",
              "    if (message_bytes_ > kKeyUpdateBytes) {\n"),),
        TLS, r"FAILED  \] .*RefusesOthersWithinAMessage"),
    Defect(
        "record-old-keys",
        "a client goes on with the keys of the handshake, although the server has changed its own",
        (Edit(ENGINE, "  if (opened != library_records_) {\n", "  if (opened > library_records_) {\n"),),
        TLS, r"FAILED  \] HostileServer.KeyUpdateBeforeContent"),
    Defect(
        "long-chain-accepted",
        "a path longer than a CA allows is accepted",
        (Edit("src/x509/certificate_path.cc", "      if (depth_left == 0) {\n",
              "      if (depth_left < 0) {\n"),),
        X509, r"FAILED  \] Trust.PathLength"),
    Defect(
        "second-hello-unread",
        "a ClientHello after HelloRetryRequest may ask for something else than the first (RFC 8446 4.1.2)",
        (Edit("src/tls/first_hello.cc", "         digest_ == Digest(message);\n", "         !message.empty();\n"),),
        TLS, r"FAILED  \] SecondHello.SaysSomethingElse"),
    Defect(
        "common-name-unconstrained",
        "a policy matches the common name in another reading than name constraints do",
        (Edit("src/x509/x509_name.cc", "                                      : CleanDnsName(X509CommonName(certificate.subject));\n",
              "                                      : X509CommonName(certificate.subject);\n"),),
        X509, r"FAILED  \] Trust.NameConstraints"),
    Defect(
        "ca-taken-for-host",
        "wolfSSL holds constraints on host names against the name of a CA",
        (Edit("src/x509/library_path.cc", "    const bool whole = issuer.name_constraints.empty() || ",
              "    const bool whole = true || "),),
        X509, r"FAILED  \] Trust.NameConstraints"),
    Defect(
        "partition-taken-for-all",
        "a list for a part of a CA's certificates counts for all of them (RFC 5280 6.3.3)",
        (Edit("src/x509/trust_store.cc", "      if (!IsFor(*list, certificate, issuer)) {\n", "      if (false) {\n"),),
        X509, r"FAILED  \] Modes/Revoked.(Partitions|ListsForUsersOrCas)"),
    Defect(
        "broken-list-ignored",
        "a list that turns out to be forged is passed over, and the revoked are let in",
        (Edit("src/x509/trust_store.cc", "  if (broken != nullptr) {\n", "  if (false) {\n"),),
        X509, r"FAILED  \] Modes/Revoked.BrokenListOfAnIntermediate"),
    Defect(
        "forged-list-starts",
        "a list that its CA has not signed does not end the start",
        (Edit("src/x509/trust_store.cc", "    if (issuers.empty() || std::any_of(issuers.begin(), issuers.end(), usable)) {\n",
              "    if (true || std::any_of(issuers.begin(), issuers.end(), usable)) {\n"),),
        X509, r"FAILED  \] Modes/Revoked.ForgedList"),
    Defect(
        "staple-by-anybody",
        "whoever has a certificate of the CA says what it has revoked",
        (Edit("src/x509/ocsp_response.cc", "    if (!IsForSigningResponses(*signer)) {\n", "    if (false) {\n"),),
        X509, r"FAILED  \] Ocsp.WhoMayNotSign"),
    Defect(
        "staple-not-signed",
        "an OCSP response counts whoever signed it",
        (Edit("src/x509/ocsp_response.cc", "                                                   public_key) == SignatureVerdict::kGood;\n",
              "                                                   public_key) != SignatureVerdict::kWeak;\n"),),
        X509, r"FAILED  \] Ocsp.Broken"),
    Defect(
        "stale-staple",
        "an OCSP response counts for ever",
        (Edit("src/x509/ocsp_response.cc", "    if (now < answer.fresh_until) {\n", "    if (true) {\n"),),
        X509, r"FAILED  \] Ocsp.Times"),
    Defect(
        "staple-by-the-revoked",
        "whose certificate a list names still signs OCSP responses",
        (Edit("src/x509/ocsp_response.cc", "    } else if (is_revoked(*signer)) {\n", "    } else if (false) {\n"),),
        X509, r"FAILED  \] Modes/Stapled.RevokedSigner/2"),
    Defect(
        "revoked-staple-ignored",
        "what a stapled OCSP response says of revocation counts only if it is good",
        (Edit("src/x509/trust_store.cc",
              "    case OcspAnswer::Status::kRevoked:\n      return PolicyFault::kRevoked;\n",
              "    case OcspAnswer::Status::kRevoked:\n      return by_lists;\n"),),
        X509, r"FAILED  \] Modes/Stapled.WithoutLists/1"),
    Defect(
        "staple-of-the-ca",
        "the OCSP response of an intermediate certificate takes the place of the server's",
        (Edit("src/tls/stapled_response_callback.cc", "  if (index != 0) {\n", "  if (false) {\n"),),
        unit("tests/tls/tls_test", "*StapledResponse.*"), r"FAILED  \] Versions/StapledResponse.ForTheLeafAlone"),
    Defect(
        "staple-not-asked-for",
        "a route with revocation soft asks for no OCSP response",
        (Edit("src/session/runtime.cc", "made->trust->revocation() != Revocation::kOff) {\n",
              "made->trust->revocation() == Revocation::kHard) {\n"),),
        e2e("egress_stapling.stapled[tls1_3,revoked]"), r"FAIL egress_stapling.stapled\[tls1_3,revoked\]"),
    Defect(
        "key-that-does-not-sign",
        "a private key that makes no good signature is loaded",
        (Edit("src/tls/key_proof.cc", "         CheckSignature(rsa ? PssAlgorithm() : EcdsaAlgorithm(), kText, signature,\n",
              "         SignatureVerdict::kBad != CheckSignature(\"\", kText, signature,\n"),
         Edit("src/tls/key_proof.cc", "                        PublicKeyOf(leaf)) == SignatureVerdict::kGood;\n",
              "                        PublicKeyOf(leaf));\n")),
        unit("tests/tls/tls_test", "TlsContextTest.*"), r"FAILED  \] TlsContextTest.EveryKeySignsOnce"),
    Defect(
        "trust-settings-sent",
        "what OpenSSL writes behind a trusted certificate is sent with it",
        (Edit("src/tls/certificate_chain.cc", "    blocks.der[i].resize(length);\n", ""),),
        unit("tests/tls/tls_test", "TlsContextTest.*"),
        r"FAILED  \] TlsContextTest.TrustedCertificateIsCutAtItsOwnLength"),
    Defect(
        "missing-intermediate-not-said",
        "a server's certificate without its intermediate is sent, and nobody is told",
        (Edit("src/x509/chain_warnings.cc", "      JudgeEnd();\n", ""),),
        unit("tests/x509/x509_test", "ChainWarningsTest.*"), r"FAILED  \] ChainWarningsTest.IntermediateMissing"),
    Defect(
        "broken-list-left-out",
        "a file that should be a revocation list and is none is passed over, and the revoked are let in",
        (Edit("src/x509/trust_files.cc", "  if (IsReadme(file.path) && ", "  if ("),),
        unit("tests/x509/x509_test", "CrlFiles.*"), r"FAILED  \] CrlFiles.OtherFilesInTheFolder"),
    Defect(
        "first-flag-lost",
        "of a flag that is given twice the first is forgotten",
        (Edit("src/config/repeated_flags.cc", '  absl::StrAppend(&at->second, ",", View(value));\n',
              "  at->second = value;\n"),),
        unit("tests/config/flags_test"), r"FAILED  \] FlagsTest.ListsAddUp"),
    Defect(
        "own-port-taken-for-a-failure",
        "--check_config fails beside the ringpost that it is for",
        (Edit("src/process/start_check.cc", "    if (ours == owners.end() && owner.pid != kServiceManager) {\n", "    if (true) {\n"),),
        e2e("start.check_config_beside"), r"FAIL start.check_config_beside"),
    Defect(
        "secret-not-wiped",
        "a queue that held a secret gives its blocks back as they are",
        (Edit("src/base/byte_queue.cc",
              "    explicit_bzero(pool_->data(slice.block) + slice.offset, slice.length);\n",
              ""),),
        BASE, r"FAILED  \] ByteQueueTest.WipeLeavesZeros"),
    # --- Identity
    Defect(
        "proxy-header-swapped",
        "the PROXY header names the server's address as the client's",
        (Edit("src/identity/proxy_header_write.cc",
              "    writer.Octets(from.ipv4_octets(), sizeof(in_addr));\n"
              "    writer.Octets(to.ipv4_octets(), sizeof(in_addr));\n",
              "    writer.Octets(to.ipv4_octets(), sizeof(in_addr));\n"
              "    writer.Octets(from.ipv4_octets(), sizeof(in_addr));\n"),),
        PROXY_HEADER, r"FAILED  \] ProxyHeaderWrite.V2Ipv4"),
    Defect(
        "tlvs-too-long",
        "TLVs are written although the header gets longer than the backend takes",
        (Edit("src/identity/proxy_header_write.cc",
              "  if (writer.length() > octets_max && tlvs != ProxyTlvs::kNone) {\n", "  if (false) {\n"),),
        PROXY_HEADER, r"FAILED  \] ProxyHeaderWrite.LeavesOutTheTlvsThatAreTooLong"),
    Defect(
        "tlvs-that-nobody-asked-for",
        "the name that the client asked for is told although proxy_tlvs leaves it out",
        (Edit("src/identity/proxy_header_write.cc",
              "  if (tlvs == ProxyTlvs::kAll) writer->TlvText(", "  writer->TlvText("),),
        PROXY_HEADER, r"FAILED  \] ProxyHeaderWrite.WritesTheTlvsThatAreAskedFor"),
    Defect(
        "local-header-not-filled",
        "a health check's header is short whatever it should try out",
        (Edit("src/identity/proxy_header_write.cc", "  if (octets >= begin + kTlvHeadBytes) {\n", "  if (false) {\n"),),
        PROXY_HEADER, r"FAILED  \] ProxyHeaderWrite.LocalIsFilledUp"),
    Defect(
        "tlvs-without-version-2",
        "proxy_tlvs is taken where no header has TLVs",
        (Edit("src/config/resolve.cc",
              "        if (upstream.identity != BackendIdentity::kProxyV2) {\n", "        if (false) {\n"),),
        unit("tests/config/resolve_test"), r"FAILED  \] ResolveTest.ProxyTlvs"),
    Defect(
        "tlvs-not-printed",
        "--check_config does not print proxy_tlvs",
        (Edit("src/config/describe.cc",
              '      out.Text("proxy_tlvs", ProxyTlvsName(upstream.proxy_tlvs));\n', ""),),
        unit("tests/config/file_test"), r"FAILED  \] ConfigFile.ProxyTlvsAreReadAndPrinted"),
    Defect(
        "identity-of-another",
        "the backend is told the address of ringpost instead of the client's (PROTOCOL 41)",
        WRONG_CLIENT,
        DIALOGUES, r"FAILED  \] .*proxy_v2"),
    # --- The storing backend, on which the chaos run relies
    Defect(
        "sink-acknowledges-before-storing",
        "ringpost-sink says 250 to a message that it could not store",
        (Edit("src/tools/sink_session.cc", "(store_ != nullptr && !store_->Commit(envelope_))",
              "(store_ != nullptr && !store_->Commit(envelope_) && false)"),),
        SINK, r"FAILED"),
    # --- The sanitizers
    Defect(
        "read-out-of-bounds",
        "the ClientHello reader believes the lengths in it",
        (Edit("src/tls/client_hello.cc",
              "    const std::string_view taken = rest_.substr(0, count);\n    rest_.remove_prefix(count);\n",
              "    const std::string_view taken(rest_.data(), count);\n    rest_.remove_prefix(count);\n"),
         Edit("src/tls/client_hello.cc", "    if (!ok_ || count > rest_.size()) {\n", "    if (!ok_) {\n")),
        unit("tests/tls/tls_test", "ClientHello*", "asan"), r"AddressSanitizer: heap-buffer-overflow"),
    Defect(
        "signed-overflow",
        "the size of a chunk is computed with a sign and without a limit",
        (Edit(COMMAND, "  if (digits.empty() || digits.size() > kBdatDigitsMax) return std::nullopt;\n",
              "  if (digits.empty()) return std::nullopt;\n"),
         Edit(COMMAND,
              "    argument.octets = argument.octets * 10 + static_cast<std::uint64_t>(digit - '0');\n",
              "    argument.octets = "
              "static_cast<std::uint64_t>("
              "static_cast<std::int64_t>(argument.octets) * 10 + (digit - '0'));\n")),
        unit("tests/smtp/smtp_test", "*", "asan"), r"runtime error: signed integer overflow"),
    Defect(
        "log-ring-race",
        "a shard's log line is read by the log's thread before it is written",
        (Edit("src/log/log_ring.cc", "  written_.store(written + needed, std::memory_order_seq_cst);\n",
              "  written_.store(written + needed, std::memory_order_relaxed);\n"),),
        unit("tests/log/log_ring_test", "*", "tsan"), r"ThreadSanitizer: data race"),
    Defect(
        "session-registry-race",
        "the policy service reads a shard's sessions without their lock",
        (Edit("src/session/session_registry.cc",
              "void SessionRegistry::Find(const SessionKey& key, std::vector<RegisteredSession>& "
              "out) const {\n"
              "  const std::lock_guard<std::mutex> lock(mutex_);\n",
              "void SessionRegistry::Find(const SessionKey& key, std::vector<RegisteredSession>& "
              "out) const {\n"),),
        unit("tests/process/shards_test", "*", "tsan"), r"ThreadSanitizer: data race"),
    Defect(
        "reload-race",
        "a shard takes a new configuration while the main thread is writing it",
        (Edit(SHARD_RELOAD, "      const std::lock_guard lock(updates_mutex_);\n      if (updates_.empty()) {\n",
              "      if (updates_.empty()) {\n"),),
        unit("tests/process/shards_test", "*", "tsan"), r"ThreadSanitizer: data race"),
    Defect(
        "client-limits-race",
        "the shards count clients without the lock of their common table",
        (Edit("src/session/client_limits.cc",
              "void ClientLimits::Leave(ClientNetwork client, TimeNs now) {\n"
              "  const Place place = PlaceOf(client.bits());\n"
              "  const std::lock_guard lock(place.stripe->mutex);\n",
              "void ClientLimits::Leave(ClientNetwork client, TimeNs now) {\n"
              "  const Place place = PlaceOf(client.bits());\n"),),
        unit("tests/process/shards_test", "*", "tsan"), r"ThreadSanitizer: data race"),
    # --- Real processes
    Defect(
        "process-truncated-message-ended",
        "a message that was cut off is given a terminator, and the backend stores the half",
        TRUNCATED_ENDED,
        e2e("truncation_in_data[fin,clear]"), r"FAIL attacks.truncation_in_data"),
    Defect(
        "process-spins",
        "a shard with nothing to do looks again at once",
        (Edit(SHARD_CC, "  TimeNs timeout = wheel_.UntilNext(now);\n", "  TimeNs timeout = 0;\n"),),
        e2e("an_idle_proxy_does_nothing"), r"FAIL faults.an_idle_proxy_does_nothing"),
    Defect(
        "process-client-limit-not-held",
        "a client may have any number of sessions",
        CLIENT_LIMIT,
        e2e("limits.sessions_per_client"), r"FAIL limits.sessions_per_client"),
    Defect(
        "process-takes-more-than-planned",
        "each session takes 2 KB more than the start says",
        (Edit(SESSION, "  timer.session = this;\n",
              "  timer.session = this;\n  static char* volatile lost;\n  lost = new char[2000];\n"
              "  std::fill_n(lost, 2000, 'x');\n"),),
        e2e("crowd", seconds=150), r"FAIL crowd.a_crowd_takes_what_was_planned"),
    Defect(
        "process-floods-not-counted",
        "KeyUpdates and empty records are not counted (PROTOCOL 31)",
        UNCOUNTED,
        e2e("key_update_flood[each in its record]"), r"FAIL floods.key_update_flood"),
    Defect(
        "process-forgets-the-client",
        "the backend is told the address of ringpost instead of the client's (PROTOCOL 41)",
        WRONG_CLIENT,
        e2e("received_shows_the_true_client[proxy-v2]"), r"FAIL mail.received_shows_the_true_client"),
    Defect(
        "servers-relay-for-anybody",
        "Exim is told the address of ringpost instead of the client's, and relays for it (PROTOCOL 41)",
        WRONG_CLIENT,
        e2e("backends.backend[exim hosts_proxy,proxy-v2]"),
        r"mail_passes: a foreign recipient is refused: found False"),
    Defect(
        "servers-refuted-in-use",
        "a Postfix that does not take the PROXY header gets clients",
        REFUTED_IN_USE,
        e2e("backends.backend[smtpd,proxy-v2]"), r"nobody_reaches_it: "),
    Defect(
        "header-shortened-for-good",
        "a mail server that ends in the middle of a probe is taken for one that takes short headers only",
        (Edit("src/session/shard_probes.cc",
              "  if (result.kind == ProbeResult::Kind::kProven && prober.header_octets < longest) {\n",
              "  if (false) {\n"),),
        SHARD, r"FAILED  \] ShardProbeTest.AServerThatEndsInAProbe"),
    Defect(
        "servers-shown-a-long-header",
        "an Exim that takes short headers only is refuted instead of getting short ones",
        (Edit("src/session/shard_probes.cc", "  if (TryAnotherHeader(prober, result)) {\n",
              "  if (false) {\n"),),
        e2e("backends.backend[exim hosts_proxy,proxy-v2]"), r"mail_passes: an honest client"),
    Defect(
        "chaos-early-250",
        "the client is told 250 at the final dot, before the backend has said so",
        EARLY_250,
        chaos("ringpost"), r"BROKEN .*positive replies are the backend's"),
    Defect(
        "chaos-early-250-of-mail-that-leaves",
        "the same, where mail leaves",
        EARLY_250,
        chaos("ringpost", "--egress"), r"BROKEN .*positive replies are the backend's"),
    Defect(
        "chaos-partner-acknowledges-before-storing",
        "a partner's mail server says 250 to the second message of a session and has not stored it",
        (Edit("src/tools/sink_session.cc", "(store_ != nullptr && !store_->Commit(envelope_))",
              "(store_ != nullptr && messages_ != 1 && !store_->Commit(envelope_))"),),
        chaos("ringpost-sink", "--egress"), r"BROKEN .*acknowledged means stored"),
    Defect(
        "chaos-truncated-message-ended",
        "a message that was cut off is given a terminator, and the backend stores the half",
        TRUNCATED_ENDED,
        chaos("ringpost"), r"BROKEN .*nothing cut off is stored"),
    Defect(
        "chaos-wrong-client",
        "the backend is told the address of ringpost instead of the client's",
        WRONG_CLIENT,
        chaos("ringpost"), r"BROKEN .*the client's address is true"),
    Defect(
        "chaos-sink-acknowledges-before-storing",
        "the storing backend says 250 to the second message of a session and has not stored it",
        (Edit("src/tools/sink_session.cc", "(store_ != nullptr && !store_->Commit(envelope_))",
              "(store_ != nullptr && messages_ != 1 && !store_->Commit(envelope_))"),),
        chaos("ringpost-sink"), r"BROKEN .*acknowledged means stored"),
    Defect(
        "held-octets-stay",
        "last words that wait for the FIN are not followed by it",
        (Edit("src/session/session_end.cc", "    const bool flushed = front_.output_sent() && sealed;\n",
              "    const bool flushed = false;\n"),),
        SHARD, r"FAILED  \] ShardTest.ASessionThatGetsNoDescriptor"),
    Defect(
        "random-octets-twice",
        "two draws of a handshake are given the same random octets",
        (Edit("src/crypto/random_octets.cc",
              "  left_ -= octets.size();\n  unsigned char* const given = octets_.data() + left_;\n",
              "  unsigned char* const given = octets_.data() + left_ - octets.size();\n"),),
        unit("tests/crypto/crypto_test", "RandomOctets*"), r"FAILED  \] RandomOctets.ABatch"),
    Defect(
        "ticket-at-once",
        "a session ticket is sent before the client has sent its first command",
        (Edit(ENGINE, "  if (std::exchange(engine.ticket_next_, false) &&\n", "  if (false &&\n"),),
        unit("tests/tls/tls_test", "WaitingTicket*"), r"FAILED  \] WaitingTicket.ComesWithTheFirstReply"),
    Defect(
        "ticket-at-once-e2e",
        "the same, seen by a real client",
        (Edit(ENGINE, "  if (std::exchange(engine.ticket_next_, false) &&\n", "  if (false &&\n"),),
        e2e("tls.a_ticket_waits"), r"FAIL .*a_ticket_waits_for_the_first_reply\[full\]"),
    Defect(
        "no-ticket-opens",
        "no session ticket is taken, and every handshake is a full one",
        (Edit("src/tls/ticket_callback.cc", "  if (chain >= kTicketChainMax || !set", "  if (true || !set"),),
        world("openssl"), r"the last message in a resumed TLS session: found False"),
    Defect(
        "ticket-behind-its-number",
        "a ticket is sent behind the record that was sealed after it",
        (Edit("src/tls/record_layer.cc",
              "  if (const std::unique_ptr<char[]> first = std::move(first_);\n"
              "      first != nullptr && cipher_out.Append({first.get(), first_bytes_}) != Room::kOk) {\n"
              "    return false;\n  }\n", ""),
         Edit("src/tls/record_layer.cc", "    octets.remove_prefix(part.size());\n  }\n  return true;\n",
              "    octets.remove_prefix(part.size());\n  }\n"
              "  const std::unique_ptr<char[]> first = std::move(first_);\n"
              "  return first == nullptr || cipher_out.Append({first.get(), first_bytes_}) == Room::kOk;\n")),
        unit("tests/tls/tls_test", "WaitingTicket*"), r"FAILED  \] WaitingTicket.ComesWithTheFirstReply"),
    Defect(
        "early-data-without-bound",
        "early data that nobody can read is skipped for ever",
        (Edit("src/tls/early_data.cc", "  if (record_bytes > kBytesMax - counted_ || records_ == kRecordsMax) {\n",
              "  if (records_ == kRecordsMax) {\n"),),
        EARLY_DATA, r"FAILED  \] Layers/EarlyDataTest.UpToABound"),
    Defect(
        "early-data-in-many-records",
        "a client makes ringpost try its key on any number of small records",
        (Edit("src/tls/early_data.cc", " || records_ == kRecordsMax) {\n", ") {\n"),),
        EARLY_DATA, r"FAILED  \] Layers/EarlyDataTest.InSoManyRecords"),
    Defect(
        "early-data-never-offered",
        "records that cannot be opened are skipped for any client",
        (Edit("src/tls/tls_engine_hello.cc", "    if (hello.early_data && hello.has_pre_shared_key) {\n", "    {\n"),),
        EARLY_DATA, r"FAILED  \] Layers/EarlyDataTest.OnlyWhereItWasOffered"),
    Defect(
        "early-data-behind-the-second-hello",
        "after HelloRetryRequest early data is skipped behind the second hello as well",
        (Edit("src/tls/tls_engine_hello.cc", "  first_hello_.reset();\n  early_data_.reset();\n",
              "  first_hello_.reset();\n"),),
        EARLY_DATA, r"FAILED  \] Layers/EarlyDataTest.SkippedAfterHelloRetryRequest"),
    Defect(
        "any-number-of-tickets",
        "a ClientHello may offer as many tickets as it likes, and wolfSSL compares each with all before it",
        (Edit("src/tls/client_hello.cc", "  if (identity_count > kPskIdentitiesMax) {\n", "  if (false) {\n"),),
        unit("tests/tls/tls_test", "ClientHelloTest*"), r"FAILED  \] ClientHelloTest.PreSharedKeys"),
    Defect(
        "failed-reload-forgets-names",
        "host names that a refused configuration does not have lose their addresses",
        (Edit("src/process/upstream_names.cc", "  for (const auto& [host, users] : HostsOf(config)) {\n",
              "  const auto hosts = HostsOf(config);\n"
              "  std::erase_if(names_, [&hosts](const auto& name) { return !hosts.contains(name.first); });\n"
              "  for (const auto& [host, users] : HostsOf(config)) {\n"),),
        unit("tests/process/upstream_names_test"), r"FAILED  \] UpstreamNamesTest.AConfigurationThatIsNotTaken"),
    Defect(
        "message-behind-the-hello",
        "what stands behind a ClientHello in its record is thrown away",
        (Edit("src/tls/client_hello_reader.cc", "  if (there > total) {\n", "  if (false) {\n"),),
        unit("tests/tls/tls_test", "ClientHelloTest*"), r"FAILED  \] ClientHelloTest.RecordErrors"),
    Defect(
        "hello-held-for-nothing",
        "the blocks of a ClientHello of which a part has come count for nobody",
        (Edit("src/tls/client_hello_reader.cc", "    assembly_->message.CountBlocks(large, small);\n", ""),),
        unit("tests/tls/tls_test", "ClientHelloTest*"), r"FAILED  \] ClientHelloTest.BlocksOfAPart"),
    Defect(
        "extension-twice",
        "an extension that ringpost does not know may occur twice",
        (Edit("src/tls/client_hello.cc", "    if (seen.test(type)) {\n", "    if (type < 64 && seen.test(type)) {\n"),),
        unit("tests/tls/tls_test", "Conformance*"), r"FAILED  \] Conformance.ManyExtensions"),
    Defect(
        "unchecked-key-counts",
        "a client whose signature nobody could check counts as proven",
        (Edit("src/tls/peer_certificate_callback.cc",
              "    engine->peer_certificate_->key_proven = provable;\n",
              "    engine->peer_certificate_->key_proven = true;\n"),),
        unit("tests/tls/tls_test", "*ClientAuth*"), r"FAILED  \] Versions/ClientAuth.KeyThatCannotBeChecked"),
    Defect(
        "large-certificate-kept-whole",
        "a session keeps all of a client's certificate, however large it is",
        (Edit("src/session/session_policy.cc",
              "  if (certificate_ != nullptr && certificate_->MemoryOctets() > kKeptMax) ShortenCertificate();\n", ""),),
        e2e("policy_memory.a_session"), r"FAIL policy_memory.a_session_keeps_what_was_planned\[large\]"),
    Defect(
        "intermediates-are-kept",
        "what a peer presents as a CA stays in the context, trusted",
        (Edit("src/tls/peer_certificate_callback.cc", "  certificate->isCA = 0;\n", ""),),
        unit("tests/tls/tls_test", "*ServerCertificate.HostileChains*"),
        r"FAILED  \] Versions/ServerCertificate.HostileChainsLeaveNoTrace"),
    Defect(
        "answers-without-end",
        "a client answers each of the KeyUpdates that a server has put into one record",
        (Edit("src/tls/tls_engine.cc", "++engine.answers_ > TlsEngine::kAnswersMax", "false"),),
        unit("tests/tls/tls_test", "HostileServer*"), r"FAILED  \] HostileServer.ManyRequestsInOneRecord"),
    Defect(
        "key-updates-without-end",
        "a server may send KeyUpdates as long as there is text between them",
        (Edit("src/tls/tls_engine.cc", " || empty_bytes_ > kEmptyBytesMax", ""),),
        unit("tests/tls/tls_test", "HostileServer*"), r"FAILED  \] HostileServer.KeyUpdatesWithoutEnd"),
    Defect(
        "server-without-proof",
        "a server whose key was not proven meets a policy",
        (Edit("src/policy/server_policy.cc",
              "  if (!certificate.key_proven) return PolicyFault::kUnsupportedKey;\n", ""),),
        POLICY, r"FAILED  \] ServerPolicyTest.OrderOfFaults"),
    Defect(
        "address-as-a-dns-name",
        "a dNSName that spells a server's address counts where the certificate has no iPAddress",
        (Edit("src/policy/server_policy.cc",
              "  if (const std::optional<std::string> address = AddressOctets(host)) {\n",
              "  if (const auto address = AddressOctets(host); address && !certificate.addresses.empty()) {\n"),),
        POLICY, r"FAILED  \] ServerPolicyTest.Addresses"),
    Defect(
        "partial-wildcard",
        "a wildcard may be a part of a label",
        (Edit("src/base/name_match.cc",
              "  if (!pattern.starts_with(\"*.\")) return EqualNames(pattern, name);\n",
              "  if (const std::size_t star = pattern.find('*'); star > 0 && star != std::string_view::npos)\n"
              "    return name.starts_with(pattern.substr(0, star)) && name.ends_with(pattern.substr(star + 1));\n"
              "  if (!pattern.starts_with(\"*.\")) return EqualNames(pattern, name);\n"),),
        POLICY, r"FAILED  \] ServerPolicyTest.Names"),
    Defect(
        "server-name-of-the-domain-itself",
        "a name that only ends like the expected domain is taken for one below it",
        (Edit("src/policy/server_policy.cc",
              "  return NameMatches(suffix, name.substr(name.size() - suffix.size()));\n",
              "  return name.ends_with(suffix.substr(1));\n"),),
        POLICY, r"FAILED  \] ServerPolicyTest.SecureNames"),
    Defect(
        "unproven-certificate-is-judged",
        "a certificate whose key was not proven meets a policy",
        (Edit("src/policy/judge.cc",
              "  if (!certificate.key_proven) return PolicyFault::kUnsupportedKey;\n", ""),),
        POLICY, r"FAILED  \] JudgeMatrix"),
    Defect(
        "alert-in-clear",
        "an error before the client's Finished is told in clear where it must be sealed",
        (Edit(ENGINE, "  if (role_ == Role::kServer && tls13 && secrets_ != nullptr && secrets_->server_bytes > 0) {\n", "  if (false) {\n"),),
        unit("tests/tls/tls_test", "*SecondFlight*"), r"FAILED  \] Versions/SecondFlight.UnexpectedMessages/1"),
    # --- The fuzz targets, each by a short run
    Defect(
        "fuzz-bare-lf-terminator",
        "LF . CR LF ends a message",
        BARE_LF_TERMINATOR,
        fuzz("content"), r"FUZZ|libFuzzer: deadly signal"),
    Defect(
        "fuzz-early-250",
        "the client is told 250 before the backend has said so",
        EARLY_250,
        fuzz("relay"), r"libFuzzer: deadly signal"),
    Defect(
        "fuzz-injection-behind-220",
        "what a partner's server says behind its 220 to STARTTLS is taken for what comes through TLS (PROTOCOL 43)",
        (Edit("src/smtp/client_dialogue.cc", "  const bool alone = reply.size() == total;\n",
              "  const bool alone = reply.size() <= total;\n"),),
        fuzz("client_dialogue", 3_000), r"libFuzzer: deadly signal"),
    Defect(
        "fuzz-250-without-a-partner",
        "MAIL is accepted although the partner's server cannot be used (PROTOCOL 7)",
        (Edit(FRONT, "      return RefuseUnusable(octets);\n", "      return Answer(LocalReply::kOk, octets);\n"),),
        fuzz("relay", 3_000), r"libFuzzer: deadly signal"),
    Defect(
        "start-probe-without-a-request",
        "the probe at the start makes a ring and does not use it: where only io_uring_enter is refused, ringpost says that it is ready",
        (Edit("src/io/uring.cc", "CompleteOne(&ring->ring)", "absl::OkStatus()"),),
        URING_REFUSED, r"FAILED.*AStartSaysWhatToAllow"),
    Defect(
        "refused-enter-forever",
        "a ring that takes no requests any more is asked again for ever",
        (Edit("src/io/uring.cc", "  ring_->NoteEntered(result);\n", ""),),
        URING_REFUSED, r"FAILED.*ARefusalThatComesLaterEndsTheProcess"),
    Defect(
        "ring-opens-files",
        "a ring takes requests that ringpost never makes",
        (Edit("src/io/uring.cc", "IORING_OP_READ, IORING_OP_ASYNC_CANCEL}", "IORING_OP_READ, IORING_OP_ASYNC_CANCEL, IORING_OP_OPENAT}"),),
        unit("tests/io/io_test", "UringRestrictedTest.*"), r"FAILED.*UringRestrictedTest"),
    Defect(
        "capabilities-on-every-thread",
        "the threads that talk to clients keep the capabilities of the main thread",
        (Edit("src/process/privileges.cc", "absl::OkStatus() : SetCapabilities({});", "absl::OkStatus() : absl::OkStatus();"),),
        e2e("privileges.root_becomes_a_user"), r"FAIL privileges.root_becomes_a_user"),
    Defect(
        "filter-only-on-the-main-thread",
        "the filter of system calls is not on the threads that serve clients",
        (Edit("src/process/system_call_filter.cc", "    Set(SCMP_FLTATR_CTL_TSYNC, 1);", "    Set(SCMP_FLTATR_CTL_TSYNC, 0);"),),
        unit("tests/process/sandbox_test", "SandboxTest.*"), r"FAILED.*TheFilterIsOnAllThreads"),
    Defect(
        "shard-reads-files",
        "a thread that serves clients may open any file",
        (Edit("src/process/landlock.cc", "if (role == ThreadRole::kMain || role == ThreadRole::kNames) {", "if (role != ThreadRole::kQuiet) {"),),
        unit("tests/process/sandbox_test", "SandboxTest.*"), r"FAILED.*AShardHasNoFiles"),
    Defect(
        "ticket-keys-in-core-dumps",
        "session ticket keys get into a core dump",
        (Edit("src/base/locked_memory.cc", "  (void)madvise(memory, bytes, MADV_DONTDUMP);\n", ""),),
        unit("tests/tls/tls_test", "TicketKeysMemory.*"), r"FAILED.*TicketKeysMemory"),
    Defect(
        "dead-shard-is-waited-for",
        "the main thread does not hear that a shard's ring has failed",
        (Edit("src/process/server.cc", "      if (shard->failed()) {\n", "      if (false) {\n"),),
        e2e("start.a_system_call_of_the_ring_is_refused_later"), r"FAIL start.a_system_call"),
    Defect(
        "policy-port-kept-while-draining",
        "SIGTERM does not give up the policy service's port, and no successor can start",
        (Edit("src/process/server.cc", "      policy_service_->Release();\n", ""),),
        e2e("policy_service.a_successor_starts_while_the_old_one_drains[port]", seconds=90),
        r"FAIL policy_service.a_successor_starts"),
    Defect(
        "partner-opened-for-nobody",
        "a client that goes away while a partner's server is opened keeps its session until that answers",
        (Edit(FRONT, "      if (opens_backend() && input.eof && input.total == 0) {\n", "      if (false) {\n"),),
        unit("tests/session/egress_test", "*AClientThatHasGone*"), r"FAILED  \] .*AClientThatHasGoneMeanwhile"),
    Defect(
        "unix-path-kept-while-draining",
        "SIGTERM does not give up the path of a unix socket, and no successor can start",
        (Edit("src/process/server.cc", "  unix_listeners_.Close();\n  PostAll(ShardCommand::kDrain);\n",
              "  PostAll(ShardCommand::kDrain);\n"),),
        e2e("egress_unix.a_successor_starts_while_the_old_one_drains"),
        r"FAIL egress_unix.a_successor_starts"),
    Defect(
        "unix-listener-left-behind",
        "a unix socket that a reload has taken away, or did not come to, stays",
        (Edit("src/process/server_reload.cc", "  unix_listeners_.Keep(*config_);\n", ""),),
        e2e("egress_unix.over_a_reload"), r"FAIL egress_unix.over_a_reload"),
    Defect(
        "one-shard-takes-all-of-a-unix-socket",
        "shards do not take turns at a unix socket: the first takes all until it is full",
        (Edit("src/session/shard_accept.cc", "    if (listener->use == SocketUse::kShared) {\n", "    if (false) {\n"),),
        e2e("egress_unix.both_shards_serve"), r"FAIL egress_unix.both_shards_serve"),
    Defect(
        "dunno-about-the-successors-sessions",
        "while it drains, ringpost answers DUNNO about the sessions of its successor",
        (Edit("src/process/policy_service.cc", "    if (answer->stranger && listener.fd() < 0) {\n",
              "    if (false) {\n"),),
        e2e("policy_service.a_successor_starts_while_the_old_one_drains", "policy_service.postfix_asks_the_successor",
            seconds=120),
        r"FAIL policy_service.postfix_asks_the_successor"),
    Defect(
        "log-file-not-opened-anew",
        "SIGHUP does not open the log file anew, and the log goes on in the file that logrotate has moved away",
        (Edit("src/process/server.cc", "        ReopenLog();\n", ""),),
        e2e("start.a_log_file_is_opened_anew"), r"FAIL start.a_log_file_is_opened_anew"),
    Defect(
        "reload-says-everything-anew",
        "after a reload the log repeats what it said at the start",
        (Edit("src/process/server.cc", "  said_ = std::move(lines);\n", ""),),
        e2e("policy_reload.a_reload_says_what_has_changed"), r"FAIL policy_reload.a_reload_says"),
    Defect(
        "policy-line-without-the-session",
        "a line about a policy does not say which session it is about",
        (Edit("src/process/shard_log.cc", "  record.id = id;\n", ""),),
        e2e("policy.a_route_that_reports_and_a_partner_that_enforces"), r"FAIL policy.a_route_that_reports"),
    Defect(
        "upgrade-that-fails-removes-the-socket",
        "a new process that does not come to serve removes the file of the old one's unix socket",
        (Edit("src/process/local_socket.cc", "    adopted_path_ = endpoint.address.un.sun_path;\n",
              "    adopted_path_ = endpoint.address.un.sun_path;\n    Own();\n"),),
        e2e("egress_unix.an_upgrade_that_fails", seconds=120), r"FAIL egress_unix.an_upgrade_that_fails"),
    Defect(
        "upgrade-drains-at-once",
        "sessions of the old process that have no transaction open are ended when the new one serves",
        (Edit("src/process/server_upgrade.cc", "  PostAll(ShardCommand::kHandOver);\n", "  PostAll(ShardCommand::kDrain);\n"),),
        e2e("upgrade.sessions_of_the_old_one_go_on", seconds=90), r"FAIL upgrade.sessions_of_the_old_one"),
    Defect(
        "upgrade-before-the-new-one-serves",
        "the old process leaves as soon as the new one is started, which may not start",
        (Edit("src/process/successor.cc", "        pid_ = news.pid;\n", "        pid_ = news.pid;\n        return Look::kReady;\n"),),
        e2e("upgrade.a_file_that_is_wrong", seconds=90), r"FAIL upgrade.a_file_that_is_wrong"),
    Defect(
        "upgrade-executes-the-old-file",
        "the program that runs is executed again, and not what is at its path now",
        (Edit("src/process/start_helper.cc", "  execv(program_.c_str(), arguments_);\n",
              '  execv("/proc/self/exe", arguments_);\n'),),
        e2e("upgrade.the_program_at_the_same_path_is_what_starts", seconds=120), r"FAIL upgrade.the_program"),
    Defect(
        "upgrade-removes-the-policy-socket",
        "the old process removes the file of the policy service's socket, which the new one has",
        (Edit("src/process/policy_service.cc", "      listener.Abandon();\n", "      listener.Close();\n"),),
        e2e("upgrade.the_policy_service_is_handed_over[unix]", seconds=90), r"FAIL upgrade.the_policy_service"),
    Defect(
        "inherited-socket-without-accepts",
        "of more inherited sockets than shards some are served by nobody, and their connections hang",
        (Edit("src/process/server_listeners.cc", "  for (std::size_t socket = 0; socket < sockets.size(); ++socket) {\n",
              "  for (std::size_t socket = 0; socket < std::min(sockets.size(), shards_.size()); ++socket) {\n"),),
        e2e("activation.sockets_for_shards[three, one shard]", seconds=120), r"FAIL activation.sockets_for_shards"),
    Defect(
        "one-shard-takes-all-of-a-shared-socket",
        "shards that share a socket accept with a multishot each: the first gets every connection",
        (Edit("src/session/shard_accept.cc", "    if (listener->use == SocketUse::kShared) {\n", "    if (false) {\n"),),
        e2e("activation.sockets_for_shards[one socket, three shards]", seconds=90), r"FAIL activation.sockets_for_shards"),
    Defect(
        "handed-over-in-one-message",
        "more sockets are handed over in one message than the kernel takes: a large ringpost cannot be upgraded",
        (Edit("src/process/start_helper.cc", "kBatch = 128;", "kBatch = 512;"),),
        unit("tests/process/successor_test"), r"FAILED.*MoreSocketsThanOneMessageTakes"),
    Defect(
        "end-of-another-is-taken-for-the-new-one's",
        "the end of one that was given up is taken for the end of the one that is being started",
        (Edit("src/process/successor.cc", "        if (pid_ != 0) {  // or it is still about one that was given up\n", "        {\n"),
         Edit("src/process/successor.cc", "  while (helper_.Look().kind == HelperNews::Kind::kEnded) {", "  while (false) {")),
        unit("tests/process/successor_test"), r"FAILED.*OneThatHangsIsEndedAfterAMinute"),
    Defect(
        "watchdog-while-nothing-happens",
        "the watchdog is told only when a signal comes, or every ten seconds",
        (Edit("src/process/server.cc", "  if (watchdog.count() > 0) {\n", "  if (false) {\n"),),
        e2e("notify.the_watchdog", seconds=60), r"FAIL notify.the_watchdog"),
    Defect(
        "old-one-does-not-name-the-new-one",
        "after an upgrade the service manager is not told by the old process which one is the service",
        (Edit("src/process/server_upgrade.cc", "  notify_.HandedOver(successor_.pid());\n", ""),),
        e2e("notify.an_upgrade", seconds=60), r"FAIL notify.an_upgrade"),
    Defect(
        "start-does-not-wait-for-one-that-ends",
        "a start fails where another ringpost still has the address for a moment",
        (Edit("src/process/port_check.cc", "kPortPatience{2}", "kPortPatience{0}"),
         Edit("src/session/shard.cc", "  draining_ = true;\n",
              "  static int turns = 0;\n  if (++turns < 2) {\n    usleep(400'000);\n  }\n  draining_ = true;\n")),
        e2e("upgrade.sigterm_and_a_start_at_once[none]", seconds=90), r"FAIL upgrade.sigterm_and_a_start"),
    Defect(
        "fuzz-chunk-one-octet-short",
        "a chunk ends one octet early",
        (Edit(FRONT, "  chunk_octets_ = argument->octets;\n",
              "  chunk_octets_ = argument->octets > 1 ? argument->octets - 1 : argument->octets;\n"),),
        fuzz("bdat", 3_000), r"libFuzzer: deadly signal"),
    Defect(
        "fuzz-client-hello-off-by-one",
        "the ClientHello reader takes one octet more than there is",
        (Edit("src/tls/client_hello.cc",
              "    const std::string_view taken = rest_.substr(0, count);\n    rest_.remove_prefix(count);\n",
              "    const std::string_view taken(rest_.data(), count);\n"
              "    rest_.remove_prefix(std::min(count, rest_.size()));\n"),
         Edit("src/tls/client_hello.cc", "    if (!ok_ || count > rest_.size()) {\n",
              "    if (!ok_ || count > rest_.size() + 1) {\n")),
        fuzz("client_hello"), r"libFuzzer: deadly signal|AddressSanitizer|runtime error"),
    Defect(
        "fuzz-certificate-length",
        "the DER reader believes a length that is longer than the certificate",
        (Edit("src/base/der.cc", "  if (length > rest_.size() - header) {\n", "  if (false) {\n"),),
        fuzz("x509"), r"libFuzzer: deadly signal|AddressSanitizer"),
    Defect(
        "fuzz-octal-chunk-size",
        "BDAT 010 is ten octets to ringpost, and eight to whoever reads it as C does (PROTOCOL 19)",
        (Edit(COMMAND, "  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;\n", ""),),
        fuzz("command"), r"libFuzzer: deadly signal"),
    Defect(
        "fuzz-response-splitting",
        "a reply of the backend may change its code half-way",
        (Edit("src/smtp/reply.cc", "!first && code_is_whole && line.code != reply.code", "false"),),
        fuzz("reply"), r"libFuzzer: deadly signal"),
    Defect(
        "fuzz-proxy-header-swapped",
        "the PROXY header names the server's port as the client's",
        (Edit("src/identity/proxy_header_write.cc",
              "  writer.Octets(&from.port, sizeof from.port);\n  writer.Octets(&to.port, sizeof to.port);\n",
              "  writer.Octets(&to.port, sizeof to.port);\n"
              "  writer.Octets(&from.port, sizeof from.port);\n"),),
        fuzz("proxy"), r"libFuzzer: deadly signal"),
)
