# SPDX-License-Identifier: GPL-3.0-or-later
"""What mail servers say beyond RFC 5321's limits, and what of it reaches the client (PROTOCOL 10)."""

import shlex

from harness.backend import Backend
from harness.case import case, check, contains, each, equal
from harness.smtp import Client, mail

ENVELOPE = ("MAIL FROM:<alice@client.example.test>", "RCPT TO:<bob@example.test>")


def line(head, octets):
    return head + b"x" * (octets - len(head) - 2) + b"\r\n"


@each("clear", "tls")
def long_replies_pass(world, variant):
    stored = line(b"250 2.0.0 Ok: queued as ", 570)
    unknown = line(b"550 5.1.1 <", 900)
    verified = line(b"252-2.0.0 ", 4096) * 15 + line(b"252 2.0.0 ", 4096)  # 64 KiB
    challenge = b"334 " + b"Q" * 12288 + b"\r\n"
    replies = {".": stored, "RCPT": [unknown, b"250 2.1.5 Ok\r\n"], "VRFY": verified,
               "AUTH": [challenge, b"235 2.7.0 welcome\r\n"]}
    with Backend(replies) as backend, world.private(backend.port, auth="as_backend") as proxy:
        with Client(proxy.address) as client:
            client.open(world.tls if variant == "tls" else None)
            equal(client.command("AUTH GSSAPI").raw, challenge, "a challenge")
            client.expect("UQ==", 235)
            client.expect(ENVELOPE[0], 250)
            equal(client.command(ENVELOPE[1]).raw, unknown, "the refusal of a recipient")
            client.expect(ENVELOPE[1], 250)
            equal(client.command("VRFY a").raw, verified, "64 KiB")
            client.expect("DATA", 354)
            client.send(mail()[1] + b".\r\n")
            equal(client.reply().raw, stored, "the reply to the final dot")
            client.quit()
        record = proxy.record(client.local)
        equal((record["reason"], record["messages"]), ("quit", 1), "the session's line")


@each("clear", "tls")
def texts_are_cut_and_never_codes(world, variant):
    replies = {".": line(b"250 2.0.0 Ok ", 30000), "RCPT": [line(b"550 5.1.1 ", 9000), b"250 2.1.5 Ok\r\n"],
               "VRFY": line(b"252-", 1000) * 100 + b"252 end\r\n", "greeting": line(b"220 scripted ", 5000)}
    with Backend(replies) as backend, world.private(backend.port) as proxy:
        with Client(proxy.address) as client:
            if variant == "tls":
                client.open(world.tls)
            else:
                equal(client.reply().raw, line(b"220 scripted ", 4096), "the greeting")
                client.expect("EHLO a.example.test", 250)
            client.expect(ENVELOPE[0], 250)
            equal(client.command(ENVELOPE[1]).raw, line(b"550 5.1.1 ", 4096), "the refusal of a recipient")
            client.expect(ENVELOPE[1], 250)
            equal(client.command("VRFY a").raw, line(b"252-", 1000) * 65 + b"252 end\r\n", "100 KB")
            client.expect("DATA", 354)
            client.send(mail()[1] + b".\r\n")
            equal(client.reply().raw, line(b"250 2.0.0 Ok ", 4096), "the reply to the final dot")
            client.quit()


# What is stored must not be sent again: the sender hears 2xx, and then that the session ends.
@each(("only LF", b"250 2.0.0 Ok: 1\n", b"250 2.0.0 Ok: 1\r\n", "bare CR or LF in a reply: 250 2.0.0 Ok: 1"),
      ("NUL", b"250 2.0.0 Ok\0\r\n", b"250 2.0.0 Ok\r\n", "NUL in a reply: 250 2.0.0 Ok?"),
      ("changing code", b"250-2.0.0 Ok\r\n550 b\r\n", b"250 2.0.0 Ok\r\n", "another code within a reply: 550 b"),
      ("torn text", b"250-2.0.0 Ok\r\nqueued\r\n", b"250 2.0.0 Ok\r\n", "no reply code: queued"),
      ("text behind it", b"250 2.0.0 Ok\r\n: queued\r\n", b"250 2.0.0 Ok\r\n", "no reply code: : queued"), named=True)
