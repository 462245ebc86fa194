# SPDX-License-Identifier: GPL-3.0-or-later
"""What the TLS side shows to strangers: versions, suites, extensions, alerts, tickets."""

import os
import select
import ssl
import struct
import subprocess

from harness.backend import Backend
from harness.case import Failure, case, check, contains, each, equal, eventually
from harness.process import free_port, run
from harness.smtp import Client, context, mail


def s_client(proxy, words, text="QUIT\r\n"):
    """openssl s_client with STARTTLS; returns all it printed."""
    code, output, errors = run(["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{proxy.port}",
                                "-servername", "mx.example.test", *words], text=text, seconds=30)
    return output + errors


def handshake_error(proxy, tls):
    """The error of a handshake that must not succeed."""
    try:
        with Client(proxy.implicit_address, implicit=tls):
            raise Failure("the handshake succeeded")
    except ssl.SSLError as error:
        return str(error)


# --- PROTOCOL 23 to 26 ------------------------------------------------------------------------------------

@case
def older_versions_are_refused(world):  # PROTOCOL 23 (RFC 8996)
    old = context(lowest=ssl.TLSVersion.TLSv1, highest=ssl.TLSVersion.TLSv1_1, ciphers="ALL:@SECLEVEL=0")
    contains(handshake_error(world.proxy(), old), "PROTOCOL_VERSION", "the alert")


@case
def fallback_scsv(world):  # PROTOCOL 23 (RFC 7507)
    said = s_client(world.proxy(), ["-tls1_2", "-fallback_scsv"])
    contains(said, "inappropriate fallback", "s_client")


@each("AES128-GCM-SHA256", "AES256-SHA", "DHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384",
      "ECDHE-RSA-AES128-SHA256", "NULL-SHA256", "AECDH-AES128-SHA")
def weak_suites_are_refused(world, suite):  # PROTOCOL 24
    said = s_client(world.proxy(), ["-tls1_2", "-cipher", suite + ":@SECLEVEL=0"])
    contains(said, "handshake failure", "s_client")


@case
def unknown_groups_are_refused(world):  # PROTOCOL 24
    for group in ("P-521", "X448", "ffdhe2048"):
        said = s_client(world.proxy(), ["-tls1_3", "-groups", group])
        contains(said, "handshake failure", f"s_client with {group}")


@case
def a_real_client_may_be_asked_for_another_share(world):
    """HelloRetryRequest: s_client's first share is for a group that ringpost does not have."""
    for groups in ("P-521:X25519", "P-521:P-384", "X448:P-256"):
        for words in ([], ["-servername", "mx.example.test"], ["-bugs"], ["-no_middlebox"]):
            said = s_client(world.proxy(), ["-tls1_3", "-groups", groups, *words])
            contains(said, "Cipher is TLS_", f"s_client with {groups} {words}")


@case
def only_sha1_signatures_fail(world):  # PROTOCOL 25 (RFC 9155)
    for words in (["-sigalgs", "RSA+SHA1"], ["-sigalgs", "ECDSA+SHA1"], ["-sigalgs", "RSA+SHA224"]):
        said = s_client(world.proxy(), ["-tls1_2", "-cipher", "DEFAULT:@SECLEVEL=0", *words])
        check("handshake failure" in said or "illegal parameter" in said, f"an alert for {words}: {said}")


@case
def extended_master_secret_and_renegotiation_info(world):  # PROTOCOL 26 (RFC 7627, 5746)
    said = s_client(world.proxy(), ["-tls1_2"])
    contains(said, "Extended master secret: yes", "s_client")
    contains(said, "Secure Renegotiation IS supported", "s_client")
    contains(said, "Compression: NONE", "s_client")


