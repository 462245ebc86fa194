# SPDX-License-Identifier: GPL-3.0-or-later
"""Which partner a message concerns: the sender's domain however it is written, and the client's network."""

import random

from cases.policy import TLS_FIRST, greet, judged, verdict
from harness.backend import Backend
from harness.case import Skip, case, check, contains, each, equal
from harness.configured import Layout
from harness.pki import NAME
from harness.process import free_port, has_ipv6
from harness.smtp import Client, mail

PARTNER = (  # the domain is contoso.example for whoever reads it as RFC 5321 says, so it wants TLS
    "FROM:<a@contoso.example>", "from:<a@CONTOSO.Example> SIZE=10", "FROM:<A@contoso.example> BODY=8BITMIME",
    'FROM:<"a b"@contoso.example>', 'FROM:<"a@evil.example"@contoso.example>', r'FROM:<"a\"@evil.example"@contoso.example>',
    r'FROM:<"a\\"@contoso.example>', 'FROM:<"<b@evil.example>"@contoso.example>', 'FROM:<""@contoso.example>',
    "FROM:<@relay.example:a@contoso.example>", "FROM:<@relay.example,@b.example:a@contoso.example>",
    "FROM:<a%evil.example@contoso.example>", "FROM:<a!b@contoso.example>", "FROM:<a+b=c@contoso.example>",
    "FROM: <a@contoso.example>", "FROM:  <a@contoso.example>", "FROM:a@contoso.example", "FROM: a@contoso.example",
    "FROM:<a@contoso.example.>",
    # within the local part: the mail server may take the outer domain for one of its own
    'FROM:<"@contoso.example"@evil.example>', 'FROM:<"a@contoso.example"@evil.example>', "FROM:<a%contoso.example@evil.example>",
    "FROM:<contoso.example!a@evil.example>", "FROM:<a%contoso.example@localhost>", 'FROM:<"a@contoso.example"@[127.0.0.1]>',
    "FROM:<a%contoso.example%localhost@own.example>", "FROM:<localhost!contoso.example!a@own.example>",
    # ".fabrikam.example": its subdomains, not itself
    "FROM:<a@mail.fabrikam.example>", "FROM:<a@x.y.fabrikam.example>", "FROM:<a@X.FABRIKAM.EXAMPLE>",
    # "bücher.example" in the file
    "FROM:<a@xn--bcher-kva.example>", "FROM:<a@XN--BCHER-KVA.example>", "FROM:<a@bücher.example> SMTPUTF8",
    "FROM:<ä@BÜCHER.example> SMTPUTF8", "FROM:<a@bu\u0308cher.example> SMTPUTF8", "FROM:<a@bücher\u3002example> SMTPUTF8",
    # what UTS 46 maps to the same domain
    "FROM:<a@\uff43ontoso.example> SMTPUTF8", "FROM:<a@contoso\u3002example> SMTPUTF8", "FROM:<a@con\u00adtoso.example> SMTPUTF8",
    "FROM:<a@\u212aontor.example> SMTPUTF8", "FROM:<ä@contoso.example> SMTPUTF8",
)
STRANGER = (  # another domain, or none
    "FROM:<>", "FROM:<> SIZE=1", "FROM:<postmaster>", "FROM:<a@[127.0.0.1]>", "FROM:<a@evil.example>",
    "FROM:<@contoso.example:a@evil.example>", "FROM:<a@contoso.example.evil.example>", "FROM:<a%evil.example@localhost>",
    "FROM:<contoso.example%a@evil.example>", "FROM:<a!contoso.example@evil.example>", "FROM:<bounce=contoso.example@evil.example>",
    "FROM:<100%@evil.example>", "FROM:a@evil.example SIZE=1 BODY=8BITMIME",
    "FROM:<a@xcontoso.example>", "FROM:<a@sub.contoso.example>", "FROM:<a@fabrikam.example>", "FROM:<a@xfabrikam.example>",
    "FROM:<a@bucher.example>", "FROM:<a@bücher.test> SMTPUTF8",
)
MALFORMED = (  # two readers might disagree
    "FROM:<a@b@contoso.example>", "FROM:<a@contoso.example@evil.example>", "FROM:<a@contoso.example", "FROM:a@contoso.example>",
    'FROM:<"a@contoso.example>', 'FROM:<"a"b"@contoso.example>', "FROM:<a@evil.example>@contoso.example",
    "FROM:<a@contoso.example>x", "FROM:<a@contoso.example><b@evil.example>", "FROM:<a@contoso..example>", "FROM:<a@.contoso.example>",
    "FROM:<a(b)@contoso.example>", "FROM:<a@contoso.example(b)>", "FROM:<a @contoso.example>", "FROM:<a@ contoso.example>",
    "FROM:<@contoso.example>", "FROM:<a@>", "FROM:<a@contoso.example\\>", "FROM:<a@contoso_\x01.example>", "FROM:<<a@contoso.example>>",
    "FROM:x X=<a@contoso.example>", "FROM:a@evil.example X=<a@contoso.example>", "FROM:a@contoso. example",
    'FROM:<"a@contoso.example>"@evil.example>', 'FROM:<"a@contoso .example"@evil.example>', "FROM:<100%@own.example>",
    'FROM:<"a@ contoso.example"@localhost>', 'FROM:<"a@(b)contoso.example"@own.example>', 'FROM:<"a@ evil.example"@[127.0.0.1]>',
    "FROM:<" + "a!" * 17 + "a@evil.example>",
    "FROM:<@relay.example a@contoso.example>", "FROM:<a@-\u202econtoso.example> SMTPUTF8", "FROM:<a@conto\x7fso.example>",
)


