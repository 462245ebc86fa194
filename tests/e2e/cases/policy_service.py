# SPDX-License-Identifier: GPL-3.0-or-later
"""What an unmodified Postfix learns: the policy service, asked by the real one and by a raw client."""

import re
import signal
import socket
import statistics
import time

from cases.policy import greet
from harness.case import Skip, case, check, contains, each, equal, eventually
from harness.configured import Layout
from harness.pki import NAME
from harness.postfix import split_stored
from harness.process import free_port, has_ipv6
from harness.smtp import Client, mail


def field_of(stored):
    """The trace fields of a stored message, unfolded."""
    head = re.sub(rb"\n[ \t]+", b" ", split_stored(stored)[0])
    return [line.decode() for line in head.split(b"\n") if line.lower().startswith(b"ringpost-tls:")]


def parts_of(field):
    """{key: value} of a trace field."""
    return dict(part.strip().split("=", 1) for part in field.split(";")[1:])


def layout_of(world, upstream, service, **tuning):
    layout = Layout(world, upstream, policy_service=service, **tuning)
    layout.tls.update(client_ca=world.pki.ca_a)
    layout.route("mx", tls="may").route("verify", tls="verify", partners=False)
    layout.partner("contoso", sender_domains=["client.example.test"], tls="verify", certificate_names=[NAME], mode="report")
    layout.partner("fabrikam", sender_domains=["fabrikam.example"], tls="encrypt")
    return layout


def with_postfix(world):
    """A shared ringpost before the Postfix that asks it."""
    def make():
        layout = layout_of(world, world.mx.asks_at_data_port, f"127.0.0.1:{world.mx.policy_service_port}")
        layout.upstreams["asks at RCPT"] = {"addresses": [f"127.0.0.1:{world.mx.asks_at_rcpt_port}"], "identity": "proxy-v2"}
        layout.route("asked at RCPT", tls="may", upstream="asks at RCPT")
        for name, address, identity in (("proxy-v1", f"127.0.0.1:{world.mx.asks_at_data_port}", "proxy-v1"),
                                        ("xclient", f"127.0.0.1:{world.mx.asks_xclient_port}", "xclient"),
                                        ("unix", f"unix:{world.mx.asks_socket}", "proxy-v2"),
                                        ("none", f"127.0.0.1:{world.mx.asks_untold_port}", "none")):
            layout.upstreams[name] = {"addresses": [address], "identity": identity}
            layout.route(name, tls="may", upstream=name)
        if has_ipv6():
            layout.route("IPv6", tls="may")
            layout.routes["IPv6"]["listen"] = [f"[::1]:{layout.ports['IPv6']}"]
        layout.route("everywhere", tls="may")
        layout.routes["everywhere"]["listen"] = [f"0.0.0.0:{layout.ports['everywhere']}"]
        return layout
    return world.shared("asked by postfix", make)


def deliver(world, proxy, route, presented, recipients=("bob@example.test",)):
    identifier, content = mail()
    with greet(world, proxy.at(route), presented) as client:
        equal(client.message(content, recipients=recipients).code, 250, "reply to the final dot")
        client.quit()
    return world.mx.stored(identifier), client.local


@each(("no TLS", "none"), ("no certificate", "none"), ("wrong name", "verified"), ("right", "verified"), ("untrusted", "unverified"))
def the_trace_field_in_a_stored_message(world, variant):
    presented, certificate = variant
    proxy = with_postfix(world)
    stored, local = deliver(world, proxy, "mx", presented)
    fields = field_of(stored)
    equal(len(fields), 1, f"trace fields in {stored[:800]!r}")
    contains(fields[0], "mx.example.test; ", "the field")
    parts = parts_of(fields[0])
    session = proxy.record(local)
    if presented == "no TLS":
        equal(parts["version"], "none", f"version in {fields[0]}")
        check("suite" not in parts and "group" not in parts, f"no suite in {fields[0]}")
    else:
        equal((parts["version"], parts["suite"], parts["group"], parts["sni"]),
              (session["tls"], session["suite"], session["group"], session["sni"]), f"facts in {fields[0]}")
        check(parts["certificate"].startswith(certificate), f"certificate in {fields[0]}")
    if presented == "right":
        equal(parts["certificate"], f'verified "{NAME}"', f"the verified name in {fields[0]}")
        equal(parts.get("partner"), "contoso", f"the partner in {fields[0]}")