@case
def renegotiation_is_refused(world):  # PROTOCOL 26
    process = subprocess.Popen(
        ["openssl", "s_client", "-starttls", "smtp", "-tls1_2", "-connect", f"127.0.0.1:{world.proxy().port}"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        process.stdin.write(b"R\n")  # s_client's command for it; alone in its write
        process.stdin.flush()
        said, _ = process.communicate(timeout=30)  # ends by itself: the connection is gone
    finally:
        process.kill()
        process.wait()
    contains(said, b"RENEGOTIATING", "s_client")
    contains(said, b"no renegotiation", "s_client")  # which gives up then


# --- handmade ClientHellos --------------------------------------------------------------------------------

def extension(kind, body):
    return struct.pack("!HH", kind, len(body)) + body


def vector(body, size=2):
    return len(body).to_bytes(size, "big") + body


def server_name(*names):
    return extension(0, vector(b"".join(b"\0" + vector(name) for name in names)))


def client_hello(*extensions, suites=b"\xc0\x2b\xc0\x2f\xcc\xa9\xcc\xa8"):
    """A TLS 1.2 ClientHello as a handshake message, without a record header."""
    usual = (extension(10, vector(b"\0\x17\0\x18")) + extension(11, vector(b"\0", 1)) +
             extension(13, vector(b"\x04\x03\x08\x04\x04\x01")) + extension(23, b"") + extension(65281, b"\0"))
    body = b"\3\3" + os.urandom(32) + b"\0" + vector(suites) + b"\1\0" + vector(usual + b"".join(extensions))
    return b"\1" + vector(body, 3)


def record(octets, kind=22):
    return bytes([kind]) + b"\3\1" + vector(octets)


def answer_to(proxy, octets, close=False):
    """What the implicit-TLS port answers to these octets: (type of the first record, its body)."""
    with Client(proxy.implicit_address) as client:
        try:
            client.send(octets)
        except (BrokenPipeError, ConnectionResetError):
            pass
        while len(client.received) < 5 or len(client.received) < 5 + int.from_bytes(client.received[3:5], "big"):
            if not client._more():
                break
        answer = client.received
        if close:
            client.rest()
        return (answer[0], answer[5:5 + int.from_bytes(answer[3:5], "big")]) if len(answer) > 5 else (None, b"")


@case
def a_handmade_hello_is_answered(world):  # the baseline of the cases below
    for extensions in ((), (server_name(b"mx.example.test"),), (server_name(b"unknown.example.test"),)):  # PROTOCOL 27
        kind, body = answer_to(world.proxy(), record(client_hello(*extensions)))
        equal((kind, body[:1]), (22, b"\2"), "a ServerHello")


@each(("NUL", (b"mx\0.example.test",)), ("empty", (b"",)), ("two names", (b"mx.example.test", b"b.example.test")),
      ("256 octets", (b"a" * 256,)), ("no name", ()), named=True)
def malformed_sni(world, variant):  # PROTOCOL 27 (RFC 6066 3)
    kind, body = answer_to(world.proxy(), record(client_hello(server_name(*variant[1]))), close=True)
    equal((kind, body[:1]), (21, b"\2"), "a fatal alert")


@each("::1", "[2001:db8::25]", "mx example", "mx.example.t\xe4st", ".", "mx..", "fe80::1%eth0")
def sni_that_is_no_host_name(world, name):  # PROTOCOL 27
    """It counts as none: the route's default certificate, and nothing in the log."""
    kind, body = answer_to(world.proxy(), record(client_hello(server_name(name.encode()))))
    equal((kind, body[:1]), (22, b"\2"), "a ServerHello")
    if name.isascii():
        contains(s_client(world.proxy(), ["-servername", name]), "Cipher is TLS_", "s_client")


@case
def sni_of_another_type(world):  # PROTOCOL 27
    other = b"\7" + vector(b"\0\xff")
    for names in (other, other + b"\0" + vector(b"mx.example.test"), b"\0" + vector(b"mx.example.test") + other):
        kind, body = answer_to(world.proxy(), record(client_hello(extension(0, vector(names)))))
        equal((kind, body[:1]), (22, b"\2"), "a ServerHello")


@case
def lying_extension_lengths(world):
    good = client_hello(server_name(b"mx.example.test"))
    for position in range(4 + 2 + 32, len(good)):  # each octet of the hello after the random
        mangled = bytearray(good)
        mangled[position] ^= 0xff
        kind, _ = answer_to(world.proxy(), record(bytes(mangled)))
        check(kind in (21, 22, None), f"octet {position}: record type {kind}")
    with Client(world.proxy().address) as client:
        client.open(world.tls)
        client.quit()


@each("h2", "http/1.1", "imap")
def alpn_of_another_protocol(world, name):  # PROTOCOL 28 (ALPACA)
    contains(handshake_error(world.proxy(), context(alpn=[name])), "alert no application protocol", "the alert")


@each("smtp", "h2,smtp", "none")
def alpn_of_smtp(world, names):  # PROTOCOL 28
    tls = context(world.certs / "ca.pem", alpn=None if names == "none" else names.split(","))
    with Client(world.proxy().implicit_address, implicit=tls) as client:
        client.open()
        client.quit()


@each((20_000, "TLSv1.2"), (20_000, "TLSv1.3"), (64_000, "TLSv1.2"), (64_000, "TLSv1.3"))
def a_long_hello(world, variant):  # RFC 8446 4.1.2 has no limit; a long list of names is one way there
    octets, version = variant
    version = getattr(ssl.TLSVersion, version.replace(".", "_"))
    names = ["smtp"] + ["x" * 249] * (octets // 250)
    tls = context(world.certs / "ca.pem", alpn=names, lowest=version, highest=version)
    with Client(world.proxy().implicit_address, implicit=tls) as client:
        client.open()
        client.quit()
    with Client(world.proxy().address) as client:
        client.open(tls)
        client.quit()


@case
def a_long_hello_twice(world):
    """P-521 is not ours, so that HelloRetryRequest asks for the same again with another share."""
    names = ",".join(["smtp"] + ["x" * 249] * 240)
    output = s_client(world.proxy(), ["-groups", "P-521:X25519", "-alpn", names])
    contains(output, "Cipher is TLS_", "s_client")
    contains(output, "X25519", "s_client")


@case
def a_hello_above_64_kib(world):
    kind, body = answer_to(world.proxy(), record(b"\1" + (65_537).to_bytes(3, "big") + b"\3\3"), close=True)
    equal((kind, body), (21, b"\2\x2f"), "illegal_parameter")


@case
def an_oversized_record(world):  # PROTOCOL 32
    kind, body = answer_to(world.proxy(), b"\x16\3\1\xff\xff" + b"A" * 65535, close=True)
    equal((kind, body), (21, b"\2\x16"), "the record_overflow alert")


@case
def a_hello_in_one_octet_records(world):
    hello = client_hello(server_name(b"mx.example.test"))
    kind, body = answer_to(world.proxy(), b"".join(record(bytes([octet])) for octet in hello))
    check((kind, body[:1]) == (22, b"\2") or kind in (21, None), f"served or closed, not {kind}")


@case
def a_64_kib_hello_in_one_octet_records(world):
    flood = b"\1" + (65535).to_bytes(3, "big") + b"A" * 65535
    kind, _ = answer_to(world.proxy(), b"".join(record(bytes([octet])) for octet in flood), close=True)
    check(kind in (21, None), f"an alert or a close, not {kind}")
    with Client(world.proxy().address) as client:
        client.open(world.tls)
        client.quit()


@case
def a_hello_that_comes_octet_by_octet(world):
    proxy = world.proxy()
    with Client(proxy.address) as client:
        client.greeting()
        client.expect("EHLO a", 250)
        client.expect("STARTTLS", 220)
        client.piece = 1
        client.handshake(world.tls)
        client.expect("EHLO a", 250)
        client.quit()


@case
def one_octet_per_record(world):
    identifier, content = mail(b"x" * 4000 + b"\r\n")
    with Client(world.sink_proxy().address) as client:
        client.open(world.tls)
        client.envelope()
        client.expect("DATA", 354)
        client.send_pieces(content + b".\r\n", 1)
        equal(client.reply().code, 250, "reply to the final dot")
        client.quit()
    equal(world.sink.message(identifier.encode())[0], content, "stored")


# --- PROTOCOL 22, 29, 30, 34, 36 --------------------------------------------------------------------------

@case
def clear_text_on_the_implicit_port(world):  # PROTOCOL 34
    for octets in (b"EHLO x\r\nMAIL FROM:<a@b>\r\n", b"\r\n", b"QUIT\r\n", b"\0" * 100, b"\x80\x2e\1\0\2" + b"\0" * 60):
        with Client(world.proxy().implicit_address) as client:
            client.send(octets)
            client.socket.shutdown(1)
            answer = client.rest()
            check(not answer or answer[0] == 21, f"neither banner nor reply in clear: {answer!r}")


@case
def a_client_that_stops_on_the_implicit_port(world):  # PROTOCOL 34, 5
    with world.private(world.sink.port, handshake_timeout="1s") as proxy:
        with Client(proxy.implicit_address) as client:
            client.send(b"\x16\3\1\0")  # a silent client is not even accepted (TCP_DEFER_ACCEPT)
            answer = client.rest()
            check(not answer or answer[0] == 21, f"neither banner nor reply in clear: {answer!r}")
        equal(proxy.record(client.local)["reason"], "handshake_timeout", "the session line's reason")


@each("starttls", "implicit")
def the_end_is_quit_then_close_notify(world, port):  # PROTOCOL 22
    proxy = world.proxy()
    with Client(proxy.address if port == "starttls" else proxy.implicit_address,
                implicit=world.tls if port == "implicit" else None) as client:
        client.open(world.tls if port == "starttls" else None)
        client.quit()
        equal(client.rest(), b"", "octets after the 221")
        check(client.close_notify, "close_notify comes before the end of the connection")
    equal(proxy.record(client.local)["reason"], "quit", "the session line's reason")


def session_of(world, proxy, tls, name="mx.example.test"):
    """A session with a ticket: after a reply inside TLS the tickets have arrived."""
    with Client(proxy.address) as client:
        client.greeting()
        client.expect("EHLO a", 250)
        client.expect("STARTTLS", 220)
        client.handshake(tls, name)
        client.expect("EHLO a", 250)
        session = client.tls.session
        client.quit()
        return session


def resumes(proxy, tls, session, name="mx.example.test"):
    with Client(proxy.address) as client:
        client.greeting()
        client.expect("EHLO a", 250)
        client.expect("STARTTLS", 220)
        client.handshake(tls, name, session)
        client.expect("EHLO a", 250)
        client.quit()
        reused = client.tls.session_reused
    equal(proxy.record(client.local)["resumed"], reused, "resumed in the session line")
    return reused


@each("TLSv1_2", "TLSv1_3")
def resumption(world, version):  # PROTOCOL 30
    version = getattr(ssl.TLSVersion, version)
    tls = context(lowest=version, highest=version)
    for shards in (1, 2):
        with world.private(world.sink.port, shards=shards) as proxy:
            session = session_of(world, proxy, tls)
            for _ in range(4):  # whichever shard accepts it
                check(resumes(proxy, tls, session), f"resumes with {shards} shards")
            line = eventually(lambda: next((line for line in proxy.records() if line.get("resumed")), None),
                              "the session line of a resumed session")
            equal(line["group"] == "none", version == ssl.TLSVersion.TLSv1_2, "no group where no keys are exchanged")
            check(not resumes(proxy, tls, session, "localhost"), "a ticket is bound to the server name")
        with world.private(world.sink.port) as other:
            check(not resumes(other, tls, session), "another process has other ticket keys")


def first_sealed(client):
    """How many records come with the first reply inside TLS; all in one segment, and nothing before this is called."""
    flight = client.socket.recv(65536)
    client._incoming.write(flight)
    client._decrypt()
    count, at = 0, 0
    while at + 5 <= len(flight):
        at += 5 + int.from_bytes(flight[at + 3:at + 5], "big")
        count += 1
    equal(at, len(flight), "the octets of whole records")
    equal(client.received[:3] + client.received[-2:], b"2" + client.received[1:3] + b"\r\n", "one reply, whole")
    return count


@each("full", "resumed")
def a_ticket_waits_for_the_first_reply(world, kind):
    """libesmtp 1.1.0 takes what it can read before it has sent EHLO for the answer to EHLO, and waits for the rest."""
    proxy, tls = world.proxy(), context(lowest=ssl.TLSVersion.TLSv1_3)
    session = session_of(world, proxy, tls) if kind == "resumed" else None
    with Client(proxy.address) as client:
        client.greeting()
        client.expect("EHLO a", 250)
        client.expect("STARTTLS", 220)
        client.handshake(tls, session=session)
        equal(client.tls.session_reused, kind == "resumed", "resumed")
        check(not select.select([client.socket], [], [], 0.3)[0], "nothing to read before EHLO")
        client.send(b"EHLO a\r\n")
        equal(first_sealed(client), 2, "the ticket and the reply to EHLO")
        check(client.tls.session.has_ticket, "a ticket")
    with Client(proxy.implicit_address) as client:
        client.handshake(tls, session=session)
        equal(first_sealed(client), 2, "the ticket and the greeting")
        check(client.tls.session.has_ticket, "a ticket")
        client.received = b""
        client.expect("EHLO a", 250)
        client.quit()


@case
def tickets_do_not_cross_routes(world):  # PROTOCOL 30
    ports = (free_port(), free_port())
    tls = context()
    with world.private(None, listen=None, listen_tls=None, cert=None, key=None,
                       config=two_routes(world, *ports)) as proxy:
        proxy.address = ("127.0.0.1", ports[0])
        session = session_of(world, proxy, tls)
        check(resumes(proxy, tls, session), "resumes on its own route")
        proxy.address = ("127.0.0.1", ports[1])
        check(not resumes(proxy, tls, session), "does not resume on another route")


def two_routes(world, first, second):
    path = world.folder / f"two-routes-{first}.toml"
    path.write_text(f"""
[tls]
certificates = [{{ cert = "{world.certs}/ecdsa.pem", key = "{world.certs}/ecdsa.key" }},
                {{ cert = "{world.certs}/rsa.pem", key = "{world.certs}/rsa.key" }}]

[[upstream]]
name = "sink"
addresses = ["127.0.0.1:{world.sink.port}"]

[[ingress]]
name = "mx"
listen = ["127.0.0.1:{first}"]
tls = "may"
upstream = "sink"

[[ingress]]
name = "submission"
listen = ["127.0.0.1:{second}"]
tls = "encrypt"
upstream = "sink"
""", encoding="utf-8")
    return path


@case
def no_early_data(world):  # PROTOCOL 29
    said = s_client(world.proxy(), ["-tls1_3", "-ign_eof"], text="EHLO a\r\nQUIT\r\n")
    contains(said, "Max Early Data: 0", "s_client")


@each("TLSv1_2", "TLSv1_3")
def the_backend_is_told_the_tls_facts(world, version):  # PROTOCOL 37
    version = getattr(ssl.TLSVersion, version)
    tls = context(world.certs / "ca.pem", lowest=version, highest=version)
    with Backend() as backend, world.private(backend.port) as proxy:
        for port in ("starttls", "implicit"):
            with Client(proxy.implicit_address if port == "implicit" else proxy.address, source="127.0.0.5",
                        implicit=tls if port == "implicit" else None) as client:
                client.open(tls if port == "starttls" else None)
                client.quit()
                negotiated = client.tls.version(), client.tls.cipher()[0]
            source, source_port, destination, destination_port, tlvs = backend.sessions[-1].proxy
            equal((source, source_port), client.local, "the client's address")
            equal((destination, destination_port),
                  proxy.implicit_address if port == "implicit" else proxy.address, "the address it called")
            equal(tlvs[0x20][:1] and tlvs[0x20][0] & 1, 1, "PP2_CLIENT_SSL")
            check(int.from_bytes(tlvs[0x20][1:5], "big") != 0, "verify says: no client certificate was verified")
            equal(tlvs[0x21].decode(), negotiated[0], "PP2_SUBTYPE_SSL_VERSION")
            equal(tlvs[0x02].decode(), "mx.example.test", "PP2_TYPE_AUTHORITY")
            session = proxy.record(client.local)
            equal((session["tls"], session["sni"]), (negotiated[0], "mx.example.test"), "the session line")
            equal(tlvs[0x23].decode(), session["suite"], "PP2_SUBTYPE_SSL_CIPHER")
        with Client(proxy.address) as client:
            client.open()
            client.quit()
        check(0x20 not in backend.sessions[-1].proxy[4], "no TLS facts of a session in clear")


@case
def hostile_sni_does_not_break_the_log(world):
    name = "x" * 63 + ".example.test"
    with Client(world.proxy().implicit_address, implicit=context(), name=name) as client:
        client.open()
        client.quit()
    equal(world.proxy().record(client.local)["sni"], name, "sni in the session line")
