# SPDX-License-Identifier: GPL-3.0-or-later
"""A crowd that costs its members next to nothing: thousands of idle TLS sessions, hundreds of clients that send an
octet now and then, and one that never reads."""

import contextlib
import resource
import socket
import threading

from harness.case import eventually
from harness.meter import Load, status
from harness.records import CONTENT, Records, hello
from harness.smtp import Client

DRIPS = ("in clear", "in a handshake", "in a record")
# Octets that are sent at once: the header of a record, and a little of what is in it.
BEGUN = 6


def room(wanted, beside):
    """How many sessions of `wanted` a proxy can hold that has `beside` of them for others: two descriptors each."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(100, min(wanted, (hard - 200) // 2 - beside))


class Idle(Load):
    """Sessions that have said EHLO inside TLS and nothing since."""

    def __init__(self, world, address, count, seconds):
        super().__init__(world, address, idle=count, duration=f"{seconds}s", tls="starttls", connections=32,
                         timeout="60s", sources="127.0.0.2-127.0.0.9")
        self.count = count

    def complete(self, proxy):
        """Waits until all of them are there."""
        eventually(lambda: self.process.running() and sum(line["sessions"] for line in status(proxy).values())
                   >= self.count, f"{self.count} idle sessions", 120)


class Drips:
    """`count` clients, a third of each kind in DRIPS, that send one octet every `interval` seconds."""

    def __init__(self, proxy, count, interval=10):
        self.interval = interval
        self.stopping = threading.Event()
        self.clients = []  # (client, what it has to send)
        self.in_record = 0
        for number in range(count):
            source = f"127.0.1.{1 + number % 250}"
            kind = DRIPS[number % len(DRIPS)]
            if kind == "in clear":
                client = Client(proxy.address, source=source)
                client.greeting()
                octets = b"EHLO " + b"x" * 200
            elif kind == "in a handshake":
                client = Client(proxy.address, source=source)
                client.open()
                client.expect("STARTTLS", 220)
                octets = hello()
            else:
                client = Client(proxy.address, source=source)
                client.open(Records())
                octets = client.tls.seal(CONTENT, b"NOOP " + b"x" * 16_000 + b"\r\n")
                self.in_record += 1
            client.send_clear(octets[:BEGUN])
            self.clients.append((client, octets[BEGUN:]))
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        sent = 0
        pause = self.interval / len(self.clients)
        while True:
            for client, octets in self.clients:  # spread over the interval, not all at a time
                if self.stopping.wait(pause):
                    return
                with contextlib.suppress(OSError):  # its deadline has come
                    client.send_clear(octets[sent % len(octets):][:1])
            sent += 1

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stopping.set()
        self.thread.join()
        for client, _ in self.clients:
            client.drop()

    def present(self):
        """How many have not been sent away."""
        count = 0
        for client, _ in self.clients:
            client.socket.setblocking(False)
            try:
                count += client.socket.recv(1, socket.MSG_PEEK) != b""
            except BlockingIOError:
                count += 1
            except OSError:
                pass
            client.socket.setblocking(True)
        return count


class Deaf:
    """A client inside TLS that sends commands for as long as they are taken, and reads no reply."""

    def __init__(self, world, proxy):
        self.client = Client(proxy.address, source="127.0.1.251")
        self.client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.client.open(world.tls)
        self.client.socket.settimeout(1)

    def __enter__(self):
        with contextlib.suppress(OSError):
            for _ in range(20_000):
                self.client.send(b"NOOP\r\n" * 500)
        return self

    def __exit__(self, *unused):
        self.client.drop()
