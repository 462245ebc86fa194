# SPDX-License-Identifier: GPL-3.0-or-later
"""A scripted backend: keeps every octet it is sent and answers, or fails, as a case wants it.

For what a real server does not do on demand: to die between two octets, to answer nonsense, and to show
that something never reached it.
"""

import select
import socket
import struct
import threading

from harness.case import eventually

V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLOSE = object()   # instead of a reply: close
RESET = object()   # instead of a reply: reset
SILENT = object()  # instead of a reply: nothing

REPLIES = {
    "greeting": b"220 scripted.example.test ESMTP\r\n",
    "HELO": b"250 scripted.example.test\r\n",
    "MAIL": b"250 2.1.0 Ok\r\n",
    "RCPT": b"250 2.1.5 Ok\r\n",
    "DATA": b"354 End data with <CR><LF>.<CR><LF>\r\n",
    ".": b"250 2.0.0 Ok: stored\r\n",
    "BDAT": b"250 2.0.0 Ok: chunk\r\n",
    "RSET": b"250 2.0.0 Ok\r\n",
    "NOOP": b"250 2.0.0 Ok\r\n",
    "VRFY": b"252 2.0.0 Ok\r\n",
    "QUIT": b"221 2.0.0 Bye\r\n",
    "AUTH": b"235 2.7.0 Authentication successful\r\n",
    "XCLIENT": b"220 scripted.example.test ESMTP\r\n",
    "unknown": b"502 5.5.2 Error: command not recognized\r\n",
}
KEYWORDS = ("PIPELINING", "SIZE 40000000", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES",
            "AUTH PLAIN LOGIN")


# RFC 2920 3.1: the last of their group.
LAST_OF_GROUP = ("EHLO", "HELO", "DATA", "NOOP", "VRFY", "EXPN", "ETRN", "HELP", "AUTH", "QUIT")


class BackendSession:
    def __init__(self):
        self.raw = b""         # all octets after the PROXY header
        self.proxied = None    # "PROXY" or "LOCAL" where a header came
        self.probe = False     # ringpost asks for itself
        self.proxy = None      # (source address, source port, destination address, destination port, tlvs)
        self.messages = []     # (mail line, rcpt lines, content after unstuffing)
        self.commands = []     # lines as received
        self.improper = None   # the command behind which more came before its reply
        self.ended = False     # the peer closed or reset, or we did
        self.reset = False


