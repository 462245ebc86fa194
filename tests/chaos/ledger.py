# SPDX-License-Identifier: GPL-3.0-or-later
"""What was sent, what was answered, what is stored, and what must hold between the three."""

import collections
import dataclasses
import hashlib
import json
import re
import threading

ORACLES = (
    "acknowledged means stored",
    "stored messages are whole",
    "stored envelopes are true",
    "nothing foreign is stored",
    "nothing cut off is stored",
    "the client's address is true",
    "TLS facts are true",
    "a copy more only after a final dot without an answer",
    "positive replies are the backend's",
    "a client that keeps to the rules hears no 5xx",
    "each session has one close reason",
    "nothing crashes",
    "everything is delivered in the end",
    "a third of the kills between dot and answer",
    "as many kills as asked for",
)

# In these ways a session may end here: nobody breaks a rule, no limit is met.
SESSION_REASONS = frozenset((
    "quit", "client_eof", "backend_eof", "backend_421", "client_reset", "client_truncated", "tls_handshake",
    "backend_connect", "backend_identity", "backend_reset", "backend_timeout", "client_timeout",
    "handshake_timeout", "drain"))

# And these of mail that leaves, where the partner's ringpost is ended too.
EGRESS_REASONS = SESSION_REASONS | {"backend_tls"}

HEAD = re.compile(rb"From: <(?P<sender>[^>\r\n]+)>\r\nTo: (?P<recipients>[^\r\n]+)\r\n"
                  rb"X-Chaos: id=(?P<id>[a-z0-9-]+) length=(?P<length>\d+) sha256=(?P<sha256>[0-9a-f]{64})\r\n\r\n")


class Oracles:
    """Counts what was held and what was broken; keeps the first few examples of each."""

    EXAMPLES = 5

    def __init__(self):
        self.checked = collections.Counter()
        self.failed = collections.Counter()
        self.examples = []
        self._lock = threading.Lock()

    @property
    def broken(self):
        return bool(self.failed)

    def held(self, oracle, count=1):
        with self._lock:
            self.checked[oracle] += count

    def broke(self, oracle, what):
        assert oracle in ORACLES, oracle
        with self._lock:
            self.failed[oracle] += 1
            if self.failed[oracle] <= self.EXAMPLES:
                self.examples.append(f"{oracle}: {what}")

    def check(self, condition, oracle, what):
        """`what` is a function: most of the time nobody wants the words."""
        if condition:
            self.held(oracle)
        else:
            self.broke(oracle, what())
        return condition


@dataclasses.dataclass(eq=False)
class Message:
    identifier: str
    sender: str
    recipients: list
    content: bytes        # None once it was acknowledged
    length: int = 0       # of the content
    sha256: str = ""      # of the content
    attempts: list = dataclasses.field(default_factory=list)

    def __post_init__(self):
        self.length = len(self.content)
        self.sha256 = hashlib.sha256(self.content).hexdigest()


def make_message(identifier, sender, recipients, body):
    """Everything that is needed to judge a stored copy is in it."""
    head = (f"From: <{sender}>\r\nTo: {', '.join(f'<{address}>' for address in recipients)}\r\n"
            f"X-Chaos: id={identifier} length={len(body)} sha256={hashlib.sha256(body).hexdigest()}\r\n\r\n")
    return Message(identifier, sender, recipients, head.encode() + body)


class Outcome:
    """Of an attempt to send a message."""
    ACCEPTED = "accepted"        # 250 to the end of the content
    NOT_SENT = "not sent"        # it ended before the client had begun to write the end of the content
    NO_ANSWER = "no answer"      # it ended after that
    SAID_421 = "421"             # after that, too; leaves open whether it is stored, as does the 451 of a lost server
    REFUSED = "refused"          # a 4xx in good order: not stored


@dataclasses.dataclass(eq=False)
class Attempt:
    client: str                 # address:port
    tls: tuple                  # (version, suite, name asked for), or None; None as well: TLS is not told
    began: float
    backend: str = ""           # its host name, once it has answered MAIL
    dot_begun: float = None     # before the write with the last octet of the content
    dot_sent: float = None      # after it
    done: float = None
    outcome: str = Outcome.NOT_SENT
    number: int = 0             # of the stored file, as the answer has it


@dataclasses.dataclass
class Copy:
    """A stored message whose content was looked at already."""
    backend: str
    number: int
    client: str
    tls: tuple


def digest(content):
    return hashlib.sha256(content).hexdigest()


