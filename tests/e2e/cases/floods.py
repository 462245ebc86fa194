# SPDX-License-Identifier: GPL-3.0-or-later
"""Floods: much of what costs the sender little. Each is closed with its name in the log, or served within
bounds, while others are served; PROTOCOL 31 and the table of attacks.

Most are records that an honest library does not make: harness/records.py does.
"""

import contextlib
import os
import select
import socket
import ssl
import time

from harness.case import case, check, each, equal, eventually
from harness.meter import Witness, blocks_in_use, cpu_seconds, descriptors, log_lines_dropped, recovers, resident
from harness.records import ALERT, CHANGE_CIPHER_SPEC, CONTENT, HANDSHAKE, Records, in_records, message, record
from harness.smtp import Client, mail

MEGABYTE = 1_000_000
GONE = (BrokenPipeError, ConnectionResetError)


class Watch:
    """What an attack has cost when it is over: memory, CPU, descriptors."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.resident, self.cpu, self.descriptors = resident(proxy), cpu_seconds(proxy), descriptors(proxy)
        self.peak = self.resident

    def look(self):
        self.peak = max(self.peak, resident(self.proxy))

    def grown(self):
        self.look()
        return self.peak - self.resident

    def spent(self):
        return cpu_seconds(self.proxy) - self.cpu


@contextlib.contextmanager
def attacked(world, memory=12 * MEGABYTE, **flags):
    """A proxy of the case's own that serves others meanwhile. Afterwards: they were served, memory grew by no
    more than `memory`, every descriptor has come back, and it runs."""
    with world.private(world.sink.port, **flags) as proxy, Witness(world, proxy.address) as witness:
        eventually(lambda: world_is_served(proxy), "the first of the other clients")
        watch = Watch(proxy)
        yield proxy, watch
        check(proxy.process.running(), "ringpost runs")
        check(watch.grown() < memory, f"memory grew by {watch.grown() / MEGABYTE:.1f} MB")
        witness.verdict()
        eventually(lambda: descriptors(proxy) <= watch.descriptors, "descriptors back where they were")


def world_is_served(proxy):
    return any(session["reason"] == "quit" for session in proxy.records())


def push(client, octets, watch=None, size=1 << 16):
    """Sends until all is sent or the other side has had enough. Returns how many octets went out."""
    sent = 0
    while sent < len(octets):
        try:
            sent += client.socket.send(octets[sent:sent + size])
        except GONE:
            break
        if watch is not None and sent % (32 * size) < size:
            watch.look()
    return sent


def ends_as(proxy, client, *reasons):
    """Reads until the end; the session line names one of these reasons."""
    with contextlib.suppress(ssl.SSLError):
        client.rest()
    session = proxy.record(client.local)
    check(session["reason"] in reasons, f"the session line's reason: wanted {reasons}, got {session}")
    return session


# --- records that carry nothing: PROTOCOL 31 --------------------------------------------------------------

def key_updates(client, count, request):
    return b"".join(client.tls.key_update(request) for _ in range(count))


@each("each in its record", "asking for ours", "many in a record", "before the EHLO")
def key_update_flood(world, how):
    with attacked(world) as (proxy, watch):
        with Client(proxy.implicit_address, implicit=Records("1.3")) as client:
            if how != "before the EHLO":
                client.open()
            if how == "many in a record":  # which needs no new keys until the record has ended
                octets = client.tls.seal(HANDSHAKE, message(24, b"\0") * 3000) * 30
            else:
                octets = key_updates(client, 100_000, how == "asking for ours")
            push(client, octets, watch)
            ends_as(proxy, client, "tls_flood", *(("tls_protocol",) if how == "many in a record" else ()))
        check(watch.spent() < 3, f"{watch.spent()} s of CPU")


@case
def key_updates_among_content_are_served(world):  # 32 are allowed, by whoever sends content again
    with attacked(world) as (proxy, watch):
        with Client(proxy.implicit_address, implicit=Records("1.3")) as client:
            client.open()
            for _ in range(300):
                client.send_clear(key_updates(client, 32, True))
                client.expect("NOOP", 250)
            client.quit()
            ends_as(proxy, client, "quit")
        check(watch.spent() < 5, f"{watch.spent()} s of CPU")


@each("1.3", "1.2")
def empty_record_flood(world, version):
    with attacked(world) as (proxy, watch):
        with Client(proxy.implicit_address, implicit=Records(version)) as client:
            client.open()
            push(client, b"".join(client.tls.seal(CONTENT, b"") for _ in range(10_000)), watch)
            ends_as(proxy, client, "tls_flood")


@each("1.3", "1.2")
def empty_records_in_a_message(world, version):
    with attacked(world) as (proxy, watch):
        with Client(proxy.implicit_address, implicit=Records(version)) as client:
            client.open()
            client.envelope()
            client.expect("DATA", 354)
            client.send(mail()[1])
            push(client, b"".join(client.tls.seal(CONTENT, b"") for _ in range(10_000)), watch)
            ends_as(proxy, client, "tls_flood")


@each("1.3 user_canceled", "1.2 no_renegotiation", "1.2 unknown", "1.3 unknown")
def warning_alert_flood(world, how):
    version, what = how.split()
    octets = {"user_canceled": b"\1\x5a", "no_renegotiation": b"\1\x64", "unknown": b"\1\xfa"}[what]
    with attacked(world) as (proxy, watch):
        with Client(proxy.implicit_address, implicit=Records(version)) as client:
            client.open()
            push(client, b"".join(client.tls.seal(ALERT, octets) for _ in range(10_000)), watch)
            ends_as(proxy, client, "tls_flood", "tls_protocol")


@each("1.3", "1.2")
def change_cipher_spec_flood(world, version):  # in the middle of a handshake, where TLS 1.3 tolerates them
    with attacked(world) as (proxy, watch):
        with Client(proxy.implicit_address) as client:
            Records(version).hold(client)
            push(client, record(CHANGE_CIPHER_SPEC, b"\1") * 100_000, watch)
            ends_as(proxy, client, "tls_handshake", "tls_flood")
        with Client(proxy.implicit_address, implicit=Records(version)) as client:
            client.open()
            push(client, record(CHANGE_CIPHER_SPEC, b"\1") * 100_000, watch)
            ends_as(proxy, client, "tls_protocol", "tls_flood")


# --- records that carry little ----------------------------------------------------------------------------

@each("1.3", "1.2")
def a_million_one_octet_records(world, version):  # served: they carry a message
    count = 1_000_000
    identifier, head = mail()
    body = (b"0123456789" * 7 + b"12345678\r\n") * (count // 80)
    with attacked(world) as (proxy, watch):
        with Client(proxy.implicit_address, implicit=Records(version)) as client:
            client.open()
            client.envelope()
            client.expect("DATA", 354)
            client.send(head)
            seal = client.tls.seal
            for begin_ in range(0, len(body), 10_000):
                push(client, b"".join(seal(CONTENT, b"%c" % octet) for octet in body[begin_:begin_ + 10_000]), watch)
            client.send(b".\r\n")
            equal(client.reply().code, 250, "reply to the final dot")
            client.quit()
            ends_as(proxy, client, "quit")
        check(world.sink.message(identifier.encode())[0] == head + body, "the stored content differs")
        check(watch.spent() < 20, f"{watch.spent()} s of CPU for a million records")


@case
def a_hello_of_64_kilobytes_in_one_octet_records(world):
    hello = message(1, os.urandom(65_000))
    with attacked(world) as (proxy, watch):
        with Client(proxy.implicit_address) as client:
            push(client, in_records(hello, 1), watch, size=4096)
            ends_as(proxy, client, "tls_handshake")
        with Client(proxy.address) as client:
            client.open()
            client.expect("STARTTLS", 220)
            push(client, in_records(hello, 1), watch, size=6)
            ends_as(proxy, client, "tls_handshake")


@each("one address", "many addresses")
def hellos_that_never_end(world, where):
    """What came of them is in blocks, and who keeps those is ended once others need them."""
    octets = in_records(message(1, os.urandom(65_000)), 16_000)[:60_000]
    sources = [f"127.0.0.{10 + number}" if where == "many addresses" else "127.0.0.10" for number in range(150)]
    with attacked(world, buffers_large=256) as (proxy, watch), contextlib.ExitStack() as open_clients:
        clients = [open_clients.enter_context(Client(proxy.implicit_address, source=source)) for source in sources]
        for client in clients:
            push(client, octets)
        eventually(lambda: blocks_in_use(proxy) > MEGABYTE, "blocks that hold parts of hellos")
        recovers(proxy.address)
        watch.look()
        for client in clients:
            client.drop()
        for client in clients:
            proxy.record(client.local)


@each("after the handshake", "instead of the Finished", "1.2, after the handshake", "1.2, instead of the Finished")
def an_endless_handshake_message(world, when):
    """Announces 16 MB and sends them in small pieces: nobody may make room for that."""
    records = Records("1.2" if when.startswith("1.2") else "1.3")
    with attacked(world) as (proxy, watch):
        with Client(proxy.implicit_address) as client:
            if "after" in when:
                client.handshake(records)
                client.open()
                seal, kind = client.tls.seal, 24
            elif when.startswith("1.2"):  # in clear: the keys begin with the Finished
                records.hold(client)
                seal, kind = record, 16
            else:
                seal, kind = records.hold(client).seal, 20
            octets = bytes([kind]) + b"\xff\xff\xff" + b"\0" * 2_000_000
            push(client, b"".join(seal(HANDSHAKE, octets[at:at + 1000])
                                  for at in range(0, len(octets), 1000)), watch)
            client.tls = None  # what it says to that is of no interest
            ends_as(proxy, client, *(("tls_protocol", "tls_flood") if "after" in when else
                                     ("tls_handshake", "tls_flood")))


@each("1.2", "1.3")
def renegotiation_flood(world, version):  # PROTOCOL 26, ten thousand times
    with attacked(world) as (proxy, watch):
        with Client(proxy.implicit_address, implicit=Records(version)) as client:
            client.open()
            hello = client.tls.hello(b"\0\x1d\0\x17", b"", b"\xc0\x2b\x13\1")
            push(client, b"".join(client.tls.seal(HANDSHAKE, hello) for _ in range(10_000)), watch)
            ends_as(proxy, client, "tls_flood" if version == "1.2" else "tls_protocol")  # 1.2: one warning for each
        check(watch.spent() < 3, f"{watch.spent()} s of CPU")


# --- handshakes ----------------------------------------------------------------------------------------------

@each("after the hello", "half a hello", "after the server's flight", "with a reset", "instead of a hello")
def ten_thousand_handshakes_broken_off(world, where):
    count = 10_000 if where == "with a reset" else 2_000
    sources = [f"127.0.0.{number}" for number in range(10, 200)]
    flight = begin_octets()
    with attacked(world, memory=40 * MEGABYTE) as (proxy, watch):
        for number in range(count):
            with Client(proxy.implicit_address, source=sources[number % len(sources)]) as client:
                if where == "half a hello":
                    client.send_clear(flight[:len(flight) // 2])
                elif where == "instead of a hello":
                    client.send_clear(record(ALERT, b"\2\x28"))
                else:
                    client.send_clear(flight)
                if where in ("after the server's flight", "with a reset"):
                    client.socket.recv(65536)
                client.drop(reset=where == "with a reset")
            if number % 500 == 0:
                watch.look()
        # A session has one line, and one only; what the log has no room for it counts. In between others come.
        eventually(lambda: broken_off(proxy) + log_lines_dropped(proxy) >= count, f"{count} session lines")
        check(broken_off(proxy) <= count, f"{broken_off(proxy)} session lines for {count} sessions")
        reasons = {session["reason"] for session in proxy.records()} - {"quit"}
        check(reasons <= {"tls_handshake", "client_reset"}, f"reasons: {reasons}")


def broken_off(proxy):
    return sum(session["reason"] != "quit" for session in proxy.records())


def begin_octets():
    engine = Records().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
    engine.step()
    return engine.outgoing()


# --- commands ------------------------------------------------------------------------------------------------

def flood_and_read(client, octets, count, reply, watch):
    """Sends while it reads: `count` replies of these octets must come, and nothing else."""
    wanted, got, view, tail = len(reply) * count, 0, memoryview(octets), b""
    client.socket.setblocking(False)
    deadline = time.monotonic() + 100
    while got < wanted:
        check(time.monotonic() < deadline, f"{got // len(reply)} of {count} replies within 100 s")
        readable, writable, _ = select.select([client.socket], [client.socket] if view else [], [], 10)
        check(readable or writable, f"nothing moves after {got // len(reply)} replies")
        if writable:
            view = view[client.socket.send(view[:1 << 18]):]
        if readable:
            came = client.socket.recv(1 << 18)
            check(came, f"the connection ended after {got // len(reply)} replies: {tail[-200:]!r}")
            if client.tls is None:
                text = came
            else:
                client.tls.receive(came)
                text = b""
                with contextlib.suppress(ssl.SSLWantReadError):
                    while True:
                        text += client.tls.read(1 << 16)
            got += len(text)
            tail = (tail + text)[-2 * len(reply):]
            watch.look()
    client.socket.settimeout(30)
    equal(tail[-len(reply):], reply, "the last reply")
    equal(got, wanted, "octets of replies")


@each("clear", "starttls")
def a_million_chunks_of_one_octet(world, port):
    count = 1_000_000
    with attacked(world) as (proxy, watch):
        with Client(proxy.address) as client:
            client.open(Records() if port == "starttls" else None)
            client.envelope()
            client.send(b"BDAT 1\r\nA")
            reply = client.reply().raw
            text = b"BDAT 1\r\nA" * 1800
            if port == "starttls":
                text = b"".join(client.tls.seal(CONTENT, text) for _ in range(count // 1800))
                flood_and_read(client, text, count // 1800 * 1800, reply, watch)
            else:
                flood_and_read(client, text * (count // 1800), count // 1800 * 1800, reply, watch)
            client.expect("RSET", 250)
            client.quit()
            ends_as(proxy, client, "quit")


@each("refused BDAT, then DATA", "DATA after BDAT")
def bdat_state(world, how):  # PROTOCOL 18
    with Client(world.sink_proxy().address) as client:
        client.open(world.tls)
        if how.startswith("refused"):
            client.send(b"BDAT 3\r\nabc")
            check(client.reply().code in (503, 554), "BDAT without a transaction")
            equal(client.command("DATA").code, 503, "DATA")
        else:
            client.envelope()
            client.send(b"BDAT 3\r\nabc")
            equal(client.reply().code, 250, "BDAT")
            equal(client.command("DATA").code, 503, "DATA")
        client.expect("RSET", 250)
        client.quit()


@each("in pieces of one octet", "in one-octet records", "in full records")
def nine_megabytes_without_a_newline_inside(world, how):  # PROTOCOL 2, with others beside
    with attacked(world) as (proxy, watch):
        with Client(proxy.address) as client:
            if how == "in pieces of one octet":
                client.open()
                for _ in range(20_000):
                    if not push(client, b"A"):
                        break
                octets = b"A" * 9_000_000
            elif how == "in full records":
                client.open(Records())
                octets = b"".join(client.tls.seal(CONTENT, b"A" * 16_000) for _ in range(563))
            else:
                client.open(Records())
                octets = b"".join(client.tls.seal(CONTENT, b"A") for _ in range(200_000))
            push(client, octets, watch)
            ends_as(proxy, client, "line_too_long")


# --- peers that never read -----------------------------------------------------------------------------------

def deaf(client, octets, seconds=2.0):
    """Sends and never reads, until nothing more is taken for `seconds` or all is sent. Returns how much was."""
    client.socket.settimeout(seconds)
    sent, deadline = 0, time.monotonic() + 8
    with contextlib.suppress(socket.timeout, *GONE):
        while sent < len(octets) and time.monotonic() < deadline:
            sent += client.socket.send(octets[sent:sent + (1 << 16)])
    client.socket.settimeout(30)
    return sent


@each("KeyUpdates that ask for ours", "NOOP", "EHLO", "one-octet chunks")
def a_deaf_peer_inside_tls(world, what):
    """What it makes us say stays in bounds, although it reads none of it, and others are served."""
    with attacked(world) as (proxy, watch):
        with Client(proxy.implicit_address, implicit=Records("1.3")) as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.open()
            if what.startswith("KeyUpdates"):  # an octet of content after each 32: no flood of empty records
                client.envelope()
                client.expect("DATA", 354)
                octets = b"".join(key_updates(client, 32, True) + client.tls.seal(CONTENT, b"A" if number % 70 else b"\r\n")
                                  for number in range(12_000))
            else:
                client.envelope()
                text = {"NOOP": b"NOOP\r\n", "EHLO": b"EHLO client.example.test\r\n",
                        "one-octet chunks": b"BDAT 1\r\nA"}[what]
                octets = b"".join(client.tls.seal(CONTENT, text * 500) for _ in range(3000))
            deaf(client, octets)
            watch.look()
            held = blocks_in_use(proxy)
            check(held < MEGABYTE, f"sessions hold {held} octets of blocks")
            with Client(proxy.address) as other:
                other.open(world.tls)
                equal(other.message(mail()[1]).code, 250, "another client's message")
                other.quit()
            client.drop()
            proxy.record(client.local)


@case
def key_updates_starve_nobody(world):
    """As above, with few blocks: one client's answers once filled them all, and nobody was greeted any more."""
    with world.private(world.sink.port, buffers_large=64, buffers_small=256) as proxy:
        with Client(proxy.implicit_address, implicit=Records("1.3")) as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.open()
            client.envelope()
            client.expect("DATA", 354)
            deaf(client, b"".join(key_updates(client, 32, True) + client.tls.seal(CONTENT, b"A")
                                  for _ in range(20_000)))
            held = blocks_in_use(proxy)
            # Its share: output and input of a leg, what one call may add to them, and what the ring has lent.
            check(held < 1 << 20, f"one client holds {held} octets of blocks")
            recovers(proxy.address)
            client.drop()
            proxy.record(client.local)
