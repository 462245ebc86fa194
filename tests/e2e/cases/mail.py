# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail through ringpost to a real Postfix: what arrives, whom it sees, what it refuses."""

import re

from harness.backend import KEYWORDS, Backend
from harness.case import Skip, case, check, contains, each, equal
from harness.dovecot_auth import PASSWORD, USER
from harness.postfix import split_stored
from harness.process import free_port, has_ipv6
from harness.smtp import Client, mail, plain_secret

IDENTITIES = ("proxy-v2", "proxy-v1", "xclient", "unix")

# Every octet but NUL, CR and LF; lines of dots; a line at RFC 5321 4.5.3.1.6's limit (Postfix's own
# smtpd passes it whole); trailing blanks; an empty first and last line.
BODY = (b"\r\n.\r\n..\r\n.leading dot\r\ntrailing blanks  \t\r\n" +
        bytes(octet for octet in range(1, 256) if octet not in (10, 13)) + b"\r\n" +
        b"x" * 998 + b"\r\nlast line\r\n\r\n")


def stored_content(world, identifier, user="bob"):
    return split_stored(world.mx.stored(identifier, user))[1]


def connect(world, proxy, port):
    """Connects and says EHLO through one of the three ways in."""
    if port == "implicit":
        client = Client(proxy.implicit_address, implicit=world.tls)
        client.open()
    else:
        client = Client(proxy.address)
        client.open(world.tls if port == "starttls" else None)
    return client


@each(*((identity, port) for identity in IDENTITIES for port in ("starttls", "implicit", "clear")))
def message_is_stored_byte_identical(world, variant):  # PROTOCOL 3, 20
    identity, port = variant
    identifier, content = mail(BODY)
    with connect(world, world.proxy(identity), port) as client:
        equal(client.message(content).code, 250, "reply to the final dot")
        client.quit()
    equal(stored_content(world, identifier), content.replace(b"\r\n", b"\n"), "stored message")


@case
def stored_as_it_would_be_directly(world):  # PROTOCOL 20
    stored = []
    for address, tls in ((("127.0.0.1", world.mx.plain_port), None), (world.proxy().address, world.tls)):
        identifier, content = mail(BODY)
        with Client(address, source="127.0.0.3") as client:
            client.open(tls)
            equal(client.message(content).code, 250, "reply to the final dot")
            client.quit()
        head, text = split_stored(world.mx.stored(identifier))
        head = re.sub(rb"id [0-9A-Za-z]+|\d\d:\d\d:\d\d|v2?.\d+M\d+", b"", head)
        stored.append((head, text.replace(identifier.encode(), b"")))
    equal(stored[1], stored[0], "stored through ringpost, against stored directly")


@each(*IDENTITIES)
def received_shows_the_true_client(world, identity):  # PROTOCOL 41
    for port in ("starttls", "implicit"):
        identifier, content = mail()
        proxy = world.proxy(identity)
        address = proxy.implicit_address if port == "implicit" else proxy.address
        with Client(address, source="127.0.0.9", implicit=world.tls if port == "implicit" else None) as client:
            client.open(world.tls if port == "starttls" else None, helo="true.client.example.test")
            equal(client.message(content).code, 250, "reply to the final dot")
            client.quit()
        head = split_stored(world.mx.stored(identifier))[0]
        contains(head, b"from true.client.example.test (unknown [127.0.0.9])", "Received field")


@each("proxy-v2", "proxy-v1", "xclient")
def received_shows_a_client_on_ipv6(world, identity):  # PROTOCOL 41
    if not has_ipv6():
        raise Skip("no IPv6 on loopback")
    port = free_port()
    upstream, spelled = world.upstream(identity)
    with world.private(upstream, backend_identity=spelled, listen=f"[::1]:{port}") as proxy:
        identifier, content = mail()
        with Client(("::1", port)) as client:
            client.open(world.tls)
            equal(client.message(content).code, 250, "reply to the final dot")
            client.quit()
        head = split_stored(world.mx.stored(identifier))[0]
        contains(head, b"[IPv6:::1]", "Received field")
        equal(proxy.record(client.local)["messages"], 1, "messages in the session line")


