# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that people use, with a certificate of their own, to a route that wants one."""

import smtplib

from cases.clients import OpenSsl, program
from cases.policy import CERTIFICATE_FIRST, PHRASES
from harness.case import check, contains, each, equal, eventually
from harness.configured import Layout
from harness.pki import NAME
from harness.postfix import Sender, split_stored
from harness.process import run
from harness.smtp import mail


def strict(world):
    """A shared ringpost before the real Postfix, for clients that are who they should be."""
    def make():
        layout = Layout(world, world.mx.proxy_port)
        layout.tls.update(client_ca=world.pki.ca_a)
        return layout.route("mx", tls="verify", certificate_names=[NAME])
    return world.shared("real clients", make)


@each(("right", None), ("rsa", None), ("wrong name", "wrong-name"), (None, "no-certificate"))
def swaks(world, variant):
    presented, fault = variant
    identifier, _ = mail()
    own = []
    if presented:
        own = ["--tls-cert", world.pki[presented].cert_path, "--tls-key", world.pki[presented].key_path]
    code, output, errors = run([
        program("swaks"), "--server", "127.0.0.1", "--port", strict(world).at("mx")[1], "--tls", "--tls-sni", "mx.example.test",
        *own, "--from", "alice@client.example.test", "--to", "bob@example.test", "--helo", "client.example.test",
        "--timeout", "20", "--header", f"Message-ID: <{identifier}@swaks>",
        "--data", "From: <alice@client.example.test>\n%NEW_HEADERS%\n\nswaks\n"])
    if fault:
        check(code != 0, f"swaks: {output}{errors}")
        contains(output, CERTIFICATE_FIRST + PHRASES[fault], "swaks")
    else:
        equal(code, 0, f"swaks: {output}{errors}")
        contains(world.mx.stored(identifier), b"swaks", "stored message")


@each(("-tls1_2", "right", None), ("-tls1_3", "right", None), ("-tls1_3", "rsa", None), ("-tls1_2", "rsa", None),
      ("-tls1_3", "intermediate", None), ("-tls1_3", "missing intermediate", "untrusted"),
      ("-tls1_3", "expired", "expired"), ("-tls1_2", "untrusted", "untrusted"))
def openssl_s_client(world, variant):
    version, presented, fault = variant
    identity = world.pki[presented]
    identifier, content = mail()
    client = OpenSsl(world, ["-connect", f"127.0.0.1:{strict(world).at('mx')[1]}", "-starttls", "smtp", version,
                             "-cert", identity.cert_path, "-key", identity.key_path,
                             "-cert_chain", identity.cert_path])
    try:
        client.expect(b"EHLO client.example.test", b"250")
        client.expect(b"MAIL FROM:<alice@client.example.test>", b"550" if fault else b"250")
        if not fault:
            client.expect(b"RCPT TO:<bob@example.test>", b"250")
            client.expect(b"DATA", b"354")
            client.expect(content + b".", b"250")
        client.expect(b"QUIT", b"221")
    finally:
        client.close()
    if not fault:
        world.mx.stored(identifier)


@each(("certificate.test", "intermediate", None), ("stranger.test", None, "no-certificate"))
def postfix_smtp_client(world, variant):
    """Postfix's own client with and without smtp_tls_cert_file."""
    domain, presented, fault = variant
    port = strict(world).at("mx")[1]
    sender = Sender(world.folder / f"sender-{domain}", {domain: ("starttls", port)}, world.certs / "ca.pem",
                    world.pki[presented] if presented else None, f"postfix-{domain}")
    try:
        sender.wait()
        identifier, content = mail()
        content = content.replace(b"bob@example.test", f"bob@{domain}".encode())
        with smtplib.SMTP("127.0.0.1", sender.port, "client.example.test") as direct:
            direct.sendmail("alice@client.example.test", [f"bob@{domain}"], content)
        if fault:
            eventually(lambda: PHRASES[fault] in sender.log, "Postfix's log with the refusal", 40)
            contains(sender.log, "status=bounced", "Postfix's log")
            equal(world.mx.count(identifier.encode()), 0, "stored messages")
        else:
            stored = world.mx.stored(identifier)
            contains(split_stored(stored)[0], b"from sender.example.test (unknown [127.0.0.1])", "Received field")
            contains(sender.log, "Verified TLS connection established", "Postfix's log")
    finally:
        sender.stop()
