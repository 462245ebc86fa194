# SPDX-License-Identifier: GPL-3.0-or-later
"""The partner changes its certificate while mail leaves for it: no delivery fails, where names are checked and where both
certificates are pinned."""

import os
import re
import smtplib
import threading
import time

from cryptography import x509

from cases.egress_mta import PostfixOut, PostfixPartner
from harness.case import case, check, each, equal, eventually
from harness.configured import Layout
from harness.names import NameServer
from harness.process import run
from harness.server_pki import DOMAIN, HOST
from harness.smtp import Client, context, mail

OLD, NEW = "right", "second name"  # of the same CA; each has a key of its own


def pinned(pki):
    """The old one by its certificate, the new one by its key."""
    return [pki[OLD].fingerprint, pki[NEW].public_key]


def outbound(world, names, port):
    """A route for each way of knowing the partner, and one that has forgotten to pin the new certificate."""
    pki, there = world.server_pki, f"{HOST}:{port}"
    layout = Layout(world, None, resolver=[names.address])
    layout.egress("verify", there, tls="verify", ca=pki.ca_a)
    layout.egress("fingerprint", there, tls="fingerprint", fingerprints=pinned(pki))
    layout.egress("old pin", there, tls="fingerprint", fingerprints=pinned(pki)[:1])
    return layout


def with_certificate(layout, identity):
    layout = layout.copy()
    layout.tls["certificates"] = [{"cert": identity.cert_path, "key": identity.key_path}]
    return layout


def presented(port):
    """The serial number of the certificate that this server of SMTP has for newcomers."""
    with Client(("127.0.0.1", port)) as client:
        client.open()
        client.starttls(context(), HOST)
        return x509.load_der_x509_certificate(client.tls.getpeercert(binary_form=True)).serial_number


def reply_to_mail(address):
    with Client(address) as client:
        client.open()
        return client.command("MAIL FROM:<alice@client.example.test>")


@each("verify", "fingerprint")
def at_a_partner_with_ringpost(world, level):
    """By SIGHUP, there and back several times."""
    pki = world.server_pki
    for name in (OLD, NEW):
        pki[name].key_path.chmod(0o600)  # ringpost wants it so
    with world.private_sink() as sink, NameServer({HOST: ["127.0.0.1"]}) as names, \
            world.configured(with_certificate(Layout(world, sink.port, hostname=HOST).route("mx", tls="encrypt"), pki[OLD])) as partner, \
            world.configured(outbound(world, names, partner.at("mx")[1])) as proxy:
        results, total = [], 300
        load = threading.Thread(target=lambda: results.append(run(
            [world.load_path, f"--target=127.0.0.1:{proxy.at(level)[1]}", "--tls=plain", "--rate=200", f"--total={total}",
             "--messages=2", "--size=2048", "--json"], seconds=60)))
        load.start()
        changes = 0
        while load.is_alive() or changes % 2 == 0:  # ends with the new one
            changes += 1
            time.sleep(0.1)
            identity = pki[NEW if changes % 2 else OLD]
            equal(partner.reload(with_certificate(partner.layout, identity))[0], "info", "the reload's level")
            equal(presented(partner.at("mx")[1]), identity.serial, "the certificate after the reload")
        load.join()
        code, output, errors = results[0]
        equal(code, 0, f"exit code of ringpost-load: {output}{errors}")
        check(changes >= 3, f"changes under load: {changes}")
        equal(len(sink.messages()), 2 * total, "messages stored")
        check(all(record["messages"] == 2 and record["tls"] == "TLSv1.3" for record in proxy.records()),
              "two messages in each session, in TLS")
        # The change has been seen: whoever has not pinned the new certificate is not satisfied any more.
        reply = reply_to_mail(proxy.at("old pin"))
        check(re.match(rb"450 4\.7\.\d+ .*fingerprint", reply.raw), f"the reply to MAIL where the old one alone is pinned: {reply}")


class Submitting:
    """Hands messages to our own server until it is told to stop."""

    def __init__(self, server):
        self.server, self.identifiers, self.error = server, [], None
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        try:
            while not self._enough.wait(0.02):
                with smtplib.SMTP("127.0.0.1", self.server.port, "client.example.test", timeout=20) as client:
                    identifier, content = mail()
                    client.sendmail("alice@client.example.test", [f"bob@{DOMAIN}"], content)
                self.identifiers.append(identifier)
        except (OSError, smtplib.SMTPException) as error:
            self.error = error

    def stop(self):
        self._enough.set()
        self._thread.join()
        equal(self.error, None, "submission")


@case
def at_a_partner_with_postfix(world):
    """As a tool for certificates does it: another file of that name. Each smtpd has one client and reads the file anew: where
    Postfix is told to reload under load, it may not take connections for half a minute."""
    pki = world.server_pki
    current = pki.write("rolled.pem", pki[OLD].both_path.read_bytes())

    def install(name):
        after = pki.write("rolled.pem.new", pki[name].both_path.read_bytes())
        os.rename(after, current)
        eventually(lambda: presented(partner.port) == pki[name].serial, f"the partner's Postfix showing {name}")

    class Rolled:
        both_path = current
    partner = world.keep(PostfixPartner(world, "partner-rolls", Rolled, max_use="1"))
    partner.wait()
    with NameServer({HOST: ["127.0.0.1"]}) as names, world.configured(outbound(world, names, partner.port)) as proxy:
        sender = world.keep(PostfixOut(world, "sender-rolls", proxy.at("fingerprint")[1], smtp_connection_cache_on_demand="no"))
        sender.wait()
        submitting = Submitting(sender)
        try:
            for name in (NEW, OLD, NEW):
                before = len(submitting.identifiers)
                eventually(lambda: len(submitting.identifiers) >= before + 10, "ten more messages")
                install(name)
            before = len(submitting.identifiers)
            eventually(lambda: len(submitting.identifiers) >= before + 10, "ten messages with the new certificate")
        finally:
            submitting.stop()
        for identifier in submitting.identifiers:
            partner.arrived(identifier)
        check("status=deferred" not in sender.log and "bounced" not in sender.log, "no message waited")
        sender.stop()
        partner.stop()