class Backend:
    """`replies` overrides REPLIES by verb: octets, CLOSE, RESET, SILENT, or a list used up in order.
    `cut` closes the connection after that many octets of content were received. Probes get REPLIES, and what
    `probe_replies` overrides of them, as far as they can be told from sessions: by a PROXY header before the
    greeting, else by their first command.

    It is as strict as Postfix is from 3.9 on: where more has come behind a command that ends its group, or behind any
    command where PIPELINING was not offered, it says 554 and closes. `patience` is how long it waits for that."""

    def __init__(self, replies=None, keywords=KEYWORDS, identity="proxy", cut=None, refuse_identity=False, port=0,
                 probe_replies=None, patience=0, host="127.0.0.1"):
        self.replies = {**REPLIES, **(replies or {})}
        self.probe_replies = {**REPLIES, **(probe_replies or {})}
        self.keywords = keywords
        self.identity = identity
        self.cut = cut
        self.refuse_identity = refuse_identity
        self.patience = patience
        self.connections = []
        self._listener = socket.create_server((host, port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # or the accept() in the other thread keeps it open
        except OSError:
            pass
        self._listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()

    @property
    def sessions(self):
        """The connections of sessions, in order. A probe that was stopped before its header is none."""
        return [connection for connection in list(self.connections)
                if not connection.probe and (self.identity != "proxy" or connection.proxied)]

    @property
    def probes(self):
        return [connection for connection in list(self.connections) if connection.probe]

    @property
    def raw(self):
        """All octets of all sessions."""
        return b"".join(session.raw for session in self.sessions)

    @property
    def messages(self):
        return [message for session in self.sessions for message in session.messages]

    def all_ended(self):
        """Waits until every session is over."""
        eventually(lambda: all(session.ended for session in list(self.sessions)), "the backend sessions' end")

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(120)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            session = BackendSession()
            self.connections.append(session)
            threading.Thread(target=self._serve, args=(connection, session), daemon=True).start()

    def _serve(self, connection, session):
        try:
            _Dialogue(self, connection, session).run()
        except (EOFError, socket.timeout):
            pass
        except (ConnectionResetError, BrokenPipeError):
            session.reset = True
        finally:
            connection.close()
            session.ended = True


class _Dialogue:
    def __init__(self, backend, connection, session):
        self.backend, self.connection, self.session = backend, connection, session
        self.buffer = b""
        self.mail, self.recipients, self.chunks = None, [], b""
        self.used = {}
        self.pipelining = False
        self.replies = backend.replies

    def _is_probe(self):
        self.session.probe = True
        self.replies = self.backend.probe_replies

    def _more(self):
        octets = self.connection.recv(65536)
        if not octets:
            raise EOFError
        self.buffer += octets
        return octets

    def _take(self, count):
        while len(self.buffer) < count:
            self._more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def _line(self):
        while b"\r\n" not in self.buffer:
            try:
                self._more()
            except EOFError:
                self.session.raw += self.buffer
                raise
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        self.session.raw += line + b"\r\n"
        return line

    def _expect_silence(self, verb):
        if verb == "BDAT" or self.pipelining and verb not in LAST_OF_GROUP:
            return
        ready = select.select([self.connection], [], [], self.backend.patience)[0]
        if self.buffer or ready and self.connection.recv(1, socket.MSG_PEEK):
            self.session.improper = verb
            self.connection.sendall(b"554 5.5.0 Error: SMTP protocol synchronization\r\n")
            raise EOFError

    def _answer(self, verb):
        reply = self.replies.get(verb, self.replies["unknown"])
        if isinstance(reply, list):
            index = self.used.get(verb, 0)
            self.used[verb] = index + 1
            reply = reply[min(index, len(reply) - 1)]
        if reply is CLOSE:
            raise EOFError
        if reply is RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise EOFError
        if reply is not SILENT:
            self.connection.sendall(reply)
            return reply
        return b"000"

    def _ehlo(self):
        words = list(self.backend.keywords)
        if self.backend.identity == "xclient":
            words.append("XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT")
        lines = ["scripted.example.test", *words]
        octets = b"".join(f"250{'-' if index + 1 < len(lines) else ' '}{text}\r\n".encode()
                          for index, text in enumerate(lines))
        self.pipelining = "PIPELINING" in words
        self.connection.sendall(octets)

    def run(self):
        if self.backend.identity == "proxy":
            self.session.proxy = self._proxy_header()
            if self.session.proxied == "LOCAL" or self.session.proxy[:2] == ("127.0.0.1", 25):
                self._is_probe()
        if self.backend.refuse_identity and not self.session.probe:
            raise EOFError
        self._answer("greeting")
        while True:
            line = self._line()
            self.session.commands.append(line)
            verb = line.split(b" ", 1)[0].decode("latin-1").upper()
            if self.backend.identity == "none" and self.session.commands == [b"EHLO mx.example.test"]:
                self._is_probe()
            if self.backend.identity == "xclient" and line.endswith(b" ADDR=127.0.0.1") and b" PORT=25 " in line:
                self._is_probe()
            self._expect_silence(verb)
            if verb in ("EHLO", "HELO"):
                scripted = self.replies.get(verb)  # may also be DROP or the like
                self.pipelining = isinstance(scripted, bytes) and b"PIPELINING" in scripted
            if verb == "EHLO" and "EHLO" not in self.replies:
                self._ehlo()
                continue
            if verb == "BDAT":
                self._bdat(line)
                continue
            reply = self._answer(verb)
            if verb == "MAIL" and reply.startswith(b"2"):
                self.mail, self.recipients, self.chunks = line, [], b""
            elif verb == "RCPT" and reply.startswith(b"2"):
                self.recipients.append(line)
            elif verb == "DATA" and reply.startswith(b"354"):
                self._data()
            elif verb == "AUTH":
                while reply.startswith(b"334"):
                    self._line()
                    reply = self._answer("AUTH")
            elif verb == "QUIT" and not reply.startswith(b"5"):
                while True:  # until the peer closes too
                    self._more()

    def _data(self):
        content, window = b"", b"\r\n"
        while True:
            if b"\r\n.\r\n" in window:
                break
            if not self.buffer:
                self._more()
            taken, self.buffer = self.buffer, b""
            window += taken
            if self.backend.cut is not None and len(window) >= self.backend.cut:
                self.session.raw += window[2:]
                raise EOFError
        content, _, self.buffer = window.partition(b"\r\n.\r\n")
        content = (content + b"\r\n")[2:]
        self.session.raw += content + b".\r\n"
        if self._answer(".").startswith(b"2"):
            unstuffed = content.replace(b"\r\n.", b"\r\n")
            self._store(unstuffed[1:] if unstuffed.startswith(b".") else unstuffed)
        self.mail = None

    def _bdat(self, line):
        words = line.split()
        octets = self._take(int(words[1]))
        self.session.raw += octets
        self.chunks += octets
        accepted = self._answer("BDAT").startswith(b"2")
        if len(words) > 2:
            if accepted:
                self._store(self.chunks)
            self.mail, self.chunks = None, b""

    def _store(self, content):
        self.session.messages.append((self.mail, self.recipients, content))

    def _proxy_header(self):
        while len(self.buffer) < 16 and not self.buffer.startswith(b"PROXY "):
            self._more()
        if self.buffer.startswith(b"PROXY "):
            while b"\r\n" not in self.buffer:
                self._more()
            line, _, self.buffer = self.buffer.partition(b"\r\n")
            self.session.proxied = "LOCAL" if line == b"PROXY UNKNOWN" else "PROXY"
            if line == b"PROXY UNKNOWN":
                return None
            _, _, source, destination, source_port, destination_port = line.decode().split(" ")
            return source, int(source_port), destination, int(destination_port), {}
        head = self._take(16)
        signature, version, family, length = struct.unpack("!12sBBH", head)
        assert signature == V2_SIGNATURE and version in (0x20, 0x21), f"not a PROXY v2 header: {head}"
        body = self._take(length)
        self.session.proxied = "LOCAL" if version == 0x20 else "PROXY"
        if version == 0x20:
            return None
        size = {0x11: 4, 0x21: 16}[family]
        kind = {4: socket.AF_INET, 16: socket.AF_INET6}[size]
        source_port, destination_port = struct.unpack("!HH", body[2 * size:2 * size + 4])
        return (socket.inet_ntop(kind, body[:size]), source_port,
                socket.inet_ntop(kind, body[size:2 * size]), destination_port, _tlvs(body[2 * size + 4:]))


def _tlvs(octets):
    """{type: value}; those inside PP2_TYPE_SSL (0x20) beside the others."""
    found = {}
    while octets:
        kind, length = struct.unpack("!BH", octets[:3])
        value, octets = octets[3:3 + length], octets[3 + length:]
        found[kind] = value
        if kind == 0x20:
            found.update(_tlvs(value[5:]))
    return found
