# SPDX-License-Identifier: GPL-3.0-or-later
"""One address behind which the server changes: what an upgrade, or an administrator, does to a mail server."""

import socket
import threading


class Switch:
    """Passes each connection on to the server that is its `target` at that moment. To be used with `with`."""

    def __init__(self, target, port=0):
        self.target = target
        self.targets = [target]
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # or the accept() in the other thread keeps it open
        except OSError:
            pass
        self._listener.close()

    def turn(self, target):
        self.target = target
        self.targets.append(target)

    def settled(self):
        for target in self.targets:
            target.settled()

    def delivered(self):
        return [found for target in self.targets for found in target.delivered()]

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target.port))
            except OSError:
                return
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pass, args=(near, far), daemon=True).start()
            threading.Thread(target=self._pass, args=(far, near), daemon=True).start()

    @staticmethod
    def _pass(source, sink):
        """Octets as they come, so that segments stay what they are; then the end. The last to leave closes."""
        try:
            while octets := source.recv(65536):
                sink.sendall(octets)
        except OSError:
            pass
        for one, how in ((sink, socket.SHUT_WR), (source, socket.SHUT_RD)):
            try:
                one.shutdown(how)
            except OSError:
                pass