@case
def one_field_for_many_recipients(world):
    users = ["bob@example.test", *(f"user{number}@example.test" for number in range(20))]
    stored, _ = deliver(world, with_postfix(world), "mx", "right", recipients=users)
    equal(len(field_of(stored)), 1, "trace fields, asked at DATA")


@case
def several_messages_of_one_session(world):
    proxy = with_postfix(world)
    identifiers = []
    with greet(world, proxy.at("mx"), "right") as client:
        for sender in ("alice@client.example.test", "a@fabrikam.example", "a@x.example"):
            identifier, content = mail()
            equal(client.message(content, sender=sender).code, 250, f"reply to the final dot of {sender}")
            identifiers.append(identifier)
        client.quit()
    fields = [field_of(world.mx.stored(identifier)) for identifier in identifiers]
    equal([len(found) for found in fields], [1, 1, 1], "trace fields")
    equal([parts_of(found[0]).get("partner") for found in fields], ["contoso", "fabrikam", None], "partners")


@case
def asked_for_each_recipient(world):
    """smtpd_recipient_restrictions asks once for each recipient: still one field."""
    users = ["bob@example.test", *(f"user{number}@example.test" for number in range(20))]
    for presented in ("right", "no TLS"):
        stored, _ = deliver(world, with_postfix(world), "asked at RCPT", presented, recipients=users)
        equal(len(field_of(stored)), 1, f"trace fields, asked at RCPT, {presented}")


@case
def a_session_that_did_not_come_through_ringpost(world):
    """The service has nothing to say about it, and its mail is taken without a field."""
    with_postfix(world)
    identifier, content = mail()
    with Client(("127.0.0.1", world.mx.asks_at_data_port), header=b"PROXY TCP4 127.0.0.9 127.0.0.1 4321 25\r\n") as client:
        client.open()
        equal(client.message(content).code, 250, "reply to the final dot")
        client.quit()
    equal(field_of(world.mx.stored(identifier)), [], "trace fields")


@each(*((identity, presented) for identity in ("proxy-v1", "xclient", "unix", "IPv6", "everywhere")
        for presented in ("right", "no TLS")))
def however_postfix_learns_who_is_calling(world, variant):
    """The request's client and server are those that the session has."""
    identity, presented = variant
    proxy = with_postfix(world)
    if identity == "IPv6" and not has_ipv6():
        raise Skip("no IPv6 on this machine")
    address = proxy.at(identity) if identity != "IPv6" else ("::1", proxy.layout.ports["IPv6"])
    identifier, content = mail()
    with greet(world, address, presented) as client:
        equal(client.message(content).code, 250, "reply to the final dot")
        client.quit()
    fields = field_of(world.mx.stored(identifier))
    equal(len(fields), 1, "trace fields")
    equal(parts_of(fields[0])["route"], identity, f"route in {fields[0]}")


@case
def a_postfix_that_does_not_learn_who_is_calling(world):
    """Every session is ringpost's own to it: nothing can be said of any."""
    stored, _ = deliver(world, with_postfix(world), "none", "right")
    equal(field_of(stored), [], "trace fields")


@case
def past_ringpost_from_the_same_port(world):
    """A client with a session of its own through ringpost writes directly to another server, with the same address and
    port: that message did not come through ringpost."""
    proxy = with_postfix(world)
    with greet(world, proxy.at("mx"), "right") as through:
        through.expect("MAIL FROM:<alice@client.example.test>", 250)
        through.expect("RSET", 250)
        for server, fields in (("127.0.0.1 {client} 25", 0), ("127.0.0.2 {client} {mx}", 0), ("127.0.0.1 {client} {mx}", 1)):
            told = server.format(client=through.local[1], mx=proxy.at("mx")[1])
            identifier, content = mail()
            with Client(("127.0.0.1", world.mx.asks_at_data_port),
                        header=f"PROXY TCP4 {through.local[0]} {told}\r\n".encode()) as past:
                past.open()
                equal(past.message(content).code, 250, "reply to the final dot")
                past.quit()
            equal(len(field_of(world.mx.stored(identifier))), fields, f"trace fields of a client of {told}")
        through.drop()


