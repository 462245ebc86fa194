# SPDX-License-Identifier: GPL-3.0-or-later
"""A crowd that costs its members next to nothing: thousands of idle TLS sessions, hundreds of clients that send an
octet now and then, one that never reads, and hundreds that send commands and never read."""

import contextlib
import errno
import multiprocessing
import resource
import socket
import threading
import time

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


class Pipelining:
    """A process that keeps `count` connections open from each of `sources`, sends NOOPs on them as fast as `rate`
    allows (bytes per second, for each source), and never reads. A connection that ends is made again."""

    CHUNK = b"NOOP\r\n" * 1000
    TICK = 0.01

    def __init__(self, address, sources, count=500, rate=3_000_000):
        self.wanted = (address, [source for source in sources for _ in range(count)], rate * len(sources))
        self.made = multiprocessing.Value("Q")  # connections, those made again included
        self.sent = multiprocessing.Value("Q")  # bytes
        self.process = multiprocessing.Process(target=self._run, daemon=True)

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.join()

    def _run(self):
        address, sources, rate = self.wanted
        peers = [None] * len(sources)
        due, at, last = 0.0, 0, time.monotonic()
        while True:
            time.sleep(self.TICK)
            now = time.monotonic()
            due, last = min(due + (now - last) * rate, rate / 10), now
            for _ in peers:  # once around at most
                if due <= 0:
                    break
                at = (at + 1) % len(peers)
                due -= self._send(peers, at, address, sources[at])

    def _send(self, peers, at, address, source):
        try:
            if peers[at] is None:
                peers[at] = self._connect(address, source)
            sent = peers[at].send(self.CHUNK)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ENOTCONN):
                if peers[at] is not None:
                    peers[at].close()
                peers[at] = None
            return 0
        self.sent.value += sent
        return sent

    def _connect(self, address, source):
        peer = socket.socket()
        peer.setblocking(False)
        peer.bind((source, 0))
        peer.connect_ex(address)
        self.made.value += 1
        return peer
