# SPDX-License-Identifier: GPL-3.0-or-later
"""What our own mail server's queue says of each fault of a partner: the very words that ringpost has replied to MAIL. One
Postfix and one Exim have a route to each of the faulty partners; nothing bounces."""

import contextlib
import re
import smtplib
import ssl

from cases.egress import V12
from cases.egress_mta import SENDERS
from harness.backend import CLOSE
from harness.case import Failure, check, each, equal, eventually
from harness.configured import Layout
from harness.names import NameServer
from harness.partner import GARBAGE, Partner
from harness.process import free_port
from harness.server_pki import HOST
from harness.smtp import Client, mail

OLD = {"lowest": ssl.TLSVersion.TLSv1, "highest": ssl.TLSVersion.TLSv1}
INJECTED = b"250-mx.partner.example\r\n250 AUTH PLAIN\r\n"
NOWHERE, NO_NAME = "nowhere", "no name"

# What is wrong → (the partner's identity and context, its script, the beginning of the reply, words of it). As in
# docs/CONFIGURATION.md.
FAULTS = {
    "no-starttls": (None, {}, "450 4.7.4", "STARTTLS"),
    "454": (("right", {}), {"starttls": b"454 4.7.0 TLS not available due to temporary reason\r\n"}, "450 4.7.4", "STARTTLS"),
    "garbage": (("right", {}), {"handshake": GARBAGE}, "450 4.7.5", "TLS"),
    "close": (("right", {}), {"handshake": CLOSE}, "450 4.7.5", "TLS"),
    "injection": (("right", {}), {"behind": INJECTED}, "450 4.7.5", "behind"),
    "tls10": (("right", OLD), {}, "450 4.7.5", "TLS"),
    "wants-certificate": (("right", {"demand": True, "highest": V12}), {}, "450 4.7.5", "TLS"),
    "wants-certificate-13": (("right", {"demand": True}), {}, "450 4.7.5", "TLS"),
    "expired": (("expired", {}), {}, "450 4.7.5", "expired"),
    "not-yet-valid": (("not yet valid", {}), {}, "450 4.7.5", "not yet valid"),
    "self-signed": (("self-signed", {}), {}, "450 4.7.5", "self-signed"),
    "unknown-ca": (("unknown CA", {}), {}, "450 4.7.5", "trusted"),
    "missing-intermediate": (("missing intermediate", {}), {}, "450 4.7.5", "trusted"),
    "wrong-name": (("wrong name", {}), {}, "450 4.7.5", "name"),
    "wildcard-of-too-much": (("wildcard of too much", {}), {}, "450 4.7.5", "name"),
    "common-name-only": (("common name only", {}), {}, "450 4.7.5", "name"),
    "address-only": (("address", {}), {}, "450 4.7.5", "name"),
    "revoked": (("revoked", {}), {}, "450 4.7.5", "revoked"),
    "unreachable": (NOWHERE, {}, "451 4.4.1", "cannot be reached"),
    "closes-at-once": (("right", {}), {"greeting": CLOSE}, "451 4.4.2", "clos"),
    "no-such-name": (NO_NAME, {}, "451 4.4.3", "address"),
    "refuses-to-talk": (("right", {}), {"greeting": b"554 5.3.2 no SMTP service here\r\n"}, "451 4.3.2", "554"),
    "no-smtp": (("right", {}), {"greeting": b"SSH-2.0-OpenSSH_9.2\r\n"}, "451 4.5.0", "reply"),
}


def domain(fault):
    return f"{fault}.example"


@contextlib.contextmanager
def faulty_partners(world):
    """A ringpost with a route for each of FAULTS, at loopback addresses of their own: Exim tells routes apart by them."""
    pki = world.server_pki
    with contextlib.ExitStack() as stack:
        names = stack.enter_context(NameServer({HOST: ["127.0.0.1"]}))
        layout = Layout(world, None, resolver=[names.address])
        for number, (fault, (server, script, _, _)) in enumerate(FAULTS.items(), 2):
            host, port = HOST, free_port()
            if server == NO_NAME:
                host = "mx.gone.example"
            elif server != NOWHERE:
                tls = None
                if server:
                    identity, settings = server
                    tls = pki.server_context(identity, client_ca=pki.ca_a if settings.get("demand") else None, **settings)
                port = stack.enter_context(Partner(tls, **script)).port
            listen = [f"127.0.0.{number}:{free_port()}"]
            layout.egress(fault, f"{host}:{port}", listen=listen, tls="verify", ca=pki.ca_a, crl=pki.crl, revocation="soft")
        yield stack.enter_context(world.configured(layout))


def listener(proxy, fault):
    address, _, port = proxy.layout.egresses[fault]["listen"][0].partition(":")
    return address, int(port)


def reply_to_mail(proxy, fault):
    with Client(listener(proxy, fault)) as client:
        client.open(helo="sender.example.test")
        text = client.command("MAIL FROM:<alice@client.example.test>").lines[0]
        client.quit()
        return text


def submit(server, faults):
    """A message to bob at each of the faulty partners."""
    for fault in faults:
        with smtplib.SMTP("127.0.0.1", server.port, "client.example.test", timeout=20) as client:
            client.sendmail("alice@client.example.test", [f"bob@{domain(fault)}"], mail()[1])


@each("Postfix", "Exim")
def the_queue_has_the_words(world, sends):
    with faulty_partners(world) as proxy:
        replies = {fault: reply_to_mail(proxy, fault) for fault in FAULTS}
        wrong = [f"{fault}: {replies[fault]}" for fault, (_, _, code, words) in FAULTS.items()
                 if not re.match(rf"{re.escape(code)} mx\.\S+ .*{words}", replies[fault])]
        equal(wrong, [], "replies to MAIL that are not as described")
        sender = world.keep(SENDERS[sends](world, f"sender-{sends.lower()}-queue",
                                           {domain(fault): listener(proxy, fault) for fault in FAULTS}))
        sender.wait()
        submit(sender, FAULTS)

        def missing():
            """Exim also says that it does not try again yet: one of its lines must have the words."""
            queued = sender.queued()
            return [fault for fault in FAULTS
                    if not any(name == f"bob@{domain(fault)}" and replies[fault] in reason for name, reason in queued)]
        try:
            eventually(lambda: not missing(), f"a reason for each message in {sends}'s queue")
        except Failure:
            raise Failure(f"{sends}'s queue has not ringpost's words for {missing()}: {sender.queued()}") from None
        check("bounced" not in sender.log and " ** " not in sender.log, "nothing has bounced")
        sender.stop()