@case
def a_client_that_brings_a_field_of_its_own(world):
    """It stays below Postfix's Received, where nobody takes it for ours."""
    identifier, content = mail()
    forged = b"Ringpost-TLS: mx.example.test; version=TLSv1.3; certificate=verified \"root\"\r\n"
    proxy = with_postfix(world)
    with greet(world, proxy.at("mx"), "no TLS") as client:
        equal(client.message(content.replace(b"Subject:", forged + b"Subject:")).code, 250, "reply to the final dot")
        client.quit()
    stored = world.mx.stored(identifier)
    fields = field_of(stored)
    equal((len(fields), parts_of(fields[0])["version"]), (1, "none"), "the field above Received")
    check(stored.index(b"version=none") < stored.index(b'verified "root"'), "ours comes first")


# --- a raw client of the service --------------------------------------------------------------------------

class Asker:
    """Speaks the policy protocol as Postfix does, about clients that reached `server`."""

    def __init__(self, address, server):
        self.server = server
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.settimeout(20)
        self.socket.connect(address)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.file.close()
        self.socket.close()

    def send(self, **attributes):
        settings = {"request": "smtpd_access_policy", "protocol_state": "DATA", "protocol_name": "ESMTP",
                    "server_address": self.server[0], "server_port": self.server[1], **attributes}
        self.socket.sendall("".join(f"{key}={value}\n" for key, value in settings.items()).encode() + b"\n")

    def answer(self):
        line = self.file.readline()
        check(line.startswith(b"action=") and self.file.readline() == b"\n", f"an answer: {line!r}")
        return line[7:-1].decode()

    def ask(self, client, sender="alice@client.example.test", **attributes):
        self.send(client_address=client[0], client_port=client[1], sender=sender, **attributes)
        return self.answer()


def raw_service(world):
    """(a shared ringpost before the sink, the address of its service)."""
    proxy = world.shared("asked raw", lambda: layout_of(world, world.sink.port, f"127.0.0.1:{free_port()}", shards=2))
    host, _, port = proxy.layout.tuning["policy_service"].rpartition(":")
    return proxy, (host, int(port))


@case
def exactly_that_client(world):
    proxy, service = raw_service(world)
    with Asker(service, proxy.at("mx")) as asker, greet(world, proxy.at("mx"), "right", source="127.0.0.5") as client:
        client.expect("MAIL FROM:<alice@client.example.test>", 250)
        address, port = client.local
        check(asker.ask((address, port)).startswith("PREPEND Ringpost-TLS: mx.example.test; "), "the session itself")
        for other in ((address, port - 1), (address, port + 1), ("127.0.0.6", port), ("127.0.0.1", port), ("::1", port),
                      ("unknown", port), (address, 0), (address, 65536), (address, ""), (address, "x"), ("", port)):
            equal(asker.ask(other), "DUNNO", f"the answer about {other}")
        check(asker.ask(("::ffff:" + address, port)).startswith("PREPEND "), "its address as IPv6")
        server = proxy.at("mx")[1]
        for other in (("127.0.0.2", server), ("127.0.0.1", server + 1), ("127.0.0.1", proxy.at("verify")[1]),
                      ("unknown", server), ("127.0.0.1", "unknown"), ("", "")):
            equal(asker.ask((address, port), server_address=other[0], server_port=other[1]), "DUNNO",
                  f"the answer about a client of {other}")
        client.expect("RSET", 250)
        client.quit()
        proxy.record(client.local)
        eventually(lambda: asker.ask((address, port)) == "DUNNO", "after the session nothing is known")


