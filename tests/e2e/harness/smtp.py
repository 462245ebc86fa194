# SPDX-License-Identifier: GPL-3.0-or-later
"""An SMTP client that says exactly the octets it is told, in clear or in TLS.

TLS runs over memory buffers, so that a case decides what becomes a record, what becomes a segment, and
what follows a close_notify.
"""

import base64
import itertools
import random
import socket
import ssl
import time

from harness.case import Failure, shorten

TIMEOUT = 30


class Reply:
    def __init__(self, raw):
        self.raw = raw
        self.lines = raw.decode("utf-8", "replace").split("\r\n")[:-1]
        self.code = int(self.lines[0][:3])
        self.texts = [line[4:] for line in self.lines]

    def __repr__(self):
        return shorten(self.raw)


def context(ca=None, lowest=None, highest=None, alpn=None, ciphers=None):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca:
        tls.load_verify_locations(ca)
    else:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if ciphers:
        tls.set_ciphers(ciphers)
    if lowest:
        tls.minimum_version = lowest
    if highest:
        tls.maximum_version = highest
    if alpn:
        tls.set_alpn_protocols(alpn)
    return tls


# Below the servers' ports (free_port) and the kernel's own range, from which other clients get theirs.
_ports = itertools.cycle(random.sample(range(2000, 20000), 18000))


def bind_to_new_port(client, host):
    for port in itertools.islice(_ports, 1000):
        try:
            client.bind((host, port))
            return
        except OSError:
            continue  # somebody has it
    raise OSError("no free local port")