def what_is_stored_is_not_sent_again(world, variant):
    _, said, heard, detail = variant
    with Backend({".": said}) as backend, world.private(backend.port, log_format="json") as proxy:
        with Client(proxy.address) as client:
            client.open(world.tls)
            client.envelope()
            client.expect("DATA", 354)
            client.send(mail()[1] + b".\r\n")
            answer = client.rest()
            check(answer.startswith(heard + b"421 4.3.0 ") and answer.count(b"\r\n") == 2, f"the answer: {answer!r}")
        record = proxy.record(client.local)
        equal((record["reason"], record["detail"], record["messages"]), ("backend_protocol", detail, 1), "the log")
        equal(len(backend.messages), 1, "stored messages")


@case
def postfix_refuses_a_long_recipient(world):
    """Postfix's own reply, longer than 512 octets, is the client's, and the session goes on."""
    recipient = "x" * 600 + "@example.test"
    heard = []
    for address in (("127.0.0.1", world.mx.plain_port), world.proxy().address):
        with Client(address) as client:
            client.open()
            client.expect("MAIL FROM:<alice@client.example.test>", 250)
            heard.append(client.command(f"RCPT TO:<{recipient}>").raw)
            client.expect("RCPT TO:<bob@example.test>", 250)
            client.quit()
    equal(heard[1], heard[0], "the reply through ringpost")
    check(len(heard[0]) > 512 and heard[0].startswith(b"5"), f"a long refusal: {heard[0]!r}")


@each("EHLO my printer", "EHLO Anna's-PC", "HELO (none)", "EHLO m\xfcller", "EHLO m\u0171hely", "EHLO [fe80::1%eth0]",
      "EHLO", "EHLO  two.blanks.example", "HELO a;b")
def hello_names_are_the_servers_to_judge(world, name):  # PROTOCOL 14
    octets = name.encode("latin-1" if "\xfc" in name else "utf-8")
    heard = []
    for address in (("127.0.0.1", world.mx.plain_port), world.proxy().address):
        with Client(address) as client:
            client.greeting()
            reply = client.command(octets)
            heard.append((reply.code, reply.raw.split(b"\r\n")[0][4:]))
            heard.append(client.command("MAIL FROM:<alice@client.example.test>").code)
            client.command("QUIT")
    equal(heard[2:], heard[:2], "what Postfix says through ringpost")
    # Postfix wants UTF-8; it is not for ringpost to say.
    equal(heard[0][0], {"EHLO": 501, "EHLO m\xfcller": 500}.get(name, 250), "what Postfix thinks of it")


@case
def a_hello_name_forges_nothing(world):
    name = b'x reason=quit accepted=9 detail="stored" (using TLSv1.3)\xc3\xa9<>;'
    identifier, content = mail()
    with Backend() as backend, world.private(backend.port, log_format="text") as proxy:
        with Client(proxy.address) as client:
            client.greeting()
            client.expect(b"EHLO " + name, 250)
            equal(client.message(content).code, 250, "the reply to the final dot")
            client.quit()
        proxy.process.wait_for(" upstream=")
        session = next(line for line in proxy.process.log.splitlines() if " info session " in line)
        values = dict(word.split("=", 1) for word in shlex.split(session) if "=" in word)
        equal((values["reason"], values["accepted"]), ("quit", "2.0.0 Ok: stored"), "what the name says of them")
        check(values["helo"].startswith("x reason=quit accepted=9 detail="), f"the name: {values}")
        contains(backend.raw, b"EHLO " + name + b"\r\n", "what the backend gets")
        contains(backend.raw, identifier.encode(), "the message")


@case
def dots_behind_a_lone_lf_are_postfixs_to_take(world):
    """What is stored is what Postfix stores without ringpost (CONFIGURATION, line endings)."""
    body = b"a\n..b\n.c\r\n..d\r\nend\r\n"
    stored = []
    for address in (("127.0.0.1", world.mx.plain_port), world.proxy().address):
        identifier, content = mail(body)
        with Client(address) as client:
            client.open()
            client.envelope()
            client.expect("DATA", 354)
            client.send(content + b".\r\n")
            client.expect(None, 250)
            client.quit()
        text = world.mx.stored(identifier)
        stored.append(text[text.index(b"\na\n"):])
    equal(stored[1], stored[0], "what is stored through ringpost")
    contains(stored[0], b"\na\n.b\nc\n.d\nend\n", "the lines")