@case
def what_is_said_of_a_client_is_the_messages_own(world):
    """A client that one partner's rule knows: what that proved is said of that partner's messages only, and no name that
    nobody asked about."""
    service = f"127.0.0.1:{free_port()}"
    layout = Layout(world, world.sink.port, policy_service=service).route("mx", tls="may")
    layout.partner("clinic", sender_domains=["clinic.example"], tls="verify", client_ca="",
                   fingerprints=[world.pki["self-signed"].fingerprint])
    layout.partner("contoso", sender_domains=["contoso.example"], tls="verify", client_ca=world.pki.ca_a, mode="report",
                   certificate_names=[NAME])
    layout.partner("branch", sender_domains=["branch.example"], tls="verify", client_ca=world.pki.ca_a, mode="report")
    pinned = f'verified fingerprint={world.pki["self-signed"].fingerprint}'
    host, _, port = service.rpartition(":")
    with world.configured(layout) as proxy, Asker((host, int(port)), proxy.at("mx")) as asker:
        # self-signed: its certificate claims NAME, but only its fingerprint is known.
        for presented, wanted in (("self-signed", (("clinic", pinned), ("contoso", "unverified"), ("x", "unverified"),
                                                   ("clinic", pinned))),
                                  ("second name", (("contoso", f'verified "{NAME}"'), ("x", "unverified"),
                                                   ("branch", "verified")))):
            with greet(world, proxy.at("mx"), presented) as client:
                for domain, certificate in wanted:
                    client.expect(f"MAIL FROM:<a@{domain}.example>", 250)
                    field = asker.ask(client.local, f"a@{domain}.example")
                    equal(parts_of(field)["certificate"], certificate, f"{presented}, {domain}: {field}")
                    client.expect("RSET", 250)
                client.expect("MAIL FROM:<a@x.example>", 250)
                client.quit()
            equal(proxy.record(client.local)["certificate"], "unverified", "the session line is about the last message")


@case
def many_sessions_at_once(world):
    """Across shards: each is told its own facts."""
    proxy, service = raw_service(world)
    with Asker(service, proxy.at("mx")) as asker:
        clients = [(presented, greet(world, proxy.at("mx"), presented)) for presented in
                   ("no TLS", "right", "no certificate", "untrusted") * 5]
        try:
            for presented, client in clients:
                client.expect("MAIL FROM:<alice@client.example.test>", 250)
            for presented, client in clients:
                field = asker.ask(client.local)
                parts = parts_of(field)
                wanted = {"no TLS": None, "no certificate": "none", "untrusted": "unverified", "right": f'verified "{NAME}"'}
                if presented == "no TLS":
                    equal(parts["version"], "none", f"version in {field}")
                else:
                    equal(parts["certificate"], wanted[presented], f"certificate in {field}")
        finally:
            for _, client in clients:
                client.drop()


@case
def a_partner_that_was_never_judged(world):
    """MAIL named one sender and Postfix another, as a rewriting backend might: the policy must not be escaped."""
    proxy, service = raw_service(world)
    with Asker(service, proxy.at("mx")) as asker, greet(world, proxy.at("mx"), "no TLS") as client:
        client.expect("MAIL FROM:<alice@x.example>", 250)
        check(asker.ask(client.local, "alice@x.example").startswith("PREPEND "), "the sender that was judged")
        for sender in ("alice@fabrikam.example", "alice@FABRIKAM.example", '"a b"@fabrikam.example'):
            contains(asker.ask(client.local, sender), "550 5.7.0 ", f"the answer for {sender}")
        check(asker.ask(client.local, "alice@client.example.test").startswith("PREPEND "), "a partner that only reports")
        check(asker.ask(client.local, "").startswith("PREPEND "), "the empty sender")
        client.drop()
    with Asker(service, proxy.at("mx")) as asker, greet(world, proxy.at("mx"), "no certificate") as client:
        client.expect("MAIL FROM:<alice@fabrikam.example>", 250)
        check(asker.ask(client.local, "alice@fabrikam.example").startswith("PREPEND "), "the partner that was judged")
        client.drop()


@case
def instance_and_pipelining(world):
    proxy, service = raw_service(world)
    with Asker(service, proxy.at("mx")) as asker, greet(world, proxy.at("mx"), "right") as client:
        client.expect("MAIL FROM:<alice@client.example.test>", 250)
        check(asker.ask(client.local, instance="a.1").startswith("PREPEND "), "the first of an instance")
        equal(asker.ask(client.local, instance="a.1"), "DUNNO", "again of the same instance")
        check(asker.ask(client.local, instance="a.2").startswith("PREPEND "), "another instance")
        for number in range(50):  # many requests before any answer is read
            asker.send(client_address=client.local[0], client_port=client.local[1], sender="a@client.example.test",
                       instance=f"b.{number}")
        for number in range(50):
            check(asker.answer().startswith("PREPEND "), f"answer {number}")
        client.drop()


