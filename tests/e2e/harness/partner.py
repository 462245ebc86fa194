# SPDX-License-Identifier: GPL-3.0-or-later
"""A scripted partner's server, with STARTTLS, to which mail leaves. It keeps what it was sent, apart for what came
in clear and what came in TLS, stores messages, and is wrong in the way a case wants."""

import socket
import ssl
import struct
import threading

from harness.backend import CLOSE, RESET, SILENT
from harness.case import eventually

GARBAGE = b"this is no TLS record, and there is more of it\r\n"
TLS_RECORD = 0x16  # the first octet of a ClientHello's record
CLEAR_SIZE, TLS_SIZE = "SIZE 1000000", "SIZE 30000000"  # so that a client shows which list it has read
KEYWORDS = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8", "DSN")
REPLIES = {"MAIL": b"250 2.1.0 Ok\r\n", "RCPT": b"250 2.1.5 Ok\r\n", "DATA": b"354 End data with <CR><LF>.<CR><LF>\r\n",
           "RSET": b"250 2.0.0 Ok\r\n", "NOOP": b"250 2.0.0 Ok\r\n", "QUIT": b"221 2.0.0 Bye\r\n", ".": b"250 2.0.0 Ok: stored\r\n"}
PROCEED = "proceed"  # instead of one of the defects of a handshake


class PartnerSession:
    def __init__(self):
        self.clear = b""         # all octets that came in clear, but for TLS records
        self.inside = b""        # all that came in TLS
        self.commands = []       # (whether in TLS, line)
        self.behind = b""        # what came behind STARTTLS before the 220: nothing should
        self.hellos = 0          # handshakes that the client began
        self.version = None      # of TLS, once established
        self.cipher = None
        self.resumed = None      # of TLS, once established
        self.certificate = None  # the client's, in DER
        self.failure = None      # why a handshake failed
        self.messages = []       # (whether in TLS, mail line, rcpt lines, content)
        self.notified = None     # once we have said QUIT: whether close_notify came before the end
        self.ended = False

    def lines(self, verb, in_tls=None):
        """The commands of this verb; with `in_tls` only those that came so."""
        return [line for inside, line in self.commands
                if line.split(b" ", 1)[0].upper() == verb and in_tls in (None, inside)]


class Partner:
    """`tls` is a server's context; None: STARTTLS is not offered, unless `offers` says so. `greeting` and `starttls`
    are replies, or CLOSE, RESET, SILENT. `behind` follows the 220 to STARTTLS in its segment. `handshake`: PROCEED,
    GARBAGE, CLOSE, RESET or SILENT once the client has begun. `implicit`: TLS from the first octet. `replies` by verb are
    others than the usual ones, "." for the one to the content. Without `leaves` it keeps the connection after QUIT.
    `auth`: offers AUTH PLAIN inside TLS, and takes any password."""

    def __init__(self, tls=None, *, offers=None, greeting=b"220 mx.partner.example ESMTP\r\n",
                 starttls=b"220 2.0.0 Ready to start TLS\r\n", behind=b"", handshake=PROCEED, implicit=False,
                 replies=None, leaves=True, auth=False):
        self.tls, self.greeting, self.starttls, self.behind = tls, greeting, starttls, behind
        self.offers = tls is not None and not implicit if offers is None else offers
        self.handshake, self.implicit, self.auth = handshake, implicit, auth
        self.replies = {**REPLIES, **(replies or {})}
        self.leaves, self.stopped = leaves, threading.Event()
        self.sessions = []
        self._open = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()

    def stop(self):
        self.stopped.set()
        for end in (self._listener, *list(self._open)):
            try:
                end.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits there
            except OSError:
                pass
        self._listener.close()

    @property
    def messages(self):
        return [message for session in list(self.sessions) for message in session.messages]

    def all_ended(self):
        eventually(lambda: all(session.ended for session in list(self.sessions)), "the end of the partner's sessions")

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(120)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            session = PartnerSession()
            self.sessions.append(session)
            threading.Thread(target=self._serve, args=(connection, session), daemon=True).start()

    def opened(self, connection):
        """It is this one that ends with us."""
        self._open.add(connection)

    def _serve(self, connection, session):
        self._open.add(connection)
        dialogue = _Dialogue(self, connection, session)
        try:
            dialogue.run()
        except ssl.SSLError as error:
            session.failure = session.failure or str(error)
        except (EOFError, OSError):
            pass
        finally:
            self._open -= {connection, dialogue.connection}
            dialogue.connection.close()
            connection.close()
            session.ended = True


