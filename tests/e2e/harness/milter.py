# SPDX-License-Identifier: GPL-3.0-or-later
"""A milter that lets everything pass, and remembers what it was told."""

import socket
import struct
import threading

_OPTIONS, _MACROS, _HEADER, _ABORT, _QUIT, _QUIT_NEW = b"O", b"D", b"L", b"A", b"Q", b"K"
_GO_ON = b"c"


class Milter:
    """`macros`: name → last value. `headers`: [(name, value)] of all messages."""

    def __init__(self):
        self.macros, self.headers = {}, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as stream:
            while len(size := stream.read(4)) == 4:
                packet = stream.read(struct.unpack(">I", size)[0])
                answer = self._hear(packet[:1], packet[1:])
                if answer:
                    connection.sendall(struct.pack(">I", len(answer)) + answer)

    def _hear(self, command, data):
        if command == _OPTIONS:
            return _OPTIONS + struct.pack(">III", 6, 0, 0)  # version 6; changes nothing, wants to see everything
        if command == _MACROS:
            words = data[1:].decode().split("\0")
            self.macros.update(zip(words[0::2], words[1::2]))
            return None
        if command == _HEADER:
            self.headers.append(tuple(data.decode().split("\0")[:2]))
        return None if command in (_ABORT, _QUIT, _QUIT_NEW) else _GO_ON
