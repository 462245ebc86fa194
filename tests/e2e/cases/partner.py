# SPDX-License-Identifier: GPL-3.0-or-later
"""The scripted partner's server itself, with Python's own client: each of its defects is one."""

import itertools
import smtplib
import ssl

from harness.backend import CLOSE, SILENT
from harness.case import Failure, case, check, contains, each, equal
from harness.partner import CLEAR_SIZE, GARBAGE, TLS_SIZE, Partner
from harness.server_pki import HOST
from harness.smtp import Client, context, mail


def client_context(world, **options):
    return context(world.server_pki.ca_a, **options)


def connect(partner):
    client = smtplib.SMTP(timeout=10, local_hostname="client.example.test")
    client._host = HOST  # the name that starttls() verifies
    client.connect("127.0.0.1", partner.port)
    return client


def deliver(client, content):
    client.sendmail("alice@client.example.test", ["bob@partner.example"], content)
    client.quit()


@each("right", "rsa", "intermediate", "wildcard", "upper case", "any purpose")
def a_sound_one(world, identity):
    with Partner(world.server_pki.server_context(identity)) as partner:
        _, content = mail(b"..\r\n.\r\n...dots\r\n")
        client = connect(partner)
        client.ehlo()
        equal(client.esmtp_features.get("size"), CLEAR_SIZE[5:], "SIZE in clear")
        client.starttls(context=client_context(world))
        client.ehlo()
        equal(client.esmtp_features.get("size"), TLS_SIZE[5:], "SIZE in TLS")
        deliver(client, content)
        partner.all_ended()
        session, = partner.sessions
        equal([(message[0], message[3]) for message in session.messages], [(True, content)], "messages")
        equal(session.commands[:3], [(False, b"ehlo client.example.test"), (False, b"STARTTLS"), (True, b"ehlo client.example.test")],
              "the first commands")
        equal(session.version, "TLSv1.3", "version of TLS")
        check(b"MAIL" not in session.clear.upper() and b"MAIL FROM:" in session.inside.upper(), "MAIL is kept where it came")


@case
def in_clear(world):
    with Partner(world.server_pki.server_context("right")) as partner:
        _, content = mail()
        deliver(connect(partner), content)
        partner.all_ended()
        session, = partner.sessions
        equal([(message[0], message[3]) for message in session.messages], [(False, content)], "messages")
        check(b"MAIL FROM:" in session.clear.upper() and not session.inside, "MAIL is kept where it came")


@each("wrong name", "expired", "not yet valid", "self-signed", "unknown CA", "unknown CA with its root", "missing intermediate",
      "client purpose", "CA:FALSE", "wildcard of too much", "partial wildcard", "*", "neighbour")
def a_bad_certificate(world, identity):
    """OpenSSL refuses it too."""
    with Partner(world.server_pki.server_context(identity)) as partner, connect(partner) as client:
        try:
            client.starttls(context=client_context(world))
        except ssl.SSLCertVerificationError:
            return
        finally:
            client.close()
        raise Failure("the handshake has succeeded")


@case
def a_revoked_certificate(world):
    pki = world.server_pki
    for identity, revoked in (("right", False), ("revoked", True)):
        tls = client_context(world)
        tls.load_verify_locations(pki.crl)
        tls.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        with Partner(pki.server_context(identity)) as partner:
            client = connect(partner)
            try:
                client.starttls(context=tls)
                check(not revoked, "the handshake has succeeded")
            except ssl.SSLCertVerificationError as error:
                check(revoked and "revoked" in str(error), str(error))
            client.close()


@each("454 4.7.0 TLS not available", "502 5.5.1 not implemented")
def starttls_refused(world, reply):
    with Partner(world.server_pki.server_context("right"), starttls=reply.encode() + b"\r\n") as partner:
        client = connect(partner)
        client.ehlo()
        check(client.has_extn("starttls"), "STARTTLS is offered")
        equal(client.docmd("STARTTLS")[0], int(reply[:3]), "the reply")
        deliver(client, mail()[1])
        equal(len(partner.messages), 1, "messages in the same session")