class Client:
    """One connection. `address` is ("127.0.0.1", port), ("::1", port) or the path of a unix socket, `source` a local
    address, `header` what is sent before anything else."""

    def __init__(self, address, source=None, implicit=None, name="mx.example.test", header=b""):
        unix = isinstance(address, str)
        family = socket.AF_UNIX if unix else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.settimeout(TIMEOUT)
        if not unix:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Never a port that an earlier client of this run had: a session is found in the log by it.
            bind_to_new_port(self.socket, source or ("::1" if family == socket.AF_INET6 else "127.0.0.1"))
        self.socket.connect(address)
        self.local = self.socket.getsockname()[:2]  # of a unix socket: ""
        self.received = b""
        self.tls = None
        self.piece = None  # octets per segment of what TLS sends; None: as it comes
        self.eof = False
        self.close_notify = False
        self.send_clear(header)
        if implicit:
            self.handshake(implicit, name)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    # --- octets ---

    def send_clear(self, octets):
        self.socket.sendall(octets)

    def send(self, octets):
        """In TLS one record per 16 KiB, in clear one segment as far as the kernel agrees."""
        if self.tls is None:
            self.socket.sendall(octets)
        else:
            self.tls.write(octets)
            self._flush()

    def send_pieces(self, octets, size):
        for begin in range(0, len(octets), size):
            self.send(octets[begin:begin + size])

    def _flush(self):
        pending = self._outgoing.read()
        size = self.piece or len(pending) or 1
        for begin in range(0, len(pending), size):
            self.socket.sendall(pending[begin:begin + size])

    def _more(self):
        """Receives something. False at the end of the connection, reset or not."""
        if self.eof or self.close_notify:
            return False
        if self.tls is not None and self._decrypt():  # it may have come together with what came before
            return not self.close_notify
        try:
            octets = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            octets = b""
        except socket.timeout:
            raise Failure(f"no answer within {TIMEOUT} s; received so far: {shorten(self.received)}") from None
        self.eof = not octets
        if self.tls is None:
            self.received += octets
        elif octets:
            self._incoming.write(octets)
            self._decrypt()
            self._try_flush()
        return not self.eof and not self.close_notify

    def _decrypt(self):
        """Whether there was something: text, or the close_notify."""
        before = len(self.received)
        while not self.close_notify:
            try:
                plain = self.tls.read(65536)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                plain = b""
            except ssl.SSLError:  # an alert
                break
            self.close_notify = not plain
            self.received += plain
        return self.close_notify or len(self.received) > before

    def _try_flush(self):
        try:
            self._flush()
        except OSError:
            pass

    # --- TLS ---

    def handshake(self, tls_context, name="mx.example.test", session=None):
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = tls_context.wrap_bio(self._incoming, self._outgoing, server_hostname=name, session=session)
        self._incoming.write(self.received)
        self.received = b""
        while True:
            try:
                self.tls.do_handshake()
                self._flush()
                return self
            except ssl.SSLWantReadError:
                self._flush()
                octets = self.socket.recv(65536)
                if not octets:
                    raise Failure("the connection ended in the TLS handshake") from None
                self._incoming.write(octets)
            except ssl.SSLError:
                self._try_flush()
                raise

    def starttls(self, tls_context, name="mx.example.test"):
        self.expect("STARTTLS", 220)
        return self.handshake(tls_context, name)

    def send_close_notify(self):
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass
        self._try_flush()

    # --- lines and replies ---

    def reply(self):
        """The next reply, all its lines; a line without CRLF or with another code is a failure."""
        whole = b""
        while True:
            while b"\n" not in self.received:
                if not self._more() and b"\n" not in self.received:
                    raise Failure(f"the connection ended where a reply was due; before that: {shorten(whole + self.received)}")
            line, _, self.received = self.received.partition(b"\n")
            line += b"\n"
            if not line.endswith(b"\r\n") or not line[:3].isdigit() or len(line) > 4 and line[3:4] not in b"- \r":
                raise Failure(f"not a reply line: {shorten(line)}")
            if whole and whole[:3] != line[:3]:
                raise Failure(f"the code changes within a reply: {shorten(whole + line)}")
            whole += line
            if line[3:4] != b"-":
                return Reply(whole)

    def command(self, text):
        self.send((text if isinstance(text, bytes) else text.encode()) + b"\r\n")
        return self.reply()

    def expect(self, text, code):
        reply = self.command(text) if text is not None else self.reply()
        if reply.code != code:
            raise Failure(f"{text or 'greeting'}: wanted {code}, got {reply}")
        return reply

    def greeting(self):
        return self.expect(None, 220)

    def rest(self):
        """All that still comes until the connection ends; then ends our side of it as well."""
        while self._more():
            pass
        self.socket.close()
        octets, self.received = self.received, b""
        return octets

    def drop(self, reset=False):
        """Ends the connection without a word, neither QUIT nor close_notify."""
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    # --- dialogues ---

    def open(self, tls_context=None, helo="client.example.test"):
        """Greeting, EHLO and, with a context, STARTTLS and EHLO again. Returns the last EHLO's reply."""
        self.greeting()
        reply = self.expect(f"EHLO {helo}", 250)
        if tls_context:
            self.starttls(tls_context)
            reply = self.expect(f"EHLO {helo}", 250)
        return reply

    def envelope(self, sender="alice@client.example.test", recipients=("bob@example.test",)):
        self.expect(f"MAIL FROM:<{sender}>", 250)
        for recipient in recipients:
            self.expect(f"RCPT TO:<{recipient}>", 250)

    def message(self, content, sender="alice@client.example.test", recipients=("bob@example.test",)):
        """A whole transaction; `content` has CRLF line ends and is dot-stuffed here."""
        self.envelope(sender, recipients)
        self.expect("DATA", 354)
        self.send(stuff(content) + b".\r\n")
        return self.reply()

    def quit(self):
        return self.expect("QUIT", 221)


def stuff(content):
    """RFC 5321 4.5.2."""
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


_serial = 0


def mail(body=b"Hello.\r\n", subject="test"):
    """(an identifier that no other message has, content with CRLF line ends)."""
    global _serial
    _serial += 1
    identifier = f"e2e-{_serial}-{time.monotonic_ns()}"
    head = (f"From: <alice@client.example.test>\r\nTo: <bob@example.test>\r\nSubject: {subject}\r\n"
            f"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <{identifier}@client.example.test>\r\n\r\n")
    return identifier, head.encode() + body


def plain_secret(user, password):
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()