def sender_layout(world, port):
    layout = Layout(world, port, own_domains=["own.example"])
    layout.route("mx", tls="may").route("open", tls="may", partners=False)
    layout.partner("contoso", sender_domains=["contoso.example"], tls="encrypt")
    layout.partner("fabrikam", sender_domains=[".fabrikam.example"], tls="encrypt")
    layout.partner("bücher", sender_domains=["bücher.example", "kontor.example"], tls="encrypt")
    return layout


def batches(arguments, size=8):
    """A session has a budget of refused commands."""
    return [arguments[begin:begin + size] for begin in range(0, len(arguments), size)]


@each("whole", "octet by octet")
def sender_addresses(world, how):
    """Against a backend that takes everything: what is refused was refused by ringpost."""
    with Backend() as backend, world.configured(sender_layout(world, backend.port)) as proxy:
        wrong = []
        for wanted, arguments in ((TLS_FIRST, PARTNER), ("250 ", STRANGER), ("501 5.1.7 ", MALFORMED)):
            for some in batches(arguments):
                with Client(proxy.at("mx")) as client:
                    client.open()
                    for argument in some:
                        octets = b"MAIL " + argument.encode() + b"\r\n"
                        client.send_pieces(octets, 1 if how == "octet by octet" else len(octets))
                        reply = client.reply().lines[0]
                        if not reply.startswith(wanted):
                            wrong.append(f"{argument!a}: {reply!r}, wanted {wanted!r}")
                        client.expect("RSET", 250)
                    client.quit()
        check(not wrong, "senders read otherwise:\n    " + "\n    ".join(wrong))
        reached = [line for line in backend.raw.split(b"\r\n") if line.upper().startswith(b"MAIL")]
        equal(reached, [b"MAIL " + argument.encode() for argument in STRANGER], "MAIL commands at the backend")


@case
def every_sender_passes_inside_tls(world):
    """The same senders once the partner's policy is met, octet for octet."""
    with Backend() as backend, world.configured(sender_layout(world, backend.port)) as proxy:
        with greet(world, proxy.at("mx"), "no certificate") as client:
            for argument in PARTNER + STRANGER:
                client.send(b"MAIL " + argument.encode() + b"\r\n")
                equal(client.reply().code, 250, f"reply for {argument!a}")
                client.expect("RSET", 250)
            client.quit()
        reached = [line for line in backend.raw.split(b"\r\n") if line.upper().startswith(b"MAIL")]
        equal(reached, [b"MAIL " + argument.encode() for argument in PARTNER + STRANGER], "MAIL commands at the backend")


