# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that send mail until it is acknowledged, and write down each attempt. They keep to RFC 5321; some
break off in the middle of a message. What they know at any moment tells the killer where to strike."""

import random
import re
import socket
import ssl
import struct
import threading
import time

from ledger import Attempt, Outcome, make_message

# OpenSSL's names of the TLS 1.2 suites that ringpost speaks, to IANA's.
SUITES = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384": "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305": "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
}
SERVER_NAME = "mx.example.test"
# What ringpost says where mail leaves and the partner's server was lost: it may have the message.
LOST_SERVER = re.compile(r"451 4\.(?:4\.2|5\.0|7\.5) \S+ \([^)]+\): |451 4\.(?:4\.2|5\.0|7\.5) [0-9.:\[\]]+: ")
LINES = (b".", b"..", b".\xe9t\xe9", b"", b"From here", b"MAIL FROM:<eve@elsewhere.example.test>", b"QUIT", b"250 Ok",
         b"x" * 998, b"caf\xc3\xa9 \x80\xff")


class Ended(Exception):
    """The connection is over; `said` is a last 421, if there was one."""

    def __init__(self, why, said=None):
        super().__init__(why)
        self.said = said


class Session:
    """One greeted connection, for the comparison with ringpost's log."""

    def __init__(self, connection):
        self.key = (connection.local, connection.port)
        self.connect_begun, self.connected_at = connection.connect_begun, connection.connected_at
        self.greeted = False
        self.accepted = 0


class Connection:
    def __init__(self, source, port, patience):
        self.socket = socket.socket()
        self.socket.settimeout(patience)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.port = port
        self.connect_begun = time.monotonic()
        try:
            # The source port is chosen by connect, for this destination only: so there are enough.
            self.socket.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
            self.socket.bind((source, 0))
            self.socket.connect(("127.0.0.1", port))
        except OSError as error:
            self.socket.close()
            raise Ended(f"connect: {error}") from None
        self.local = "%s:%d" % self.socket.getsockname()
        self.connected_at = time.monotonic()

    def start_tls(self, context, session):
        try:
            self.socket = context.wrap_socket(self.socket, server_hostname=SERVER_NAME, session=session)
        except (OSError, ValueError) as error:
            raise Ended(f"handshake: {error}") from None

    def send(self, octets):
        try:
            self.socket.sendall(octets)
        except OSError as error:
            raise Ended(f"send: {error}", self._last_words()) from None

    def _last_words(self):
        """A 421 that came before the connection broke."""
        try:
            while b"\r\n" not in self.received:
                octets = self.socket.recv(65536)
                if not octets:
                    break
                self.received += octets
        except OSError:
            pass
        return self.received if self.received.startswith(b"421") else None

    def reply(self):
        """(code, last line)."""
        while True:
            line, end, rest = self.received.partition(b"\r\n")
            if end:
                self.received = rest
                if line[3:4] == b"-":
                    continue
                if line.startswith(b"421"):
                    raise Ended("421", line)
                return int(line[:3]), line.decode("utf-8", "replace")
            try:
                octets = self.socket.recv(65536)
            except OSError as error:
                raise Ended(f"receive: {error}") from None
            if not octets:
                raise Ended("closed")
            self.received += octets

    def abort(self, how):
        """Ends the connection in the middle of a message."""
        try:
            if how == "reset":
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif how == "notify" and isinstance(self.socket, ssl.SSLSocket):
                self.socket.unwrap()
            elif how == "half":
                self.socket.shutdown(socket.SHUT_WR)
                self.socket.recv(65536)
        except (OSError, ValueError):
            pass
        self.close()

    def close(self):
        try:
            self.socket.close()
        except OSError:
            pass


