# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody on the way to a partner's server, who changes what is said in clear. Stands in the partner's place; both ends
are real, and what each of them sent is kept."""

import socket
import threading

TLS_RECORD = b"\x16"


class Attack:
    """Passes everything on."""

    def reply(self, lines, command):
        """The server's reply, as a list of lines with CRLF, and the command that it is to (None: the greeting): the octets
        that the client gets in its place."""
        return b"".join(lines)

    def command(self, line):
        """(what the server gets of this command, what the client gets at once)."""
        return line, b""

    def hello(self):
        """What the client gets in clear once it has begun with TLS."""
        return b""


class Middle:
    """`partner` is a Partner, whose sessions and messages are seen through this one. With `with`."""

    def __init__(self, partner, attack):
        self.partner, self.attack = partner, attack
        self.from_client = []  # what each connection's client sent before TLS began
        self._open = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self):
        self.partner.__enter__()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *unused):
        for end in (self._listener, *list(self._open)):
            try:
                end.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits there
            except OSError:
                pass
        self._listener.close()
        self.partner.stop()

    @property
    def sessions(self):
        return self.partner.sessions

    def all_ended(self):
        self.partner.all_ended()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.partner.port))
            except OSError:
                return
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open.add(end)
            way = _Way(self, client, server)
            threading.Thread(target=way.from_client, daemon=True).start()
            threading.Thread(target=way.from_server, daemon=True).start()


class _Way:
    """One connection."""

    def __init__(self, middle, client, server):
        self.attack, self.client, self.server = middle.attack, client, server
        self.number = len(middle.from_client)
        self.middle = middle
        middle.from_client.append(b"")
        self.commands = [None]  # that wait for a reply; the greeting is the reply to None
        self.in_tls = threading.Event()

    def _end(self):
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def from_client(self):
        waiting = b""
        try:
            while octets := self.client.recv(65536):
                if not self.in_tls.is_set() and not waiting and octets[:1] == TLS_RECORD:
                    self.in_tls.set()
                    if injected := self.attack.hello():
                        self.client.sendall(injected)
                if self.in_tls.is_set():
                    self.server.sendall(octets)
                    continue
                self.middle.from_client[self.number] += octets
                *lines, waiting = (waiting + octets).split(b"\r\n")
                for line in lines:
                    onward, back = self.attack.command(line + b"\r\n")
                    if onward:
                        self.commands.append(onward)
                        self.server.sendall(onward)
                    if back:
                        self.client.sendall(back)
        except OSError:
            pass
        self._end()

    def from_server(self):
        waiting, lines = b"", []
        try:
            while octets := self.server.recv(65536):
                if self.in_tls.is_set():
                    self.client.sendall(octets)
                    continue
                *whole, waiting = (waiting + octets).split(b"\r\n")
                for line in whole:
                    lines.append(line + b"\r\n")
                    if line[3:4] != b"-":
                        changed = self.attack.reply(lines, self.commands.pop(0) if self.commands else b"")
                        lines = []
                        if changed:
                            self.client.sendall(changed)
        except OSError:
            pass
        self._end()