@case
def where_partners_do_not_count(world):
    with Backend() as backend, world.configured(sender_layout(world, backend.port)) as proxy:
        with Client(proxy.at("open")) as client:
            client.open()
            for argument in PARTNER:
                client.send(b"MAIL " + argument.encode() + b"\r\n")
                equal(client.reply().code, 250, f"reply for {argument}")
                client.expect("RSET", 250)
            client.quit()


@case
def invalid_utf8_in_a_sender(world):  # PROTOCOL 21
    with Backend() as backend, world.configured(sender_layout(world, backend.port)) as proxy:
        with Client(proxy.at("mx")) as client:
            client.open()
            for octets in (b"a@contoso\xff.example", b"a@\xc0\xafcontoso.example", b"\xed\xa0\x80@contoso.example",
                           b"a@contoso.example\x00", b"a\x00@contoso.example"):
                client.send(b"MAIL FROM:<" + octets + b"> SMTPUTF8\r\n")
                equal(client.reply().code, 501, f"reply for {octets!r}")
            client.quit()
        check(b"MAIL" not in backend.raw, f"nothing at the backend: {backend.raw!r}")


# --- the same senders as Postfix reads them ---------------------------------------------------------------

READ_BY_POSTFIX = b"Sender address rejected"
PIECES = ("", "", "a", "@", "contoso.example", "evil.example", '"', "\\", "<", ">", " ", "\t", ":", ",", ".", "(", ")", ";", "%", "!",
          "[", "]", "\\@", '\\"', "@evil.example:", "@contoso.example:", "@contoso.example>", '"@evil.example', "\x0b", "\x7f", "é", "。")


def mutated(draw, argument):
    """One or two places of a sender replaced by something else, or by nothing."""
    for _ in range(draw.randint(1, 2)):
        begin = draw.randint(5, len(argument))
        argument = argument[:begin] + draw.choice(PIECES) + argument[begin + draw.choice((0, 0, 1, 2)):]
    return b"MAIL " + argument.encode()


def postfix_layout(world):
    layout = Layout(world, world.mx.reads_senders_port).route("mx", tls="may")
    return layout.partner("contoso", sender_domains=["contoso.example"], tls="encrypt")


def replies_of_postfix(proxy, commands):
    """[(command, reply)], in clear, as many sessions as it takes."""
    for some in batches(commands):
        with Client(proxy.at("mx")) as client:
            client.open()
            for octets in some:
                client.send(octets + b"\r\n")
                reply = client.reply()
                yield octets, reply
                client.expect("RSET", 250)
            client.quit()


@case
def postfix_reads_the_partner_as_well(world):  # or the case below shows nothing
    with world.configured(postfix_layout(world)) as proxy:
        with greet(world, proxy.at("mx"), "no certificate") as client:
            contains(client.command("MAIL FROM:<a@contoso.example>").raw, READ_BY_POSTFIX, "Postfix's reply inside TLS")
            client.expect("MAIL FROM:<a@evil.example>", 250)
            client.quit()


@each(*range(4))
def no_spelling_escapes(world, seed):
    """Whatever Postfix takes for the partner's domain, ringpost has taken for it before: in clear none of these
    may get as far as Postfix's own refusal."""
    draw = random.Random(seed)
    handmade = [b"MAIL FROM:\t<a@contoso.example>", b"MAIL\tFROM:<a@contoso.example>", b"MAIL  FROM:<a@contoso.example>",
                b" MAIL FROM:<a@contoso.example>", b"MAIL FROM :<a@contoso.example>", b"MAIL FROM <a@contoso.example>",
                b"MAIL FROM: a@contoso.example SIZE=1", b"SEND FROM:<a@contoso.example>", b"SAML FROM:<a@contoso.example>",
                b"MAIL FROM:<a@contoso.example.>", b"MAIL FROM:<a@contoso.example> <b@evil.example>", b"MAIL FROM:x <a@contoso.example>",
                b'MAIL FROM:"x" <a@contoso.example>', b"MAIL FROM:(x) <a@contoso.example>", b"MAIL FROM:<a@evil.example,b@contoso.example>",
                b"MAIL FROM:<a@contoso.example;>", b"MAIL FROM:<g:a@contoso.example;>", b"MAIL FROM:<a@contoso.example/>"]
    drawn = [mutated(draw, argument) for argument in draw.choices(PARTNER + STRANGER, k=600)]
    escaped, accepted = [], 0
    with world.configured(postfix_layout(world)) as proxy:
        for octets, reply in replies_of_postfix(proxy, handmade + drawn):
            accepted += reply.code == 250
            if READ_BY_POSTFIX in reply.raw:
                escaped.append((octets, reply))
    check(not escaped, "taken for the partner by Postfix only:\n    " + "\n    ".join(map(str, escaped[:10])))
    check(accepted > 20, f"some are good senders: {accepted}")