class _Dialogue:
    def __init__(self, partner, connection, session):
        self.partner, self.connection, self.session = partner, connection, session
        self.buffer = b""
        self.in_tls = False

    def run(self):
        if self.partner.implicit:
            self._handshake()
        self._say(self.partner.greeting)
        mail, recipients = None, []
        while True:
            line = self._line()
            verb = line.split(b" ", 1)[0].decode("latin-1").upper()
            if verb in ("EHLO", "HELO"):
                self._say(self._hello(verb))
            elif verb == "STARTTLS" and not self.in_tls and self.partner.offers:
                self._starttls()
                mail, recipients = None, []
            elif verb == "MAIL":
                mail, recipients = line, []
                self._say(self.partner.replies[verb])
            elif verb == "RCPT" and mail:
                recipients.append(line)
                self._say(self.partner.replies[verb])
            elif verb == "DATA" and recipients:
                self._say(self.partner.replies[verb])
                content = self._content()
                self.session.messages.append((self.in_tls, mail, recipients, content))
                self._say(self.partner.replies["."])
                mail, recipients = None, []
            elif verb == "AUTH" and self.partner.auth and self.in_tls:
                self._say(b"235 2.7.0 Ok\r\n")
            elif verb in ("RSET", "NOOP"):
                mail, recipients = None, []
                self._say(self.partner.replies[verb])
            elif verb == "QUIT":
                self._say(self.partner.replies[verb])
                if not self.partner.leaves:
                    self.partner.stopped.wait(60)
                elif self.in_tls:
                    self._end_of_tls()
                return
            else:
                self._say(b"503 5.5.1 Error: not now\r\n")

    def _say(self, reply):
        if reply is CLOSE:
            raise EOFError
        if reply is RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise EOFError
        if reply is not SILENT:
            self.connection.sendall(reply)

    def _hello(self, verb):
        words = ["mx.partner.example"]
        if verb == "EHLO":
            words += [*KEYWORDS, TLS_SIZE if self.in_tls else CLEAR_SIZE]
            words += ["STARTTLS"] if self.partner.offers and not self.in_tls else []
            words += ["AUTH PLAIN"] if self.partner.auth and self.in_tls else []
        return b"".join(f"250{'-' if index + 1 < len(words) else ' '}{word}\r\n".encode()
                        for index, word in enumerate(words))

    def _starttls(self):
        reply = self.partner.starttls
        if self.buffer:
            self.session.behind, self.buffer = self.buffer, b""
        self._say(reply + self.partner.behind if isinstance(reply, bytes) else reply)
        if isinstance(reply, bytes) and reply.startswith(b"220"):
            self._handshake()

    def _handshake(self):
        first = self.connection.recv(1, socket.MSG_PEEK)
        if not first:
            raise EOFError
        if first[0] != TLS_RECORD:
            return  # the client goes on in clear, and all of it is kept
        self.session.hellos += 1
        handshake = self.partner.handshake
        if handshake is not PROCEED:
            self.connection.recv(65536)
            self._say(handshake)
            while self.connection.recv(65536):  # an alert, or the end
                pass
            raise EOFError
        try:
            self.connection = self.partner.tls.wrap_socket(self.connection, server_side=True, suppress_ragged_eofs=False)
        except (ssl.SSLError, OSError) as error:
            self.session.failure = str(error)
            raise
        self.in_tls = True
        self.partner.opened(self.connection)
        self.session.version, self.session.cipher = self.connection.version(), self.connection.cipher()[0]
        self.session.resumed = self.connection.session_reused
        self.session.certificate = self.connection.getpeercert(binary_form=True)

    def _end_of_tls(self):
        try:
            self.connection.unwrap().close()
            self.session.notified = True
        except (ssl.SSLError, OSError) as error:
            self.session.notified = False
            self.session.failure = str(error)

    def _more(self):
        octets = self.connection.recv(65536)
        if not octets:
            raise EOFError
        if self.in_tls:
            self.session.inside += octets
        else:
            self.session.clear += octets
        self.buffer += octets

    def _line(self):
        while b"\r\n" not in self.buffer:
            self._more()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        self.session.commands.append((self.in_tls, line))
        return line

    def _content(self):
        self.buffer = b"\r\n" + self.buffer
        while b"\r\n.\r\n" not in self.buffer:
            self._more()
        content, _, self.buffer = self.buffer.partition(b"\r\n.\r\n")
        unstuffed = content.replace(b"\r\n.", b"\r\n") + b"\r\n"
        return unstuffed[2:]
