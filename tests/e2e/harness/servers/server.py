# SPDX-License-Identifier: GPL-3.0-or-later
"""What all servers have in common."""

import collections
import pathlib
import socket

from harness.case import Failure, eventually
from harness.process import free_port

LOCAL = "bob@example.test"      # whom every server knows
FOREIGN = "foreign.example"     # a domain for which every server accepts mail from 127.0.0.1 only

# What a server accepted. `client` is the address that it took for the client's.
Delivery = collections.namedtuple("Delivery", "sender recipient client")


def open_connections(port):
    """How many connections to this loopback port are not yet closed on the server's side."""
    wanted = f":{port:04X}"
    count = 0
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state = line.split()[:4]
        count += local.endswith(wanted) and state in ("01", "08")  # ESTABLISHED, CLOSE_WAIT
    return count


class Server:
    """A server on one loopback port. Relays for 127.0.0.1 and keeps, or throws away, what it accepts."""

    settled_seconds = 20

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(mode=0o755)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = None

    def wait(self):
        """Until it accepts connections."""
        try:
            eventually(self._accepts, f"{self.process.name} accepting connections")
        except BaseException:
            self.stop()
            raise
        return self

    def _accepts(self):
        if not self.process.running():
            raise Failure(f"{self.process.name} ended: {self.process.log[-1000:]}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.stop()

    @property
    def log(self):
        return self.process.log

    def settled(self):
        """Waits until every connection to it is over, so that delivered() has all that came."""
        eventually(lambda: open_connections(self.port) == 0, f"the end of all connections to {self.address}",
                   self.settled_seconds)

    def delivered(self):
        """[Delivery] of all that it accepted."""
        raise NotImplementedError