@each(*IDENTITIES)
def relaying_is_refused_as_directly(world, identity):
    # ringpost calls from 127.0.0.1, which is in mynetworks: a proxy that hides the client is an open relay.
    refusals = []
    for address, tls in ((("127.0.0.1", world.mx.plain_port), None), (world.proxy(identity).address, world.tls)):
        with Client(address, source="127.0.0.3") as client:
            client.open(tls)
            client.expect("MAIL FROM:<alice@client.example.test>", 250)
            refusals.append(client.expect("RCPT TO:<eve@elsewhere.example.net>", 554).raw)
            client.quit()
    equal(refusals[1], refusals[0], "refusal through ringpost, against that given directly")


@each("proxy-v2", "xclient")
def a_client_in_mynetworks_may_relay(world, identity):
    with Client(world.proxy(identity).address, source="127.0.0.2") as client:
        client.open(world.tls)
        client.expect("MAIL FROM:<alice@client.example.test>", 250)
        client.expect("RCPT TO:<eve@elsewhere.example.net>", 250)
        client.expect("RSET", 250)
        client.quit()


@each("starttls", "implicit", slow=True)
def a_message_of_25_megabytes(world, port):  # PROTOCOL 20
    line = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/.\r\n"
    identifier, content = mail(line * (25_000_000 // len(line)))
    with connect(world, world.proxy(), port) as client:
        equal(client.message(content).code, 250, "reply to the final dot")
        client.quit()
    check(stored_content(world, identifier) == content.replace(b"\r\n", b"\n"), "25 MB differ from what was sent")


@case
def one_hundred_recipients(world):  # PROTOCOL 4, 8
    identifier, content = mail()
    users = [f"user{number}" for number in range(100)]
    with connect(world, world.proxy(), "starttls") as client:
        client.expect("MAIL FROM:<alice@client.example.test>", 250)
        client.send(b"".join(f"RCPT TO:<{user}@example.test>\r\n".encode() for user in users))
        for user in users:
            equal(client.reply().code, 250, f"reply for {user}")
        client.expect("DATA", 354)
        client.send(content + b".\r\n")
        equal(client.reply().code, 250, "reply to the final dot")
        client.quit()
    for user in users:
        world.mx.stored(identifier, user)


@each("starttls", "implicit", "clear")
def pipelining(world, port):  # PROTOCOL 8 (RFC 2920)
    first, content = mail()
    second, again = mail()
    with connect(world, world.proxy(), port) as client:
        client.send(b"NOOP\r\nMAIL FROM:<alice@client.example.test>\r\nRCPT TO:<bob@example.test>\r\n"
                    b"RCPT TO:<refused@example.test>\r\nNONSENSE\r\nVRFY bob@example.test\r\nDATA\r\n")
        codes = [client.reply().code for _ in range(7)]
        equal(codes, [250, 250, 250, 554, 500, 252, 354], "replies, one per command, in order")
        # The end of one message and all commands of the next in one write.
        client.send(content + b".\r\nMAIL FROM:<alice@client.example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n")
        equal([client.reply().code for _ in range(4)], [250, 250, 250, 354], "replies to the second group")
        client.send(again + b".\r\nQUIT\r\n")
        equal([client.reply().code for _ in range(2)], [250, 221], "last replies")
        equal(client.rest(), b"", "octets after the 221")
    for identifier, text in ((first, content), (second, again)):
        equal(stored_content(world, identifier), text.replace(b"\r\n", b"\n"), "stored message")


@each(*IDENTITIES)
def pipelining_more_than_allowed(world, identity):  # RFC 2920 3.1
    """A client that waits for nothing, in front of a Postfix that closes on improper pipelining."""
    identifier, content = mail()
    with Client(world.proxy(identity).address) as client:
        client.send(b"EHLO client.example.test\r\nNOOP\r\nVRFY bob@example.test\r\nRSET\r\nEXPN bob\r\n"
                    b"HELO client.example.test\r\nNOOP\r\nMAIL FROM:<alice@client.example.test>\r\n"
                    b"RCPT TO:<bob@example.test>\r\nNOOP\r\nDATA\r\n")
        codes = [client.reply().code for _ in range(12)]
        equal(codes, [220, 250, 250, 252, 250, 500, 250, 250, 250, 250, 250, 354], "replies, in order")
        client.send(content + b".\r\nNOOP\r\nRSET\r\nNOOP\r\nQUIT\r\nNOOP\r\n")
        equal([client.reply().code for _ in range(5)], [250, 250, 250, 250, 221], "last replies")
    equal(stored_content(world, identifier), content.replace(b"\r\n", b"\n"), "stored message")


@each(*((offered, identity) for offered in ("offered", "not offered") for identity in ("proxy", "xclient", "none")))
def improper_pipelining_is_never_the_backends(world, variant):  # RFC 2920 3.1
    offered, identity = variant
    keywords = KEYWORDS if offered == "offered" else ("SIZE 40000000", "CHUNKING", "AUTH PLAIN LOGIN")
    _, content = mail()
    with Backend(keywords=keywords, identity=identity, patience=0.02) as backend, \
            world.private(backend.port, backend_identity="proxy-v2" if identity == "proxy" else identity,
                          auth="as_backend") as proxy:
        with Client(proxy.address) as client:
            client.send(b"RSET\r\nNOOP\r\nEHLO client.example.test\r\nNOOP\r\nVRFY bob\r\nEXPN bob\r\nETRN a\r\n"
                        b"AUTH PLAIN AGEAYg==\r\nMAIL FROM:<alice@client.example.test>\r\nRCPT TO:<bob@example.test>\r\n"
                        b"BDAT 3\r\nabcBDAT 3 LAST\r\ndefRSET\r\nMAIL FROM:<alice@client.example.test>\r\n"
                        b"RCPT TO:<bob@example.test>\r\nNOOP\r\nDATA\r\n")
            codes = [client.reply().code for _ in range(18)]
            equal(codes, [220, 250, 250, 250, 250, 252, 502, 502, 235, 250, 250, 250, 250, 250, 250, 250, 250, 354],
                  "replies, in order")
            client.send(content + b".\r\nRSET\r\nNOOP\r\nQUIT\r\n")
            equal([client.reply().code for _ in range(4)], [250, 250, 250, 221], "last replies")
        backend.all_ended()
        equal([connection.improper for connection in backend.connections if connection.improper], [],
              "commands of sessions and probes behind which more came")
        equal([message[2] for message in backend.messages], [b"abcdef", content], "messages")


@each("starttls", "implicit", "clear")
def quit_with_a_parameter(world, port):  # RFC 5321 3.8; Postfix takes it, others do not
    _, content = mail()
    refused, taken = b"501 5.5.4 Syntax: QUIT\r\n", b"221 2.0.0 Bye\r\n"
    with Backend({"QUIT": [refused, refused, taken]}) as backend, \
            world.private(backend.port, starttls_backend="keep") as proxy:
        with connect(world, proxy, port) as client:
            client.expect("QUIT now", 501)
            equal(client.message(content).code, 250, "reply to the final dot")
            client.send(b"QUIT now\r\nNOOP\r\nQUIT\r\n")
            equal([client.reply().code for _ in range(3)], [501, 250, 221], "last replies")
            equal(client.rest(), b"", "octets after the 221")
        backend.all_ended()
        equal([message[2] for message in backend.messages], [content], "messages")
        equal(proxy.record(client.local)["reason"], "quit", "the session line's reason")


@each("starttls", "implicit")
def bdat(world, port):  # PROTOCOL 18 (RFC 3030)
    identifier, content = mail(b"before\r\n.\r\nMAIL FROM:<x@y>\r\nafter\r\n..two dots\r\n")
    with connect(world, world.proxy(), port) as client:
        client.envelope()
        half = content.index(b"\r\n.\r\n") + 3  # the chunk ends within what would end DATA
        for chunk, last in ((content[:half], ""), (content[half:], ""), (b"", " LAST")):
            client.send(f"BDAT {len(chunk)}{last}\r\n".encode() + chunk)
            equal(client.reply().code, 250, f"reply to a chunk of {len(chunk)}")
        second, again = mail()
        client.send(b"MAIL FROM:<alice@client.example.test>\r\nRCPT TO:<bob@example.test>\r\n" +
                    f"BDAT {len(again)} LAST\r\n".encode() + again + b"NOOP\r\n")  # pipelined
        equal([client.reply().code for _ in range(4)], [250] * 4, "replies to pipelined BDAT")
        client.quit()
    equal(stored_content(world, identifier), content.replace(b"\r\n", b"\n"), "stored message")
    equal(stored_content(world, second), again.replace(b"\r\n", b"\n"), "second message")


@case
def bdat_with_blanks(world):  # PROTOCOL 19: Postfix takes them
    identifier, content = mail()
    half = len(content) // 2
    with connect(world, world.proxy(), "starttls") as client:
        client.envelope()
        for chunk, command in ((content[:half], f"BDAT {half} "), (content[half:], f"bdat  {len(content) - half}  LAST ")):
            client.send(command.encode() + b"\r\n" + chunk)
            equal(client.reply().code, 250, f"reply to {command!r}")
        client.quit()
    equal(stored_content(world, identifier), content.replace(b"\r\n", b"\n"), "stored message")


@case
def bdat_refused_then_data(world):  # PROTOCOL 18
    with connect(world, world.proxy(), "starttls") as client:
        client.send(b"BDAT 23\r\nMAIL FROM:<a@b>\r\nQUIT\r\n")  # no transaction: drained, then refused
        equal(client.reply().code, 503, "BDAT without MAIL")
        client.envelope()
        client.send(b"BDAT 5\r\nabc\r\n")
        equal(client.reply().code, 250, "reply to the chunk")
        client.expect("DATA", 503)
        client.expect("RSET", 250)
        client.quit()


@each(("proxy-v2", "may"), ("proxy-v2", "encrypt"), ("xclient", "encrypt"))
def auth_plain_reaches_the_backend(world, variant):  # PROTOCOL 16
    proxy = world.proxy(*variant)
    for port in ("starttls", "implicit"):
        before = len(world.auth.asked)
        with connect(world, proxy, port) as client:
            client.expect("AUTH PLAIN " + plain_secret(USER, PASSWORD), 235)
            client.expect("AUTH PLAIN " + plain_secret(USER, PASSWORD), 503)  # RFC 4954 4
            identifier, content = mail()
            equal(client.message(content).code, 250, "reply to the final dot")
            client.quit()
        equal(world.auth.asked[before:], [("PLAIN", USER, True)], "what the password check was asked")
        contains(split_stored(world.mx.stored(identifier))[0], b"Received: ", "stored message")


@case
def auth_dialogue(world):  # PROTOCOL 16: challenges byte-exact, cancel, wrong password
    with connect(world, world.proxy(), "starttls") as client:
        equal(client.expect("AUTH LOGIN", 334).raw, b"334 VXNlcm5hbWU6\r\n", "challenge")
        client.expect("*", 501)
        client.expect("AUTH PLAIN " + plain_secret(USER, "wrong"), 535)
        equal(client.expect("AUTH PLAIN", 334).raw, b"334 \r\n", "empty challenge")
        client.expect(plain_secret(USER, PASSWORD), 235)
        client.expect("MAIL FROM:<alice@client.example.test>", 250)
        client.expect("AUTH PLAIN " + plain_secret(USER, PASSWORD), 503)
        client.quit()


@case
def auth_lets_a_stranger_relay(world):
    with Client(world.proxy().address, source="127.0.0.3") as client:
        client.open(world.tls)
        client.expect("AUTH PLAIN " + plain_secret(USER, PASSWORD), 235)
        client.expect("MAIL FROM:<alice@client.example.test>", 250)
        client.expect("RCPT TO:<eve@elsewhere.example.net>", 250)
        client.expect("RSET", 250)
        client.quit()


@case
def auth_is_not_offered_in_clear_under_encrypt(world):  # PROTOCOL 14
    before = len(world.auth.asked)
    with Client(world.proxy(policy="encrypt").address) as client:
        keywords = [text.split(" ")[0].upper() for text in client.open().texts[1:]]
        check("STARTTLS" in keywords, f"STARTTLS is offered in {keywords}")
        check(not any(word.startswith("AUTH") for word in keywords), f"AUTH is not offered in {keywords}")
        client.expect("AUTH PLAIN " + plain_secret(USER, PASSWORD), 530)
        client.starttls(world.tls)
        inside = [text.split(" ")[0].upper() for text in client.expect("EHLO a.example.test", 250).texts[1:]]
        check("AUTH" in inside and "STARTTLS" not in inside, f"AUTH instead of STARTTLS in {inside}")
        client.quit()
    equal(world.auth.asked[before:], [], "what the password check was asked")


@each("starttls", "no certificate", "report")
def no_password_in_clear(world, variant):  # PROTOCOL 14
    before = len(world.auth.asked)
    upstream, identity = world.upstream("proxy-v2")
    settings = {"no certificate": {"cert": None, "key": None, "listen_tls": None},
                "report": {"tls_policy": "encrypt", "policy_mode": "report"}}.get(variant, {})
    with world.private(upstream, backend_identity=identity, log_level="debug", **settings) as proxy:
        with Client(proxy.address) as client:
            keywords = [text.split(" ")[0].upper() for text in client.open().texts[1:]]
            check(not any(word.startswith("AUTH") for word in keywords), f"AUTH is not offered in {keywords}")
            code = 538 if variant == "no certificate" else 530
            client.expect("AUTH PLAIN " + plain_secret(USER, PASSWORD), code)
            client.expect("AUTH LOGIN", code)
            client.expect(plain_secret(USER, PASSWORD), 500)  # said without waiting to be asked for it
            identifier, content = mail()
            equal(client.message(content).code, 250, "reply to the final dot")
            client.quit()
    check(plain_secret(USER, PASSWORD) not in proxy.process.log, "the log has no password")
    contains(world.mx.stored(identifier), b"Hello", "stored message")
    equal(world.auth.asked[before:], [], "what the password check was asked")


@case
def a_password_in_clear_where_the_route_says_so(world):
    before = len(world.auth.asked)
    proxy = world.proxy(auth="as_backend")
    proxy.process.wait_for("passes AUTH on in clear")
    with Client(proxy.address) as client:
        check(any(text.startswith("AUTH PLAIN") for text in client.open().texts), "AUTH is offered")
        client.expect("AUTH PLAIN " + plain_secret(USER, PASSWORD), 235)
        client.quit()
    equal(world.auth.asked[before:], [("PLAIN", USER, True)], "what the password check was asked")


@each("proxy-v2", "xclient")
def capabilities_are_those_of_the_backend(world, identity):  # PROTOCOL 17
    with Client(("127.0.0.1", world.mx.plain_port)) as client:
        direct = client.open().texts[1:]
        client.quit()
    proxy = world.proxy(identity)
    with Client(proxy.address) as client:
        clear = client.open().texts[1:]
        client.starttls(world.tls)
        inside = client.expect("EHLO a.example.test", 250).texts[1:]
        client.quit()
    with Client(proxy.implicit_address, implicit=world.tls) as client:
        implicit = client.open().texts[1:]
        client.quit()
    kept = sorted(set(direct) - {"XCLIENT", "XFORWARD", "STARTTLS"})
    before_tls = [keyword for keyword in kept if not keyword.startswith("AUTH")]
    equal(sorted(set(clear) - {"STARTTLS"}), before_tls, "offered in clear")
    equal(clear[0], "STARTTLS", "first behind the greeting line")  # PROTOCOL 14
    equal(sorted(inside), kept, "offered inside TLS")  # PROTOCOL 14
    equal(sorted(implicit), kept, "offered on the implicit-TLS port")


@case
def smtputf8_and_eight_bit(world):  # PROTOCOL 21 (RFC 6531)
    identifier, content = mail("Grüße\r\n".encode(), subject="eight bit")
    with connect(world, world.proxy(), "starttls") as client:
        client.send("MAIL FROM:<jürgen@client.example.test> SMTPUTF8 BODY=8BITMIME\r\n".encode())
        equal(client.reply().code, 250, "SMTPUTF8 sender")
        client.expect("RCPT TO:<bob@example.test>", 250)
        client.expect("DATA", 354)
        client.send(content + b".\r\n")
        equal(client.reply().code, 250, "reply to the final dot")
        client.send(b"MAIL FROM:<j\xff@client.example.test>\r\n")
        equal(client.reply().code, 501, "invalid UTF-8")
        client.quit()
    equal(stored_content(world, identifier), content.replace(b"\r\n", b"\n"), "stored message")


@case
def dsn_and_size_pass(world):
    with connect(world, world.proxy(), "starttls") as client:
        client.expect("MAIL FROM:<alice@client.example.test> SIZE=1000 RET=HDRS ENVID=QQ314159 BODY=8BITMIME", 250)
        client.expect("RCPT TO:<bob@example.test> NOTIFY=NEVER ORCPT=rfc822;bob@example.test", 250)
        client.expect("RSET", 250)
        client.expect("MAIL FROM:<alice@client.example.test> SIZE=999999999", 552)
        client.quit()


@case
def refusals_are_the_backends_own(world):  # PROTOCOL 7, 9
    identifier, content = mail(subject="refuse me")
    with connect(world, world.proxy(), "starttls") as client:
        client.expect("MAIL FROM:<alice@client.example.test>", 250)
        contains(client.expect("RCPT TO:<refused@example.test>", 554).raw, b"Access denied", "Postfix's own words")
        client.expect("DATA", 554)  # no valid recipients: still command mode
        client.expect("RCPT TO:<bob@example.test>", 250)
        client.expect("DATA", 354)
        client.send(content + b".\r\n")
        contains(client.reply().raw, b"550 5.7.1 refused by its subject", "reply to the final dot")
        client.expect("RCPT TO:<bob@example.test>", 503)  # the transaction is over, whatever the code
        another, accepted = mail()
        equal(client.message(accepted).code, 250, "a message after a refused one")
        client.quit()
    line = world.proxy().record(client.local)
    equal((line["messages"], line["refused"], line["refused_commands"]), (1, 3, 1), "messages, refused, refused_commands")
    world.mx.stored(another)
    equal(world.mx.count(identifier.encode()), 0, "stored copies of the refused message")


@case
def long_paths_pass(world):  # PROTOCOL 4 (RFC 5321 4.5.3.1)
    local, domain = "l" * 64, ".".join(["d" * 61] * 2 + ["e" * 40]) + ".test"
    with connect(world, world.proxy(), "starttls") as client:
        client.expect(f"MAIL FROM:<{local}@{domain}>", 250)
        client.expect("RSET", 250)
        client.quit()


@case
def a_client_that_only_says_helo(world):  # PROTOCOL 22
    identifier, content = mail()
    with Client(world.proxy().address) as client:
        client.greeting()
        client.expect("HELO old.example.test", 250)
        equal(client.message(content).code, 250, "reply to the final dot")
        client.quit()
        equal(client.rest(), b"", "octets after the 221")
    world.mx.stored(identifier)


@case
def twenty_messages_on_one_connection(world):
    sent = []
    with connect(world, world.proxy(), "starttls") as client:
        for _ in range(20):
            identifier, content = mail()
            equal(client.message(content).code, 250, "reply to the final dot")
            sent.append(identifier)
        client.quit()
    for identifier in sent:
        world.mx.stored(identifier)


@each("octet", "small")
def input_in_small_pieces(world, kind):
    identifier, content = mail(b"a\r\n..b\r\nc\r\n")
    with connect(world, world.proxy(), "starttls") as client:
        size = 1 if kind == "octet" else 7
        client.send_pieces(b"MAIL FROM:<alice@client.example.test>\r\n", size)
        equal(client.reply().code, 250, "MAIL")
        client.send_pieces(b"RCPT TO:<bob@example.test>\r\nDATA\r\n", size)
        equal([client.reply().code, client.reply().code], [250, 354], "RCPT, DATA")
        client.send_pieces(content + b".\r\n", size)
        equal(client.reply().code, 250, "final dot")
        client.quit()
    equal(stored_content(world, identifier), content.replace(b"\r\n..", b"\r\n.").replace(b"\r\n", b"\n"), "stored")