@each("garbage", "no equals sign", "endless line", "endless request", "cut off", "other request", "octet by octet")
def hostile_askers(world, what):
    proxy, service = raw_service(world)
    with greet(world, proxy.at("mx"), "right") as client:
        client.expect("MAIL FROM:<alice@client.example.test>", 250)
        with Asker(service, proxy.at("mx")) as asker:
            if what == "other request":
                asker.send(request="junk", client_address=client.local[0], client_port=client.local[1])
                equal(asker.answer(), "DUNNO", "the answer")
            elif what == "octet by octet":
                for octet in (f"request=smtpd_access_policy\nclient_address={client.local[0]}\n"
                              f"server_address=127.0.0.1\nserver_port={proxy.at('mx')[1]}\n"
                              f"client_port={client.local[1]}\nsender=a@client.example.test\n\n").encode():
                    asker.socket.sendall(bytes([octet]))
                check(asker.answer().startswith("PREPEND "), "the answer")
            elif what != "cut off":
                octets = {"garbage": b"\0\xff\r\n\r\n\n\n=\n\n", "no equals sign": b"request\n\n",
                          "endless line": b"a=" + b"x" * 100_000, "endless request": b"a=b\n" * 50_000}[what]
                try:
                    asker.socket.sendall(octets)
                    asker.socket.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                try:
                    answer = asker.file.read()
                except OSError:
                    answer = b""
                check(b"PREPEND" not in answer, f"the answer: {answer[:200]!r}")
            else:
                asker.socket.sendall(b"request=smtpd_access_policy\nclient_addr")
        with Asker(service, proxy.at("mx")) as asker:  # others are served on
            check(asker.ask(client.local).startswith("PREPEND "), "the next asker's answer")
        client.drop()


@case
def nothing_of_a_peer_breaks_the_field(world):
    """Names that a client chose: no line end, one line, printable."""
    proxy, service = raw_service(world)
    with Asker(service, proxy.at("mx")) as asker:
        for presented in world.pki.identities:
            with greet(world, proxy.at("mx"), presented) as client:
                client.expect("MAIL FROM:<alice@client.example.test>", 250)
                field = asker.ask(client.local)
                check(field.isascii() and field.isprintable() and len(field) <= 920, f"the field for {presented}: {field!r}")
                client.drop()


@case
def a_unix_socket(world):
    path = world.folder / "policy.sock"
    with world.configured(layout_of(world, world.sink.port, f"unix:{path}")) as proxy:
        with greet(world, proxy.at("mx"), "right") as client, Asker(str(path), proxy.at("mx")) as asker:
            client.expect("MAIL FROM:<alice@client.example.test>", 250)
            check(asker.ask(client.local).startswith("PREPEND "), "the answer")
            client.drop()
        equal(path.stat().st_mode & 0o777, 0o660, "mode of the socket")
        proxy.process.signal(signal.SIGKILL)  # leaves its socket behind
        proxy.process.wait()
    check(path.exists(), "a stale socket")
    with world.configured(layout_of(world, world.sink.port, f"unix:{path}")) as proxy:
        with Asker(str(path), proxy.at("mx")) as asker:
            equal(asker.ask(("127.0.0.1", 1)), "DUNNO", "the answer of the next ringpost")
        proxy.terminate()
        equal(proxy.process.wait(), 0, "exit code")
    check(not path.exists(), "the socket is removed at the end")


def restarted(world, proxy):
    """SIGTERM, and a successor with the same file as soon as the ports can be had."""
    proxy.terminate()
    for address in (proxy.at("mx"), service_of(proxy)):
        eventually(lambda address=address: refuses(address), f"nobody listens on {address}")
    return world.configured(proxy.layout)


def service_of(proxy):
    """The address of its policy service: of a TCP port, or the path of a unix socket."""
    host, _, port = proxy.layout.tuning["policy_service"].rpartition(":")
    return port if host == "unix" else (host, int(port))


def refuses(address):
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as probe:
        try:
            probe.connect(address)
        except OSError:
            return True
    return False