@case
def starttls_not_offered(world):
    with Partner() as partner:
        client = connect(partner)
        client.ehlo()
        check(not client.has_extn("starttls"), "STARTTLS is not offered")
        equal(client.docmd("STARTTLS")[0], 503, "the reply")
        client.close()


@each(("garbage", GARBAGE), ("close", CLOSE), named=True)
def broken_handshake(world, variant):
    with Partner(world.server_pki.server_context("right"), handshake=variant[1]) as partner, \
            Client(("127.0.0.1", partner.port)) as client:
        client.open()
        client.expect("STARTTLS", 220)
        try:
            client.handshake(client_context(world), HOST)
        except (ssl.SSLError, Failure):
            pass
        else:
            raise Failure("the handshake has succeeded")
        client.drop()
        partner.all_ended()
        equal(partner.sessions[0].hellos, 1, "handshakes that were begun")


@case
def octets_behind_the_220(world):
    with Partner(world.server_pki.server_context("right"), behind=b"250 injected\r\n") as partner, \
            Client(("127.0.0.1", partner.port)) as client:
        client.open()
        client.expect("STARTTLS", 220)
        contains(client.received, b"250 injected\r\n", "what came in the segment of the 220")


@each(("TLSv1", ssl.TLSVersion.TLSv1), ("TLSv1.1", ssl.TLSVersion.TLSv1_1), ("TLSv1.2", ssl.TLSVersion.TLSv1_2), named=True)
def one_version_only(world, variant):
    name, only = variant
    with Partner(world.server_pki.server_context("right", lowest=only, highest=only)) as partner:
        client = connect(partner)
        client.starttls(context=client_context(world, lowest=only, highest=only, ciphers="ALL:@SECLEVEL=0"))
        deliver(client, mail()[1])
        partner.all_ended()
        equal(partner.sessions[0].version, name, "version of TLS")
        if only < ssl.TLSVersion.TLSv1_2:
            client = connect(partner)
            try:
                client.starttls(context=client_context(world))
                raise Failure("a client of today has agreed")
            except ssl.SSLError:
                client.close()


@each(*itertools.product(("asked for", "demanded"), ("shown", "not shown"), ("TLSv1_2", "TLSv1_3")))
def client_certificate(world, variant):
    demand, own, highest = variant[0] == "demanded", variant[1] == "shown", variant[2]
    pki = world.server_pki
    tls = client_context(world, highest=ssl.TLSVersion[highest])
    if own:
        tls.load_cert_chain(pki["our own"].both_path)
    with Partner(pki.server_context("right", client_ca=pki.ca_a, demand=demand)) as partner:
        client = connect(partner)
        try:
            client.starttls(context=tls)
            deliver(client, mail()[1])
            check(own or not demand, "it was accepted without one")
        except (OSError, smtplib.SMTPException) as error:
            check(demand and not own, f"{error}")
        client.close()
        partner.all_ended()
        session, = partner.sessions
        equal(session.certificate is not None, own, "whether it saw one")
        equal(len(session.messages), 0 if demand and not own else 1, "messages")


@each(("closes", CLOSE), ("refuses", b"554 5.3.2 no service\r\n"), ("silent", SILENT), named=True)
def greeting(world, variant):
    with Partner(greeting=variant[1]) as partner, Client(("127.0.0.1", partner.port)) as client:
        client.socket.settimeout(0.1)
        try:
            equal(client.reply().code, 554, "greeting")
            equal(variant[0], "refuses", "what it should have done")
        except Failure as error:
            check({"closes": "ended", "silent": "no answer"}.get(variant[0], "greeting") in str(error), str(error))


@case
def implicit_tls(world):
    with Partner(world.server_pki.server_context("right"), implicit=True) as partner, \
            Client(("127.0.0.1", partner.port), implicit=client_context(world), name=HOST) as client:
        check("STARTTLS" not in client.open().texts, "STARTTLS is not offered in TLS")
        equal(client.message(mail()[1]).code, 250, "the final dot's reply")
        client.quit()
        equal([message[0] for message in partner.messages], [True], "messages in TLS")
