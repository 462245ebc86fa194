# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that nobody wants, beside the honest load: they break off, idle, fail their handshakes, send garbage."""

import random
import socket
import ssl
import struct
import threading
import time

TIMEOUT = 10


def context(**options):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    if "alpn" in options:
        tls.set_alpn_protocols(options["alpn"])
    return tls


CONTEXT, WRONG_ALPN = context(), context(alpn=["h2"])


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)


def until_reply(connection, octets=b""):
    """Sends and waits for whatever comes back."""
    if octets:
        connection.sendall(octets)
    return connection.recv(65536)


def greeted_tls(proxy):
    """A client after EHLO inside TLS."""
    connection = CONTEXT.wrap_socket(connect(proxy.implicit_port))
    until_reply(connection)
    until_reply(connection, b"EHLO nuisance.example.test\r\n")
    return connection


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Nuisance(threading.Thread):
    """One thread that does one thing after the other to one ringpost."""

    def __init__(self, proxy, seed):
        super().__init__(daemon=True, name=f"nuisance {seed}")
        self.proxy, self.random = proxy, random.Random(seed)
        self.count = 0
        self.stopping = False
        self.idle = []  # (time to leave, connection)

    def run(self):
        actions = (self.connects_and_goes, self.garbage, self.garbage_for_tls, self.wrong_alpn,
                   self.breaks_handshake_off, self.breaks_data_off, self.breaks_bdat_off, self.injects,
                   self.too_many_errors, self.idles, self.idles, self.does_not_read)
        while not self.stopping:
            try:
                self.random.choice(actions)()
            except (OSError, ValueError):
                pass  # to be turned away is what they are there for
            self.count += 1
            self._dismiss(time.monotonic())
            time.sleep(self.random.uniform(0, 0.05))
        self._dismiss(float("inf"))

    def _dismiss(self, now):
        for item in [item for item in self.idle if item[0] <= now]:
            self.idle.remove(item)
            with item[1]:
                if self.random.random() < 0.5:
                    try:
                        until_reply(item[1], b"QUIT\r\n")
                    except (OSError, ValueError):
                        pass

    def connects_and_goes(self):
        with connect(self.proxy.port) as connection:
            if self.random.random() < 0.5:
                reset(connection)

    def garbage(self):
        with connect(self.proxy.port) as connection:
            until_reply(connection)
            connection.sendall(self.random.choice((b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", self.random.randbytes(3000),
                                                   b"A" * 20_000, b"\r\n" * 200)))
            until_reply(connection)

    def garbage_for_tls(self):
        with connect(self.proxy.implicit_port) as connection:
            too_long = b"\x16\x03\x01\x40\x00" + self.random.randbytes(100) + b"\0" * 20_000
            until_reply(connection, self.random.choice((self.random.randbytes(600), b"EHLO x\r\n", too_long)))

    def wrong_alpn(self):
        with connect(self.proxy.implicit_port) as connection, WRONG_ALPN.wrap_socket(connection):
            pass

    def breaks_handshake_off(self):
        with connect(self.proxy.implicit_port) as connection:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            try:
                CONTEXT.wrap_bio(incoming, outgoing).do_handshake()
            except ssl.SSLWantReadError:
                pass
            hello = outgoing.read()
            connection.sendall(hello[:self.random.randrange(1, len(hello) + 1)])
            if self.random.random() < 0.5:
                until_reply(connection) if self.random.random() < 0.3 else reset(connection)

    def breaks_data_off(self):
        with greeted_tls(self.proxy) as connection:
            for command in (b"MAIL FROM:<x@client.example.test>", b"RCPT TO:<bob@example.test>", b"DATA"):
                until_reply(connection, command + b"\r\n")
            connection.sendall(b"half a line, then nothing" * self.random.randrange(1, 4000))
            if self.random.random() < 0.5:
                reset(connection)

    def breaks_bdat_off(self):
        with greeted_tls(self.proxy) as connection:
            for command in (b"MAIL FROM:<x@client.example.test>", b"RCPT TO:<bob@example.test>"):
                until_reply(connection, command + b"\r\n")
            connection.sendall(b"BDAT 100000 LAST\r\n" + b"x" * self.random.randrange(1, 99_999))
            if self.random.random() < 0.5:
                connection.unwrap()

    def injects(self):
        with connect(self.proxy.port) as connection:
            until_reply(connection)
            until_reply(connection, b"EHLO x\r\n")
            until_reply(connection, b"STARTTLS\r\nMAIL FROM:<x@x>\r\n")

    def too_many_errors(self):
        with connect(self.proxy.port) as connection:
            until_reply(connection)
            connection.sendall(b"XCLIENT ADDR=127.0.0.1\r\n" * 100)
            while until_reply(connection):
                pass

    def idles(self):
        """Stays for a while, in clear or inside TLS."""
        if self.random.random() < 0.7:
            connection = greeted_tls(self.proxy)
        else:
            connection = connect(self.proxy.port)
            until_reply(connection)
        self.idle.append((time.monotonic() + self.random.uniform(1, 8), connection))

    def does_not_read(self):
        """Asks much, takes no answer."""
        connection = greeted_tls(self.proxy)
        connection.settimeout(0.2)
        self.idle.append((time.monotonic() + 2, connection))
        for _ in range(50):
            connection.sendall(b"NOOP\r\n" * 20)