class Client(threading.Thread):
    """One client address with its queue. `hub` is the lane's: it hands out messages and hears of attempts."""

    def __init__(self, hub, number, seed):
        super().__init__(daemon=True, name=f"client {number}")
        self.hub, self.number = hub, number
        self.random = random.Random(seed)
        self.source = f"127.0.{hub.index + 1}.{number + 10}"
        self.queue = []
        self.made = 0
        self.connections = 0
        self.attempt = None  # the current one
        self.pause = 0.02
        self.tickets = {}
        self.crash = None

    def run(self):
        try:
            while not self.hub.stopping or self.queue:
                if self.hub.given_up:
                    return
                self._session()
        except Exception as error:  # noqa: BLE001  # a fault of the harness must not look like a quiet client
            self.crash = error
            raise

    # --- what is sent ---

    def _next_message(self):
        if self.queue:
            return self.queue[0]
        if self.hub.stopping:
            return None
        self.made += 1
        identifier = f"l{self.hub.index}-c{self.number}-{self.made}"
        draw = self.random.random()
        low, high = ((0, 600) if draw < 0.5 else (600, 40_000) if draw < 0.93 else (40_000, 400_000) if draw < 0.995
                     else (400_000, 3_000_000))
        size = self.random.randrange(low, high)
        recipients = [f"rcpt-{index}-{identifier}@recipient.example.test"
                      for index in range(self.random.choice((1, 1, 1, 2, 3, 12)))]
        message = make_message(identifier, f"sender-{identifier}@client.example.test", recipients, self._body(size))
        self.hub.messages[identifier] = message
        self.queue.append(message)
        return message

    def _body(self, size):
        parts, total = [], 0
        while total < size:
            line = (self.random.choice(LINES) if self.random.random() < 0.3
                    else self.random.randbytes(self.random.randrange(1, 60)).hex().encode())
            if size - total > 20_000:
                line = b"\r\n".join([line] * self.random.randrange(10, 400))
            parts.append(line + b"\r\n")
            total += len(parts[-1])
        return b"".join(parts)

    # --- one connection ---

    def _session(self):
        how = self.random.choice(("starttls", "starttls", "implicit", "plain"))
        if self.hub.egress:
            how = "plain"
        # Some do not wait: they are gone before a hole is healed.
        patience = self.random.choice((1.5, 8, 8))
        context_name = self.random.choice(("both", "both", "1.2"))
        wanted = self.random.choice((1, 1, 2, 5))
        resume = self.random.random() < 0.4
        connection = session = None
        try:
            port = self.hub.proxy.implicit_port if how == "implicit" else self.hub.proxy.port
            connection = Connection(self.source, port, patience)
            session = Session(connection)
            tls = None
            if how == "implicit":
                tls = self._start_tls(connection, context_name, resume)
                session.greeted = True  # only an accepted connection has a handshake
            self._expect(connection, 220)
            session.greeted = True
            self._command(connection, self._hello(connection), 250)
            if how == "starttls":
                self._command(connection, "STARTTLS", 220)
                tls = self._start_tls(connection, context_name, resume)
                self._command(connection, "EHLO client.example.test", 250)
                if not self.hub.tells_starttls_facts:
                    tls = "untold"
            if self.hub.identity == "xclient" or self.hub.egress:
                tls = "untold"
            for _ in range(wanted):
                message = self._next_message()
                if message is None:
                    break
                if not self._send(connection, session, message, tls):
                    return
                self.pause = 0.02
            self._command(connection, "QUIT", 221)
            self._keep_ticket(connection, context_name)
        except Ended:
            time.sleep(self.pause)  # not in a spin while ringpost is down
            self.pause = min(0.3, self.pause * 1.6)
        finally:
            if connection is not None:
                connection.close()
            if session is not None:
                self.hub.session_ended(session)

    def _hello(self, connection):
        """With a name for each connection, where nothing else says at the partner's whose it was."""
        if not self.hub.egress:
            return "EHLO client.example.test"
        self.connections += 1
        name = f"n{self.connections}.c{self.number}.l{self.hub.index}.example.test"
        self.hub.clients_by_hello[name] = connection.local
        return f"EHLO {name}"

    def _start_tls(self, connection, context_name, resume):
        context = self.hub.contexts[context_name]
        connection.start_tls(context, self.tickets.get(context_name) if resume else None)
        suite = connection.socket.cipher()[0]
        return connection.socket.version(), SUITES.get(suite, suite), SERVER_NAME

    def _keep_ticket(self, connection, context_name):
        if isinstance(connection.socket, ssl.SSLSocket) and connection.socket.session is not None:
            self.tickets[context_name] = connection.socket.session

    def _expect(self, connection, code, what="greeting"):
        found, line = connection.reply()
        if found != code:
            self._unexpected(found, line, what)
        self.hub.oracles.held("a client that keeps to the rules hears no 5xx")
        return line

    def _command(self, connection, text, code):
        connection.send(text.encode() + b"\r\n")
        return self._expect(connection, code, text)

    def _unexpected(self, code, line, what):
        """Only 4xx may come in place of what was due."""
        if 400 <= code < 500:
            raise Ended(line)
        self.hub.oracles.broke("a client that keeps to the rules hears no 5xx", f"{self.source}: {what}: {line}")
        raise Ended(line)

    # --- one message ---

    def _send(self, connection, session, message, tls):
        """Whether the session can go on."""
        attempt = Attempt(connection.local, tls, time.monotonic())
        message.attempts.append(attempt)
        self.attempt = attempt
        try:
            whole = self._transaction(connection, message, attempt)
            attempt.outcome = Outcome.ACCEPTED if whole else Outcome.NOT_SENT
            if whole:
                session.accepted += 1
                self.queue.pop(0)
                message.content = None
            return whole
        except Ended as end:
            if attempt.dot_begun is None:
                attempt.outcome = Outcome.NOT_SENT
            elif attempt.outcome != Outcome.REFUSED:
                attempt.outcome = Outcome.SAID_421 if end.said else Outcome.NO_ANSWER
            raise
        finally:
            attempt.done = time.monotonic()
            self.attempt = None
            self.hub.attempt_done(attempt)

    def _transaction(self, connection, message, attempt):
        """False: broken off on purpose, and the connection is closed."""
        content = message.content
        commands = [f"MAIL FROM:<{message.sender}>", *(f"RCPT TO:<{address}>" for address in message.recipients)]
        chunked = self.random.random() < 0.4
        pipelined = self.random.random() < 0.5
        breaks_off = self.random.random() < 0.06
        if not chunked:
            commands.append("DATA")
        if pipelined:
            connection.send("".join(f"{text}\r\n" for text in commands).encode())
        for text in commands:
            if not pipelined:
                connection.send(text.encode() + b"\r\n")
            line = self._expect(connection, 354 if text == "DATA" else 250, text)
            if text != "DATA":
                self._check_echo(attempt, text, line)
        pieces = self._chunks(content) if chunked else self._data(content)
        if breaks_off:
            self._break_off(connection, pieces)
            return False
        for position, piece in enumerate(pieces):
            if position + 1 == len(pieces):
                attempt.dot_begun = time.monotonic()
            connection.send(piece)
            if chunked and not pipelined and position + 1 < len(pieces):
                self._expect(connection, 250, "BDAT")
        attempt.dot_sent = time.monotonic()
        self.hub.dot_sent()
        for _ in range(len(pieces) - 1 if chunked and pipelined else 0):
            self._expect(connection, 250, "BDAT")
        code, line = connection.reply()
        if self.hub.egress and LOST_SERVER.match(line):
            raise Ended(line, line)
        if code != 250:
            if 400 <= code < 500:
                attempt.outcome = Outcome.REFUSED
            self._unexpected(code, line, "end of content")
        self._check_final(attempt, line)
        return True

    def _data(self, content):
        """What is written at a time; the end is only in the last piece."""
        stuffed = content.replace(b"\r\n.", b"\r\n..") + b".\r\n"
        size = self.random.choice((512, 4096, 65536, len(stuffed)))
        cut = max(0, len(stuffed) - self.random.randrange(3, 200))
        if len(stuffed) // size > 60:
            size = 65536
        return [stuffed[begin:min(begin + size, cut)] for begin in range(0, cut, size)] + [stuffed[cut:]]

    def _chunks(self, content):
        cuts = sorted(self.random.randrange(len(content) + 1) for _ in range(self.random.randrange(4)))
        parts = [content[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(content)])]
        if self.random.random() < 0.2:
            parts.append(b"")  # BDAT 0 LAST
        return [f"BDAT {len(part)}{' LAST' if index + 1 == len(parts) else ''}\r\n".encode() + part
                for index, part in enumerate(parts)]

    def _break_off(self, connection, pieces):
        """Anywhere, often just before the last octet."""
        octets = b"".join(pieces)
        octets = octets[:len(octets) - self.random.choice((1, 2, 3, self.random.randrange(1, len(octets))))]
        connection.send(octets)
        connection.abort(self.random.choice(("reset", "close", "half", "notify")))

    def _check_echo(self, attempt, text, line):
        """'250 2.1.0 Ok backend.example.test address'."""
        words = line.split(" ")
        address = text[text.index("<") + 1:-1]
        if len(words) == 5:
            attempt.backend = words[3]
        self.hub.oracles.check(len(words) == 5 and words[4] == address and words[3] in self.hub.backend_names,
                               "positive replies are the backend's", lambda: f"{text}: {line}")

    def _check_final(self, attempt, line):
        """'250 2.0.0 Ok: message accepted backend.example.test number'."""
        words = line.split(" ")
        good = len(words) == 7 and words[5] == attempt.backend and words[6].isdigit()
        if self.hub.oracles.check(good, "positive replies are the backend's", lambda: f"{attempt}: {line}"):
            attempt.number = int(words[6])