# --- networks ---------------------------------------------------------------------------------------------

def network_layout(world):
    layout = Layout(world, world.sink.port)
    layout.tls.update(client_ca=world.pki.ca_a)
    layout.route("mx", tls="may")
    layout.partner("by network", networks=["127.0.0.2"], tls="encrypt")
    layout.partner("both", sender_domains=["both.example"], networks=["127.0.0.3", "127.0.0.8/29"], tls="encrypt")
    layout.partner("fixed", sender_domains=["fixed.example"], networks=["127.0.0.3"], tls="encrypt", restrict_to_networks=True)
    layout.partner("certified", sender_domains=["certified.example"], networks=["127.0.0.3"], tls="encrypt",
                   certificate_names=[NAME], restrict_to_certificate=True)
    layout.partner("anywhere", sender_domains=["anywhere.example"], tls="verify", certificate_names=[NAME],
                   restrict_to_certificate=True)
    layout.partner("wide", networks=["127.0.0.16/28"], tls="encrypt")
    layout.partner("narrow", networks=["127.0.0.18"], tls="encrypt", mode="report")
    layout.partner("bank", sender_domains=[".bank.example"], tls="verify", certificate_names=[NAME])
    layout.partner("news", sender_domains=["news.bank.example"], networks=["127.0.0.3"], tls="encrypt")
    layout.partner("watched", sender_domains=["watched.example"], networks=["127.0.0.3"], tls="encrypt",
                   restrict_to_networks=True, mode="report")
    return layout


NETWORK = "550 5.7.0 Mail from this domain is not accepted from your network"
NETWORKS = (
    # (sender's domain, client's address, presented, reply or "250", [(partner, asked, mode, fault)])
    ("x.example", "127.0.0.2", "no TLS", TLS_FIRST, [("by network", "encrypt", "enforce", "no-tls")]),
    ("x.example", "127.0.0.2", "no certificate", "250", []),
    ("x.example", "127.0.0.4", "no TLS", "250", []),
    ("both.example", "127.0.0.3", "no TLS", TLS_FIRST, [("both", "encrypt", "enforce", "no-tls")]),
    ("both.example", "127.0.0.15", "no TLS", TLS_FIRST, [("both", "encrypt", "enforce", "no-tls")]),
    ("both.example", "127.0.0.8", "no certificate", "250", []),
    ("both.example", "127.0.0.7", "no TLS", "250", []),  # its domain from elsewhere, nothing restricted
    ("x.example", "127.0.0.3", "no TLS", "250", []),     # its network with another domain
    ("both.example", "127.0.0.2", "no TLS", TLS_FIRST, [("by network", "encrypt", "enforce", "no-tls")]),
    ("fixed.example", "127.0.0.3", "no certificate", "250", []),
    ("fixed.example", "127.0.0.3", "no TLS", TLS_FIRST, [("fixed", "encrypt", "enforce", "no-tls")]),
    ("fixed.example", "127.0.0.4", "right", NETWORK, [("fixed", None, "enforce", "wrong-network")]),
    ("certified.example", "127.0.0.3", "right", "250", []),
    ("certified.example", "127.0.0.4", "right", "250", []),
    ("certified.example", "127.0.0.4", "no TLS", TLS_FIRST, [("certified", "verify", "enforce", "no-tls")]),
    ("certified.example", "127.0.0.4", "no certificate", "certificate", [("certified", "verify", "enforce", "no-certificate")]),
    ("certified.example", "127.0.0.3", "wrong name", "certificate", [("certified", "verify", "enforce", "wrong-name")]),
    ("anywhere.example", "127.0.0.4", "untrusted", "certificate", [("anywhere", "verify", "enforce", "untrusted")]),
    ("anywhere.example", "127.0.0.5", "right", "250", []),
    ("x.example", "127.0.0.17", "no TLS", TLS_FIRST, [("wide", "encrypt", "enforce", "no-tls")]),
    ("x.example", "127.0.0.31", "no TLS", TLS_FIRST, [("wide", "encrypt", "enforce", "no-tls")]),
    ("x.example", "127.0.0.32", "no TLS", "250", []),
    ("x.example", "127.0.0.18", "no TLS", "250", [("narrow", "encrypt", "report", "no-tls")]),  # the longest prefix
    ("watched.example", "127.0.0.4", "no certificate", "250", [("watched", None, "report", "wrong-network")]),
    ("news.bank.example", "127.0.0.3", "no TLS", TLS_FIRST, [("news", "encrypt", "enforce", "no-tls")]),
    ("news.bank.example", "127.0.0.3", "no certificate", "250", []),
    # The narrower partner has nothing to do with this client, so the wider one holds.
    ("news.bank.example", "127.0.0.4", "no TLS", TLS_FIRST, [("bank", "verify", "enforce", "no-tls")]),
    ("news.bank.example", "127.0.0.4", "no certificate", "certificate", [("bank", "verify", "enforce", "no-certificate")]),
    ("news.bank.example", "127.0.0.4", "right", "250", []),
    ("", "127.0.0.2", "no TLS", TLS_FIRST, [("by network", "encrypt", "enforce", "no-tls")]),  # <>
)


