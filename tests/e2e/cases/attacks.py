# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients and backends that break the rules on purpose, octet by octet.

Each case names the class of attack in its title. Most run against a backend that keeps every octet, so
that "nothing reached it" is seen and not assumed; smuggling also against the real Postfix.
"""

import re

from harness.backend import Backend
from harness.case import case, check, contains, each, equal, eventually
from harness.smtp import Client, mail

EARLIER = b"EHLO client.example.test\r\n"


def only_replies(octets, codes, what):
    """`octets` consists of whole reply lines whose codes are among `codes`."""
    for line in octets.split(b"\r\n")[:-1]:
        check(line[:3].isdigit() and int(line[:3]) in codes, f"{what}: {line!r} in {octets!r}")


# --- STARTTLS injection: PROTOCOL 12 (RFC 3207, CVE-2011-0411) --------------------------------------------

@each(("EHLO in the same write", b"STARTTLS\r\nEHLO x\r\n"), ("half a command", b"STARTTLS\r\nRS"),
      ("one octet", b"STARTTLS\r\n "), ("MAIL", b"STARTTLS\r\nMAIL FROM:<a@b>\r\n"),
      ("in a group", b"NOOP\r\nSTARTTLS\r\nNOOP\r\n"), ("a second STARTTLS", b"STARTTLS\r\nSTARTTLS\r\n"), named=True)
def starttls_injection(world, variant):
    title, octets = variant
    with Backend() as backend, world.private(backend.port, tls_policy="may") as proxy:
        with Client(proxy.address) as client:
            client.open()
            client.send(octets)
            answer = client.rest()
            only_replies(answer, (250,) if title == "in a group" else (), "closed, STARTTLS never answered")
        equal(proxy.record(client.local)["reason"], "starttls_injection", "the session line's reason")
        backend.all_ended()
        allowed = EARLIER + (b"NOOP\r\n" if title == "in a group" else b"")
        check(allowed.startswith(backend.raw), f"octets at the backend: {backend.raw!r}")


@case
def starttls_injection_in_a_second_segment(world):  # what arrives after the 220 is TLS or nothing
    with Backend() as backend, world.private(backend.port) as proxy:
        with Client(proxy.address) as client:
            client.open()
            client.expect("STARTTLS", 220)
            client.send(b"EHLO injected.example.test\r\nMAIL FROM:<a@b>\r\n")
            answer = client.rest()
            check(b"250" not in answer, f"an answer in clear after STARTTLS: {answer!r}")
        backend.all_ended()
        check(b"injected" not in backend.raw, f"octets at the backend: {backend.raw!r}")


@case
def state_before_tls_is_gone(world):  # PROTOCOL 13 (RFC 3207 4.2)
    with Client(world.proxy().address) as client:
        client.open()
        client.starttls(world.tls)
        client.expect("MAIL FROM:<alice@client.example.test>", 503)
        client.expect("RCPT TO:<bob@example.test>", 503)
        client.expect("DATA", 503)
        client.expect("EHLO client.example.test", 250)
        client.envelope()
        client.expect("RSET", 250)
        client.quit()


@case
def starttls_where_it_is_not_due(world):  # PROTOCOL 11, 14
    proxy = world.proxy()
    with Client(proxy.address) as client:
        client.open()
        client.expect("STARTTLS now", 501)
        client.expect("MAIL FROM:<alice@client.example.test>", 250)
        client.expect("STARTTLS", 503)
        client.expect("RSET", 250)
        client.starttls(world.tls)
        client.expect("EHLO client.example.test", 250)
        client.expect("STARTTLS", 503)
        client.quit()
    with Client(proxy.implicit_address, implicit=world.tls) as client:
        client.open()
        client.expect("STARTTLS", 503)
        client.quit()


@case
def encrypt_allows_little_in_clear(world):  # PROTOCOL 15
    with Client(world.proxy(policy="encrypt").address) as client:
        client.open()
        for command in ("MAIL FROM:<alice@client.example.test>", "RCPT TO:<bob@example.test>", "DATA", "VRFY bob",
                        "AUTH LOGIN", "HELP", "mail from:<>"):
            contains(client.expect(command, 530).raw, b"530 5.7.0 ", command)
        client.send(b"BDAT 6 LAST\r\nQUIT\r\n")
        equal(client.reply().code, 530, "BDAT, its chunk drained")
        client.expect("NOOP", 250)
        client.expect("RSET", 250)
        client.expect("HELO client.example.test", 250)
        client.starttls(world.tls)
        client.expect("EHLO client.example.test", 250)
        client.envelope()
        client.expect("RSET", 250)
        client.quit()


# --- smuggling: only CRLF . CRLF ends DATA ----------------------------------------------------------------

ENDS = {"": b"", "CR": b"\r", "LF": b"\n", "CRLF": b"\r\n", "CRCRLF": b"\r\r\n", "LFCR": b"\n\r",
        "CRLFNUL": b"\r\n\0", "NUL": b"\0"}
PAIRS = [(x + "." + y, ENDS[x] + b"." + ENDS[y]) for x in ENDS for y in ENDS]
PAIRS += [("CRLF.CRCRLF", b"\r\n.\r\r\n"), ("CRCRLF.CRCRLF", b"\r\r\n.\r\r\n")]
SMUGGLED = b"MAIL FROM:<s@client.example.test>\r\nRCPT TO:<target@example.test>\r\nDATA\r\n"


def smuggle(address, sequence, tls=None, size=None):
    """One message with `sequence` in its middle, then what an attacker hopes will be commands. Returns
    (identifier, the replies after the 354)."""
    identifier, head = mail(b"before")
    payload = (head + sequence + SMUGGLED + b"Subject: smuggled\r\n\r\nafter\r\n.\r\nQUIT\r\n")
    with Client(address) as client:
        client.open(tls)
        client.envelope()
        client.expect("DATA", 354)
        try:
            if size:
                begin = len(head) - 4
                client.send(payload[:begin])
                client.send_pieces(payload[begin:begin + 40], size)
                client.send(payload[begin + 40:])
            else:
                client.send(payload)
        except (BrokenPipeError, ConnectionResetError):
            pass  # closed as soon as it was seen
        return identifier, client.rest()


def is_the_end(sequence):
    return b"\r\n.\r\n" in sequence


@each("whole", "octet by octet")
def smuggling_normalize(world, how):
    # The backend here is the worst there is: it takes LF.LF for an end as well.
    with world.private_sink(lenient_lf=True) as sink, world.private(sink.port, bare_newline="normalize") as proxy:
        for name, sequence in PAIRS:
            before = len(sink.messages())
            identifier, replies = smuggle(proxy.address, sequence, size=None if how == "whole" else 1)
            sink.message(identifier.encode())
            stored = sink.messages()[before:]
            equal(len(stored), 1, f"messages stored for {name}; replies {replies!r}")
            content = stored[0][0]
            equal(b"MAIL FROM:<s@" in content, not is_the_end(sequence), f"{name}: the rest is content of the message")
            equal(re.findall(rb"(?<!\r)\n|\r(?!\n)", content), [], f"{name}: bare newlines that were passed on")
            check(not any("target" in str(facts) for _, facts in stored), f"{name}: a smuggled recipient")


@each("whole", "octet by octet")
def smuggling_reject(world, how):
    with world.private_sink(lenient_lf=True) as sink, world.private(sink.port, bare_newline="reject") as proxy:
        for name, sequence in PAIRS:
            before = len(sink.messages())
            identifier, replies = smuggle(proxy.address, sequence, size=None if how == "whole" else 1)
            # What comes behind the true end is a command and cannot make the message wrong.
            seen = b"before" + (sequence[:sequence.index(b"\r\n.\r\n") + 5] if is_the_end(sequence) else sequence)
            bare = re.search(rb"(?<!\r)\n|\r(?!\n)", seen) is not None
            if bare:
                contains(replies, b"550 5.5.2 ", f"{name}: the reply")
            else:
                sink.message(identifier.encode())
            equal(len(sink.messages()) - before, 0 if bare else 1, f"messages stored for {name}; replies {replies!r}")


@each("starttls", "clear", slow=True)
def smuggling_into_postfix(world, port):
    for name, sequence in PAIRS:
        identifier, replies = smuggle(world.proxy().address, sequence, world.tls if port == "starttls" else None)
        stored = world.mx.stored(identifier)
        equal(b"MAIL FROM:<s@" in stored, not is_the_end(sequence), f"{name}: the rest is content; replies {replies!r}")
    world.mx.settled()
    equal(world.mx.messages("target"), [], "smuggled messages")


@case
def content_before_the_354_is_not_content(world):  # PROTOCOL 9
    identifier, content = mail()
    with Backend() as backend, world.private(backend.port) as proxy:
        with Client(proxy.address) as client:
            client.open()
            client.envelope()
            client.send(b"DATA\r\n" + content + b".\r\n")
            answer = client.rest()
            only_replies(answer, (421, 554), "refused and closed")
        backend.all_ended()
        equal(backend.messages, [], "stored messages")


# --- BDAT: PROTOCOL 18, 19 (RFC 3030) ---------------------------------------------------------------------

@each("18446744073709551616 LAST", "-1", "0x10", "+5", "1 LAST LAST", "", "99999999999999999999999999", "1 FIRST",
      "1,5")
def bdat_framing(world, argument):
    with Backend() as backend, world.private(backend.port) as proxy:
        with Client(proxy.address) as client:
            client.open()
            client.envelope()
            client.send(f"BDAT {argument}".rstrip(" ").encode() + b"\r\nQUIT\r\nMAIL FROM:<x@y>\r\n")
            answer = client.rest()
            check(answer.startswith(b"501 "), f"the answer is 501: {answer!r}")
            equal(answer.count(b"\r\n"), 1, f"replies before the close: {answer!r}")
        backend.all_ended()
        check(b"BDAT" not in backend.raw and b"x@y" not in backend.raw, f"octets at the backend: {backend.raw!r}")
        equal(proxy.record(client.local)["reason"], "bdat_syntax", "the session line's reason")


@each("normalize", "reject")
def bdat_octets_are_not_looked_at(world, bare_newline):
    chunk = b"12\n.\n\r\n.\r\nQUIT\r\nMAIL FROM:<s@evil.example>\n\r"
    announced = f"BDAT {len(chunk)}".encode()
    with Backend() as backend, world.private(backend.port, bare_newline=bare_newline) as proxy:
        with Client(proxy.address) as client:
            client.open(world.tls)
            client.envelope()
            client.send(announced + b"\r\n" + chunk)
            equal(client.reply().code, 250, "chunk")
            client.send_pieces(announced + b" LAST\r\n" + chunk, 1)
            equal(client.reply().code, 250, "last chunk")
            client.quit()
        equal([message[2] for message in backend.messages], [chunk * 2], "stored")
        equal(proxy.record(client.local)["bare_newlines"], 0, "what the session line counts")


@case
def bdat_a_great_many_chunks(world):
    count = 20_000
    with Client(world.sink_proxy().address) as client:
        client.open(world.tls)
        client.envelope()
        for _ in range(count // 100):
            client.send(b"BDAT 1\r\nA" * 100)
            for _ in range(100):
                equal(client.reply().code, 250, "chunk")
        identifier = mail()[0].encode()
        client.send(f"BDAT {len(identifier)} LAST\r\n".encode() + identifier)
        equal(client.reply().code, 250, "last chunk")
        client.quit()
    equal(world.sink.message(identifier)[0], b"A" * count + identifier, "stored")


@case
def bdat_many_chunks_without_reading(world):  # bounded memory on both sides: replies pile up
    with Client(world.sink_proxy().address) as client:
        client.open()
        client.envelope()
        client.send(b"BDAT 1\r\nA" * 5_000)
        for _ in range(5_000):
            equal(client.reply().code, 250, "chunk")
        client.expect("RSET", 250)
        client.quit()


@each("close_notify and clear text", "close_notify", "fin", "reset")
def bdat_cut_off(world, how):  # PROTOCOL 33, 36
    with Backend() as backend, world.private(backend.port) as proxy:
        with Client(proxy.address) as client:
            client.open(world.tls)
            client.envelope()
            client.send(b"BDAT 100 LAST\r\n" + b"A" * 50)
            if how.startswith("close_notify"):
                client.send_close_notify()
                if "clear" in how:
                    try:
                        client.send_clear(b"A" * 50 + b"\r\nNOOP\r\n")
                    except (BrokenPipeError, ConnectionResetError):
                        pass
                check(b"250 " not in client.rest(), "no positive reply")
            client.drop(reset=how == "reset")
        backend.all_ended()
        equal(backend.messages, [], "stored messages")
        eventually(lambda: len(proxy.records()) > 0, "the session line")
        check(proxy.records()[0]["reason"] in ("client_truncated", "client_reset"), f"reason in {proxy.records()[0]}")


@each("5xx", "4xx")
def state_after_a_refused_message(world, kind):
    refusal = b"554 5.7.1 no\r\n" if kind == "5xx" else b"451 4.3.0 later\r\n"
    with Backend({".": refusal}) as backend, world.private(backend.port) as proxy:
        with Client(proxy.address) as client:
            client.open(world.tls)
            equal(client.message(mail()[1]).raw, refusal, "reply to the final dot")
            client.send(b"RCPT TO:<x@example.test>\r\nDATA\r\n")
            equal([client.reply().code, client.reply().code], [503, 503], "RCPT and DATA without MAIL")
            client.quit()
        equal(backend.messages, [], "stored messages")


# --- forged identities: PROTOCOL 40 -----------------------------------------------------------------------

FORGERIES = [
    ("XCLIENT", b"XCLIENT ADDR=127.0.0.1 LOGIN=root\r\n"),
    ("lower case", b"xclient addr=127.0.0.1\r\n"),
    ("leading tab", b"\txclient ADDR=127.0.0.1\r\n"),
    ("leading blank", b" XCLIENT ADDR=127.0.0.1\r\n"),
    ("XFORWARD", b"XFORWARD ADDR=127.0.0.1\r\n"),
    ("xForward", b"xForward NAME=localhost\r\n"),
    ("tab after the verb", b"XCLIENT\tADDR=127.0.0.1\r\n"),
    ("in an EHLO argument", b"EHLO a+0D+0AXCLIENT\r\n"),
    ("bare LF before it", b"NOOP\nXCLIENT ADDR=127.0.0.1\r\n"),
    ("bare CR before it", b"NOOP\rXCLIENT ADDR=127.0.0.1\r\n"),
    ("NUL before it", b"NOOP\0\r\nXCLIENT ADDR=127.0.0.1\r\n"),
    ("600 octets of name", b"HELO " + b"a" * 600 + b"\r\n"),
    ("PROXY", b"PROXY TCP4 127.0.0.1 127.0.0.1 25 25\r\n"),
    ("proxy", b"proxy TCP4 127.0.0.1 127.0.0.1 25 25\r\n"),
    ("PROXY v2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\1\x7f\0\0\1\0\x19\0\x19"),
]


def forge(world, backend, proxy, octets, tls, first, size=None):
    """Sends a forgery as the first octets of a session or after EHLO; it must get 5xx or a close."""
    with Client(proxy.address) as client:
        client.greeting()
        if tls or not first:
            client.expect("EHLO client.example.test", 250)
        if tls:
            client.starttls(world.tls)
            if not first:
                client.expect("EHLO client.example.test", 250)
        client.send_pieces(octets, size or len(octets))
        client.send(b"RSET\r\n")
        try:
            client.send(b"QUIT\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = client.rest()
        if answer:
            check(answer[:1] == b"5" or answer.startswith(b"421 "), f"first answer to {octets!r}: {answer!r}")
        only_replies(answer, (250, 221, 421, *range(500, 600)), f"answers to {octets!r}")
    backend.all_ended()
    raw = backend.raw.upper()
    for word in (b"XCLIENT ADDR=127.0.0.1 LOGIN", b"XFORWARD", b"PROXY", b"+0D", b"A" * 100, b"\0"):
        check(word not in raw, f"{word!r} at the backend: {backend.raw!r}")


@each(*(name for name, _ in FORGERIES))
def forged_identity(world, name):
    octets = dict(FORGERIES)[name]
    with Backend() as backend, world.private(backend.port) as proxy:
        for tls in (False, True):
            for first in (False, True):
                forge(world, backend, proxy, octets, tls, first)
                forge(world, backend, proxy, octets, tls, first, size=3)  # XCL, IEN, T: in TLS as records
        check(b"XCLIENT" not in backend.raw.upper(), f"XCLIENT at the backend: {backend.raw!r}")


@case
def forged_xclient_to_a_backend_that_takes_it(world):
    with Backend(identity="xclient") as backend, world.private(backend.port, backend_identity="xclient") as proxy:
        for name, octets in FORGERIES:
            forge(world, backend, proxy, octets, tls=True, first=False)
        told = re.findall(rb"XCLIENT[^\r]*", backend.raw)
        check(told and all(b"LOGIN" not in line for line in told), f"LOGIN is never told: {told}")
        check(all(b"ADDR=127.0.0.1" in line or b"ADDR=" not in line for line in told), f"told: {told}")
    # And Postfix, which would believe it: the forged address is in mynetworks.
    with Client(world.proxy("xclient").address, source="127.0.0.3") as client:
        client.open(world.tls)
        client.send(b"XCLIENT ADDR=127.0.0.1\r\n")
        check(client.reply().code in (500, 502, 503, 550), "XCLIENT is refused")
        client.expect("MAIL FROM:<alice@client.example.test>", 250)
        client.expect("RCPT TO:<eve@elsewhere.example.net>", 554)
        client.quit()


@case
def xclient_is_not_advertised(world):
    with Client(world.proxy("xclient").address) as client:
        for reply in (client.open(), client.command("EHLO again.example.test")):
            check(not any(text.startswith(("XCLIENT", "XFORWARD")) for text in reply.texts), f"offered: {reply}")
        client.quit()


# --- other protocols --------------------------------------------------------------------------------------

@each("GET / HTTP/1.1", "POST / HTTP/1.1", "CONNECT a:25", "Host: x", "PUT / HTTP/1.0", "OPTIONS * HTTP/1.1")
def cross_protocol(world, line):
    body = line.encode() + b"\r\nHost: x\r\n\r\nEHLO a\r\nMAIL FROM:<a@b>\r\n"
    with Backend() as backend, world.private(backend.port) as proxy:
        for tls in (None, world.tls):
            with Client(proxy.implicit_address if tls else proxy.address, implicit=tls) as client:
                client.greeting()
                try:
                    client.send(body)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                answer = client.rest()
                check(answer[:1] == b"5" or answer.startswith(b"421"), f"one 5xx or 421: {answer!r}")
                equal(answer.count(b"\r\n"), 1, f"replies before the close: {answer!r}")
            equal(proxy.record(client.local)["reason"], "cross_protocol", "the session line's reason")
        backend.all_ended()
        equal(backend.raw, b"", "octets at the backend")


# --- lines: PROTOCOL 1, 2, 20 -----------------------------------------------------------------------------

@each(("bare LF", b"NOOP\n"), ("bare CR", b"NOOP\rX\r\n"), ("NUL", b"NOOP \0\r\n"), ("leading blank", b" NOOP\r\n"),
      ("unknown", b"FROBNICATE\r\n"), ("600 octets", b"NOOP " + b"x" * 600 + b"\r\n"), ("empty", b"\r\n"),
      ("8 bits", b"NOOP \xff\r\n"), ("60 KB", b"VRFY " + b"x" * 60_000 + b"\r\n"), named=True)
def bad_command_lines(world, variant):
    _, octets = variant
    with Backend() as backend, world.private(backend.port) as proxy:
        with Client(proxy.address) as client:
            client.open()
            client.send(octets + b"NOOP fine\r\n")
            codes = [client.reply().code, client.reply().code]
            check(codes[0] in (500, 501, 502) and codes[1] == 250, f"replies {codes}")
            client.quit()
        backend.all_ended()
        equal(backend.raw, EARLIER + b"NOOP fine\r\nQUIT\r\n", "octets at the backend")


@each("together", "one by one", "inside tls")
def lines_that_end_in_lf(world, how):  # PROTOCOL 1: each gets a 500 of its own, and none is a command
    lines = [b"NOOP\n", b"MAIL FROM:<a@b>\n", b"VRFY " + b"x" * 600 + b"\n", b"RCPT TO:<c@d>\n", b"QUIT\n"]
    with Backend() as backend, world.private(backend.port) as proxy:
        with Client(proxy.address) as client:
            client.open(world.tls if how == "inside tls" else None)
            if how == "one by one":
                for line in lines:
                    client.send(line)
                    equal(client.reply().code, 500, f"reply to {line!r}")
                client.send(b"NOOP fine\r\n")
            else:
                client.send(b"".join(lines) + b"NOOP fine\r\n")
                equal([client.reply().code for _ in lines], [500] * len(lines), "replies")
            equal(client.reply().code, 250, "reply to the next command")
            client.quit()
        backend.all_ended()
        before_tls = EARLIER + b"QUIT\r\n" if how == "inside tls" else b""
        equal(backend.raw, before_tls + EARLIER + b"NOOP fine\r\nQUIT\r\n", "octets at the backend")


@each("command", "ehlo", "inside tls")
def nine_megabytes_without_a_newline(world, where):  # PROTOCOL 2: the discard is bounded
    with Backend() as backend, world.private(backend.port) as proxy:
        with Client(proxy.address) as client:
            client.open(world.tls if where == "inside tls" else None)
            before = resident(proxy)
            try:
                client.send_pieces((b"EHLO " if where == "ehlo" else b"") + b"A" * 9_000_000, 65536)
            except (BrokenPipeError, ConnectionResetError):
                pass
            only_replies(client.rest(), (421, 500), "500, then 421")
            check(resident(proxy) - before < 8_000_000, f"memory grew from {before} to {resident(proxy)}")
        equal(proxy.record(client.local)["reason"], "line_too_long", "the session line's reason")
        backend.all_ended()
        check(b"AAAA" not in backend.raw, "the line is not passed on")


@case
def nine_megabytes_of_content_without_a_newline(world):  # PROTOCOL 3: passes whole
    identifier, head = mail()
    content = head + b"A" * 9_000_000 + b"\r\n"
    proxy = world.sink_proxy()
    with Client(proxy.address) as client:
        client.open(world.tls)
        equal(client.message(content).code, 250, "reply to the final dot")
        client.quit()
    check(world.sink.message(identifier.encode())[0] == content, "the stored line differs")


@case
def too_many_refused_commands(world):
    with Client(world.proxy().address) as client:
        client.open()
        client.send(b"NONSENSE\r\n" * 100)
        answer = client.rest()
        check(answer.endswith(b"\r\n") and b"\r\n421 4.7.0 " in answer, f"421 at last: {answer[-200:]!r}")
        check(answer.count(b"\r\n") < 60, f"{len(answer)} octets of replies")


def resident(proxy):
    """Octets of memory in use by the proxy."""
    with open(f"/proc/{proxy.process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096


# --- truncation: PROTOCOL 33 ------------------------------------------------------------------------------

@each(*((end, port) for end in ("fin", "close_notify", "reset") for port in ("clear", "starttls", "implicit")
        if not (end == "close_notify" and port == "clear")))
def truncation_in_data(world, variant):
    end, port = variant
    for tail in (b"", b"\r", b"\r\n", b"\r\n.", b"\r\n.\r"):
        with Backend() as backend, world.private(backend.port) as proxy:
            address = proxy.implicit_address if port == "implicit" else proxy.address
            with Client(address, implicit=world.tls if port == "implicit" else None) as client:
                client.open(world.tls if port == "starttls" else None)
                client.envelope()
                client.expect("DATA", 354)
                client.send(mail()[1] + b"half a message" + tail)
                if end == "close_notify":
                    client.send_close_notify()
                client.drop(reset=end == "reset")
            eventually(lambda: proxy.records(), "the session line")
            check(proxy.records()[0]["reason"] in ("client_truncated", "client_reset"), f"reason: {proxy.records()[0]}")
            backend.all_ended()
            equal(backend.messages, [], f"stored messages after {tail!r}")
            check(not backend.raw.endswith(b"\r\n.\r\n"), f"a terminator was made up after {tail!r}")


@case
def truncation_with_postfix(world):
    identifiers = []
    for tail in (b"", b"\r\n.", b"\r\n.\r"):
        for tls in (None, world.tls):
            identifier, content = mail()
            with Client(world.proxy().address) as client:
                client.open(tls)
                client.envelope()
                client.expect("DATA", 354)
                client.send(content + b"half" + tail)
                client.drop()
                world.proxy().record(client.local)
            identifiers.append(identifier)
    complete, content = mail()
    with Client(world.proxy().address) as client:
        client.open(world.tls)
        equal(client.message(content).code, 250, "a complete message afterwards")
        client.quit()
    world.mx.stored(complete)
    world.mx.settled()
    for identifier in identifiers:
        equal(world.mx.count(identifier.encode()), 0, f"stored copies of {identifier}")


# --- replies: PROTOCOL 10 ---------------------------------------------------------------------------------

@each(("changing code", b"250-a\r\n550 b\r\n"), ("bare LF", b"250 a\nb\r\n"), ("only LF", b"250 a\n"),
      ("bare CR", b"250 a\rb\r\n"), ("NUL", b"250 a\0\r\n"), ("no code", b"hello\r\n"), ("code 199", b"199 a\r\n"),
      ("code 600", b"600 a\r\n"), ("two replies", b"250 a\r\n250 b\r\n"), named=True)
def response_splitting(world, variant):
    _, reply = variant
    with Backend({"MAIL": reply}) as backend, world.private(backend.port) as proxy:
        with Client(proxy.address) as client:
            client.open(world.tls)
            client.send(b"MAIL FROM:<alice@client.example.test>\r\n")
            answer = client.rest()
            check(answer.startswith(b"421 ") and answer.count(b"\r\n") == 1, f"421 and close: {answer!r}")
        # One reply more than commands: which of them is the command's?
        reason = "backend_identity" if reply == b"250 a\r\n250 b\r\n" else "backend_protocol"
        equal(proxy.record(client.local)["reason"], reason, "the session line's reason")
        backend.all_ended()