class Store:
    """Looks at what the backends have stored, and deletes what was looked at and is as it must be."""

    KEEP = 8  # newest files: the backend goes on behind the highest number it finds

    def __init__(self, messages, oracles, clients_by_hello=None):
        """`clients_by_hello`: of mail that leaves, the client is known by the name in its EHLO, which goes all the
        way; what is stored says who has brought it."""
        self.messages, self.oracles, self.clients_by_hello = messages, oracles, clients_by_hello
        self.copies = collections.defaultdict(list)  # by message
        self.count = 0
        self._seen = collections.defaultdict(set)    # numbers by backend

    def look(self, backend, everything=False):
        found = sorted((int(path.stem), path) for path in backend.store.glob("*.eml"))
        for number, path in found if everything else found[:-self.KEEP]:
            if number in self._seen[backend.name]:
                continue
            self._seen[backend.name].add(number)
            facts_path = path.with_suffix(".json")
            good = self._judge(backend, number, path.read_bytes(), facts_path.read_text(encoding="utf-8"))
            self.count += 1
            if good:
                path.unlink()
                facts_path.unlink()

    def _judge(self, backend, number, content, facts_text):
        oracles, where = self.oracles, f"{backend.name}/{number:06}"
        try:
            facts = json.loads(facts_text)
        except ValueError:
            oracles.broke("stored envelopes are true", f"{where}: half a description: {facts_text[:200]}")
            return False
        head = HEAD.match(content)
        if not head:
            oracles.broke("nothing foreign is stored", f"{where}: {content[:200]!r}")
            return False
        identifier = head["id"].decode()
        message = self.messages.get(identifier)
        if message is None:
            oracles.broke("nothing foreign is stored", f"{where}: nobody sent {identifier}")
            return False
        oracles.held("nothing foreign is stored")
        body = content[head.end():]
        whole = (len(body) == int(head["length"]) and digest(body) == head["sha256"].decode()
                 and len(content) == message.length and digest(content) == message.sha256
                 and facts["octets"] == len(content))
        good = oracles.check(whole, "stored messages are whole", lambda: (
            f"{where}: {identifier} has {len(content)} octets instead of {message.length}, or others"))
        good &= oracles.check(
            facts["mail_from"] == message.sender and facts["recipients"] == message.recipients,
            "stored envelopes are true", lambda: f"{where}: {identifier}: {facts}")
        tls = (facts["tls_version"], facts["tls_cipher"], facts["tls_sni"]) if facts["tls"] else None
        client = f"{facts['client']}:{facts['client_port']}"
        if self.clients_by_hello is not None:
            client = self.clients_by_hello.get(facts["helo"], "nobody")
            good &= oracles.check(facts["tls"] and facts["tls_version"].startswith("TLSv1."), "TLS facts are true",
                                  lambda: f"{where}: {identifier} has left in clear: {facts}")
        self.copies[identifier].append(Copy(backend.hostname, number, client, tls))
        return good

    def by_client(self):
        return collections.Counter(copy.client for copies in self.copies.values() for copy in copies)


def judge_message(message, copies, oracles):
    """Each stored copy belongs to one attempt, that of its client address and port, and each attempt has as
    many as its outcome allows. Returns the number of copies more than one."""
    left = list(copies)
    for attempt in message.attempts:
        mine = [copy for copy in left if copy.client == attempt.client]
        # The same address and port in two attempts for the same message would be a very rare draw.
        same = [other for other in message.attempts if other.client == attempt.client]
        if len(same) > 1:
            continue
        for copy in mine:
            left.remove(copy)
            if attempt.tls != "untold":
                oracles.check(copy.tls == attempt.tls, "TLS facts are true", lambda: (
                    f"{message.identifier}: {attempt.tls} was told as {copy.tls}"))  # noqa: B023
        what = f"{message.identifier}: {attempt} has {mine}"
        if attempt.outcome == Outcome.ACCEPTED:
            answer = (attempt.backend, attempt.number)
            if oracles.check(bool(mine), "acknowledged means stored", lambda: what):  # noqa: B023
                oracles.check((mine[0].backend, mine[0].number) == answer, "positive replies are the backend's",
                              lambda: what)  # noqa: B023
                oracles.check(len(mine) == 1, "a copy more only after a final dot without an answer",
                              lambda: what)  # noqa: B023
        elif attempt.outcome in (Outcome.NO_ANSWER, Outcome.SAID_421):
            oracles.check(len(mine) <= 1, "a copy more only after a final dot without an answer",
                          lambda: what)  # noqa: B023
        else:
            oracles.check(not mine, "nothing cut off is stored", lambda: what)  # noqa: B023
    for copy in left:
        if sum(attempt.client == copy.client for attempt in message.attempts) < 2:
            oracles.broke("the client's address is true", f"{message.identifier}: {copy}; {message.attempts}")
    if not left:
        oracles.held("the client's address is true", len(copies))
    return max(0, len(copies) - 1)


def session_lines(log):
    """({(client, port it called): [session records]}, [lines that no ringpost may write])."""
    lines, wrong = collections.defaultdict(list), []
    for line in log.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            wrong.append(f"not a log line: {line[:300]}")
            continue
        if record.get("level") == "error":
            wrong.append(line[:300])
        if record.get("component") == "session":
            lines[record["client"], int(record["server"].rsplit(":", 1)[1])].append(record)
    return lines, wrong