@each(*((f"{domain or '<>'} from {address}, {presented}", domain, address, presented, wanted, lines)
        for domain, address, presented, wanted, lines in NETWORKS), named=True)
def networks(world, variant):
    what, domain, address, presented, wanted, lines = variant
    proxy = world.shared("networks", lambda: network_layout(world))
    reply, local = verdict(world, proxy.at("mx"), presented, f"a@{domain}" if domain else "", source=address)
    faults = [{"partner": partner, "mode": mode, "fault": fault, **({"asked": asked} if asked else {})}
              for partner, asked, mode, fault in lines]
    if wanted == "certificate" or wanted == "250" or wanted == TLS_FIRST:
        judged(proxy, reply, local, faults, what)
    else:
        equal(reply, wanted, f"reply to MAIL, {what}")
        proxy.record(local)
        found = proxy.accusations(local)
        equal([(line.get("partner"), line["mode"], line["fault"]) for line in found],
              [(fault["partner"], fault["mode"], fault["fault"]) for fault in faults], f"the log, {what}")


@case
def a_network_of_ipv6(world):
    if not has_ipv6():
        raise Skip("no IPv6 on loopback")
    port = free_port()
    layout = Layout(world, world.sink.port).route("mx", tls="may")
    layout.routes["mx"]["listen"] = [f"[::1]:{port}", f"127.0.0.1:{layout.ports['mx']}"]
    layout.partner("six", networks=["::1/128"], tls="encrypt")
    with world.configured(layout) as proxy:
        equal(verdict(world, ("::1", port), "no TLS")[0], TLS_FIRST, "from ::1 in clear")
        check(verdict(world, ("::1", port), "no certificate")[0].startswith("250 "), "from ::1 in TLS")
        check(verdict(world, proxy.at("mx"), "no TLS")[0].startswith("250 "), "from 127.0.0.1 in clear")


@case
def ten_thousand_partners(world):
    layout = Layout(world, world.sink.port).route("mx", tls="may")
    for number in range(10_000):
        layout.partner(f"partner {number}", sender_domains=[f"p{number}.example", f".p{number}.example"], tls="encrypt")
    with world.configured(layout) as proxy:
        identifier, content = mail()
        with Client(proxy.at("mx")) as client:
            client.open()
            for domain in ("p0.example", "p9999.example", "x.p5000.example"):
                equal(client.command(f"MAIL FROM:<a@{domain}>").lines[0], TLS_FIRST, f"reply for {domain}")
            equal(client.message(content, sender="a@p10000.example").code, 250, "a stranger's message")
            client.quit()
        world.sink.message(identifier.encode())