@each("port", "unix")
def a_successor_starts_while_the_old_one_drains(world, kind):
    """Each answers about its own sessions, also on a connection that was opened before."""
    service = f"127.0.0.1:{free_port()}" if kind == "port" else f"unix:{world.folder}/successor.sock"
    with world.configured(layout_of(world, world.sink.port, service, drain_timeout="60s")) as old:
        with Asker(service_of(old), old.at("mx")) as asker, greet(world, old.at("mx"), "right") as before:
            before.envelope("alice@client.example.test")
            check(asker.ask(before.local).startswith("PREPEND "), "about a session, before SIGTERM")
            before.expect("DATA", 354)
            with restarted(world, old) as successor, greet(world, successor.at("mx"), "right") as after:
                after.expect("MAIL FROM:<alice@client.example.test>", 250)
                check(asker.ask(before.local).startswith("PREPEND "), "the old one's answer about its own session")
                with Asker(service_of(old), old.at("mx")) as another:
                    check(another.ask(after.local).startswith("PREPEND "), "the successor's answer about its own session")
                asker.send(client_address=after.local[0], client_port=after.local[1], sender="alice@client.example.test")
                equal(asker.file.read(), b"", "the old one's answer about the successor's session")
                identifier, content = mail()
                before.send(content + b".\r\n")
                equal(before.reply().code, 250, "reply to the final dot of the old session")
                equal(old.process.wait(), 0, "exit code of the old one")
                with Asker(service_of(old), old.at("mx")) as another:  # whose end has not taken the socket away
                    check(another.ask(after.local).startswith("PREPEND "), "the successor's answer afterwards")
                after.drop()
        world.sink.message(identifier.encode())


@case
def postfix_asks_the_successor(world):
    """Its one smtpd for this service keeps the connection to the old one, and asks on it about the successor's session."""
    layout = layout_of(world, world.mx.asks_restarted_port, f"127.0.0.1:{world.mx.restarted_service_port}",
                       drain_timeout="60s")
    layout.upstreams["sink"] = {"addresses": [f"127.0.0.1:{world.sink.port}"], "identity": "proxy-v2"}
    layout.route("kept", tls="may", upstream="sink")
    with world.configured(layout) as old, greet(world, old.at("kept"), "no TLS") as kept:
        kept.envelope()
        kept.expect("DATA", 354)  # so that the old one stays
        stored, _ = deliver(world, old, "mx", "right")
        equal(len(field_of(stored)), 1, "trace fields before")
        with restarted(world, old) as successor:
            stored, _ = deliver(world, successor, "mx", "right")
            check(old.process.running(), "the old one still drains")
            equal(len(field_of(stored)), 1, f"trace fields in {stored[:800]!r}")
        kept.send(mail()[1] + b".\r\n")
        equal(kept.reply().code, 250, "reply to the final dot of the old session")
        equal(old.process.wait(), 0, "exit code of the old one")


@case
def a_reload_does_not_disturb_it(world):
    service = f"127.0.0.1:{free_port()}"
    host, _, port = service.rpartition(":")
    with world.configured(layout_of(world, world.sink.port, service)) as proxy, Asker((host, int(port)), proxy.at("mx")) as asker:
        with greet(world, proxy.at("mx"), "right") as before:
            before.expect("MAIL FROM:<alice@client.example.test>", 250)
            proxy.reload(proxy.layout.copy().partner("new", sender_domains=["new.example"], tls="encrypt"))
            check(asker.ask(before.local).startswith("PREPEND "), "about a session from before")
            check(asker.ask(before.local, "a@new.example").startswith("PREPEND "), "its configuration is the old one")
            with greet(world, proxy.at("mx"), "no TLS") as after:
                after.expect("MAIL FROM:<alice@x.example>", 250)
                contains(asker.ask(after.local, "a@new.example"), "550 5.7.0 ", "about a session from after")
                after.drop()
            before.drop()


@case
def how_long_an_answer_takes(world):
    """Printed, not judged."""
    proxy, service = raw_service(world)
    with Asker(service, proxy.at("mx")) as asker, greet(world, proxy.at("mx"), "right") as client:
        client.expect("MAIL FROM:<alice@client.example.test>", 250)
        times = []
        for _ in range(1000):
            begin = time.perf_counter()
            check(asker.ask(client.local).startswith("PREPEND "), "the answer")
            times.append((time.perf_counter() - begin) * 1e6)
        client.drop()
    times.sort()
    print(f"     policy service: median {statistics.median(times):.0f} µs, 99 % {times[990]:.0f} µs of 1,000 requests")
