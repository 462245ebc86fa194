# SPDX-License-Identifier: GPL-3.0-or-later
"""Two companies with ringpost each: what leaves by the egress route of one comes to the ingress route of the other.
Here one process has both."""

import re

from harness.case import case, check, contains, equal, eventually
from harness.configured import Layout
from harness.names import NameServer
from harness.postfix import split_stored
from harness.smtp import Client, mail

HOST = "mx.example.test"  # the ingress route's certificate


def layout_of(world, names, backend=None):
    """Both ends forced: "out" shows a certificate, "stranger" none, "wrong" one that the other side does not want."""
    pki = world.pki
    for identity in ("right", "wrong name"):
        pki[identity].key_path.chmod(0o600)  # ringpost wants it so
    layout = Layout(world, backend or world.sink.port, resolver=[names.address])
    layout.tls["client_ca"] = pki.ca_a
    layout.route("encrypt", tls="encrypt")
    layout.route("verify", tls="verify", certificate_names=["mail.contoso.example"])
    for route in ("encrypt", "verify"):
        there = f"{HOST}:{layout.ports[route]}"
        common = {"tls": "verify", "ca": world.certs / "ca.pem"}
        layout.egress(f"out to {route}", there, **common, client_cert=pki["right"].cert_path, client_key=pki["right"].key_path)
        layout.egress(f"stranger to {route}", there, **common)
        layout.egress(f"wrong to {route}", there, **common, client_cert=pki["wrong name"].cert_path, client_key=pki["wrong name"].key_path)
    # The name is not the certificate's.
    layout.egress("elsewhere", f"mx.elsewhere.example:{layout.ports['encrypt']}", tls="verify", ca=world.certs / "ca.pem")
    layout.egress("anybody", f"mx.elsewhere.example:{layout.ports['encrypt']}", tls="secure", match=[".example.test"],
                  ca=world.certs / "ca.pem")
    return layout


def name_server():
    return NameServer({HOST: ["127.0.0.1"], "mx.elsewhere.example": ["127.0.0.1"]})


def through(proxy, route, content=None):
    """(the reply to MAIL, or the last one, this client's address)."""
    identifier, text = mail()
    with Client(proxy.at(route)) as client:
        client.open(helo="sender.example.test")
        reply = client.command("MAIL FROM:<alice@client.example.test>")
        if reply.code == 250:
            client.expect("RCPT TO:<bob@example.test>", 250)
            client.expect("DATA", 354)
            client.send((content or text) + b".\r\n")
            reply = client.reply()
        client.quit()
        return reply, identifier, text, client.local


@case
def both_forced(world):
    with name_server() as names, world.configured(layout_of(world, names)) as proxy:
        for route in ("out to encrypt", "out to verify", "stranger to encrypt", "wrong to encrypt", "anybody"):
            reply, identifier, text, _ = through(proxy, route)
            equal(reply.code, 250, f"the final dot's reply, {route}: {reply}")
            content, _ = world.sink.message(identifier.encode())
            equal(content, text, f"stored content, {route}")
        arrived = eventually(lambda: len(found) == 5 and found if (found := [
            record for record in proxy.records() if record.get("route") in ("encrypt", "verify")]) else None,
            "the session lines of the ingress routes")
        for record in arrived:
            check("1.3" in json_text(record), f"TLS 1.3 in {record}")


def json_text(record):
    return " ".join(str(value) for value in record.values())


@case
def the_other_side_does_not_know_us(world):
    """It says so itself, at MAIL, and that is what our own server hears."""
    before = len(world.sink.contents())
    with name_server() as names, world.configured(layout_of(world, names)) as proxy:
        for route, words in (("stranger to verify", b"no client certificate was presented"),
                             ("wrong to verify", b"does not have the expected name")):
            reply, _, _, _ = through(proxy, route)
            equal(reply.code, 550, f"the reply to MAIL, {route}: {reply}")
            contains(reply.raw, words, route)
    equal(len(world.sink.contents()), before, "messages")


@case
def we_do_not_know_the_other_side(world):
    with name_server() as names, world.configured(layout_of(world, names)) as proxy:
        reply, _, _, _ = through(proxy, "elsewhere")
        check(re.match(rb"450 4\.7\.\d+ mx\.elsewhere\.example\b.*: .*name", reply.raw), f"the reply to MAIL: {reply}")


@case
def to_a_real_postfix(world):
    with name_server() as names, world.configured(layout_of(world, names, world.mx.proxy_port)) as proxy:
        for route in ("out to encrypt", "out to verify"):
            reply, identifier, text, _ = through(proxy, route)
            equal(reply.code, 250, f"the final dot's reply, {route}: {reply}")
            equal(split_stored(world.mx.stored(identifier))[1], text.replace(b"\r\n", b"\n"), f"stored content, {route}")


@case
def a_large_message(world):
    """Encrypted and decrypted by the same process, and more than all buffers hold."""
    body = (b"x" * 76 + b"\r\n") * 60000
    identifier, text = mail(body)
    with name_server() as names, world.configured(layout_of(world, names)) as proxy:
        reply, _, _, _ = through(proxy, "out to verify", text)
        equal(reply.code, 250, f"the final dot's reply: {reply}")
        check(world.sink.message(identifier.encode())[0] == text, "stored content")
