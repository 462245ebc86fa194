# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that bring the ticket of another server: one that had the address before ringpost took it over."""

import contextlib
import itertools
import os
import signal

from harness.case import case, check, contains, each
from harness.process import Process, free_port, run

_numbers = itertools.count(1)


def s_client(port, words, text="QUIT\r\n"):
    code, output, errors = run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "mx.example.test",
                                *words], text=text, seconds=30)
    return output + errors


def to_ringpost(proxy, words):
    said = s_client(proxy.port, ["-starttls", "smtp", "-ign_eof", *words], "EHLO a\r\nQUIT\r\n")
    contains(said, "\n221 ", f"s_client {words}")
    return said


def foreign_session(world, version, client_certificate=False):
    """The file with a session that openssl s_server gave."""
    with foreign_server(world, [f"-{version}", "-www", *(["-verify", "3"] if client_certificate else [])]) as port:
        certificate = ["-cert", world.certs / "rsa.pem", "-key", world.certs / "rsa.key"] if client_certificate else []
        path = world.folder / f"foreign-{port}.pem"
        # The ticket of TLS 1.3 has come by the time that the server closes.
        s_client(port, [f"-{version}", "-ign_eof", "-sess_out", path, *certificate], text="GET / HTTP/1.0\r\n\r\n")
    check(path.exists(), "s_server gave a session")
    return path


def foreign_session_for_early_data(world):
    with foreign_server(world, ["-tls1_3", "-early_data", "-max_early_data", "16384", "-naccept", "1"]) as port:
        path = world.folder / f"foreign-{port}.pem"
        # Closed too early, s_client has no ticket yet.
        words = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "mx.example.test", "-tls1_3", "-sess_out",
                 str(path)]
        run(["sh", "-c", '(sleep 1; echo Q) | "$@"', "sh", *words], seconds=30)
    check(path.exists(), "s_server gave a session")
    return path


@contextlib.contextmanager
def foreign_server(world, words):
    port = free_port()
    # s_server ends a connection where its own input ends.
    server = Process(f"s_server-{port}",
                     ["sh", "-c", 'tail --pid=$$ -f /dev/null | "$@"', "sh", "openssl", "s_server", "-accept", f"127.0.0.1:{port}",
                      "-cert", world.certs / "ecdsa.pem", "-key", world.certs / "ecdsa.key", *words], world.folder)
    try:
        server.ready("ACCEPT")
        yield port
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # a group of its own, which lasts until stop() has waited for it
        server.stop()


@each("tls1_3", "tls1_2")
def a_ticket_of_another_server(world, version):  # RFC 8446 4.2.11, RFC 5077 3.3
    for client_certificate in (False, True):
        session = foreign_session(world, version, client_certificate)
        said = to_ringpost(world.proxy(), [f"-{version}", "-sess_in", session])
        contains(said, "\nNew, TLS", "s_client with the ticket of another server")


@case
def an_unknown_ticket_gets_a_new_one(world):  # RFC 5077 3.3
    session = foreign_session(world, "tls1_2")
    ours = world.folder / f"ours-{next(_numbers)}.pem"
    said = to_ringpost(world.proxy(), ["-tls1_2", "-sess_in", session, "-sess_out", ours])
    contains(said, "\nNew, TLS", "the first session")
    said = to_ringpost(world.proxy(), ["-tls1_2", "-sess_in", ours])
    contains(said, "\nReused, TLS", "the second session")


@each("X25519", "P-521:X25519")
def early_data_for_another_server(world, groups):  # RFC 8446 4.2.10; the second set needs a HelloRetryRequest
    session = foreign_session_for_early_data(world)
    for size in (1, 1000, 16384):
        data = world.folder / f"early-{next(_numbers)}"
        data.write_bytes(b"x" * size)
        said = to_ringpost(world.proxy(), ["-tls1_3", "-groups", groups, "-sess_in", session, "-early_data", data])
        contains(said, "\nNew, TLS", "s_client with early data")
        contains(said, "Early data was rejected", "s_client with early data")


@case
def our_own_ticket_before_a_long_identity(world):  # RFC 8446 4.2.11: the number of the identity counts
    ours = world.folder / f"ours-{next(_numbers)}.pem"
    to_ringpost(world.proxy(), ["-tls1_3", "-sess_out", ours])
    said = to_ringpost(world.proxy(), ["-tls1_3", "-sess_in", ours, "-psk_identity", "i" * 250, "-psk", "ab" * 32])
    contains(said, "\nReused, TLS", "s_client with two identities")
