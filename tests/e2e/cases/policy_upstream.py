# SPDX-License-Identifier: GPL-3.0-or-later
"""Several addresses of an upstream: the first that serves is used, a failed one again after a probe."""

from harness.backend import CLOSE, RESET, SILENT, Backend
from harness.case import case, check, contains, each, equal, eventually
from harness.configured import Layout
from harness.process import free_port
from harness.smtp import Client, mail


def addresses(*ports):
    return [f"127.0.0.1:{port}" for port in ports]


def layout_of(world, ports, **tuning):
    return Layout(world, addresses(*ports), **tuning).route("mx", tls="may")


def deliver(world, proxy, tls=True):
    identifier, content = mail()
    with Client(proxy.at("mx")) as client:
        client.open(world.tls if tls else None)
        equal(client.message(content).code, 250, "reply to the final dot")
        client.quit()
    return client.local


def clients(backend):
    """Its sessions that were for a client."""
    return [session for session in list(backend.sessions) if session.proxied == "PROXY"]


def probed(backend, times=1):
    """Waits until it has been probed."""
    eventually(lambda: len([probe for probe in backend.probes if probe.ended]) >= times, f"{times} probe(s)")


def check_probes(backend):
    """What probes may say, and all of it in this order (PROTOCOL 37)."""
    first = b"EHLO mx.example.test" if backend.identity == "none" else b"NOOP"
    for probe in backend.probes:
        check((first + b"\r\nQUIT\r\n").startswith(probe.raw), f"what a probe said: {probe.raw!r}")


@each("clear", "starttls")
def the_first_is_dead(world, port):
    dead = free_port()
    with Backend() as second, world.configured(layout_of(world, (dead, second.port))) as proxy:
        for _ in range(3):
            local = deliver(world, proxy, port == "starttls")
            equal(proxy.record(local)["upstream"], f"127.0.0.1:{second.port}", "upstream of the session line")
        equal(len(second.messages), 3, "messages at the second")
        eventually(lambda: any("warning" in line and f"127.0.0.1:{dead}" in line for line in proxy.log.splitlines()),
                   "a warning that names the dead one")


@each(("closes", CLOSE), ("resets", RESET), ("no SMTP", b"hello\r\n"),
      named=True)
def the_first_has_no_greeting(world, variant):
    """It may do so to one client only, so that others still ask it, until a probe has met the same."""
    how, greeting = variant
    with Backend({"greeting": greeting}) as first, Backend() as second, \
            world.configured(layout_of(world, (first.port, second.port))) as proxy:
        probed(first)
        for count in (1, 2):
            asked = len(clients(first))
            deliver(world, proxy)
            equal(len(second.messages), count, f"messages at the second while the first {how}")
            check(len(clients(first)) > asked, "the first is asked")
        first.probe_replies["greeting"] = greeting

        def passed_over():
            before = len(clients(first))
            deliver(world, proxy)
            return len(clients(first)) == before
        eventually(passed_over, "the first is passed over")


@each("421 4.3.2 not now", "554 5.3.0 closed")
def the_first_refuses(world, greeting):
    """It may refuse this one client only, who is told so; a probe, which is nobody, finds out."""
    refusal = {"greeting": greeting.encode() + b"\r\n"}
    with Backend(refusal) as first, Backend() as second, \
            world.configured(layout_of(world, (first.port, second.port))) as proxy:
        probed(first)
        first.probe_replies.update(refusal)
        with Client(proxy.at("mx")) as client:
            equal(client.reply().code, int(greeting[:3]), "greeting of the first client")
        probed(first, 2)
        eventually(lambda: serves(world, proxy), "the second is used")
        deliver(world, proxy)
        equal((len(first.messages), len(second.messages)), (0, 1), "messages")


@case(slow=True)
def the_first_is_silent(world):
    """It has 30 s, less than clients wait for a greeting (RFC 5321 4.5.3.2.1)."""
    with Backend({"greeting": SILENT}) as first, Backend() as second, \
            world.configured(layout_of(world, (first.port, second.port))) as proxy:
        with Client(proxy.at("mx")) as client:
            client.socket.settimeout(60)
            client.open()
            equal(client.message(mail()[1]).code, 250, "reply to the final dot")
            client.quit()
        first.replies["greeting"] = second.replies["greeting"]
        deliver(world, proxy)
        equal((len(first.messages), len(second.messages)), (1, 1), "messages: others use the first")


@case
def the_first_comes_back(world):
    port = free_port()
    with Backend() as second, world.configured(layout_of(world, (port, second.port))) as proxy:
        deliver(world, proxy)
        equal(len(second.messages), 1, "messages at the second")
        with Backend(port=port) as first:
            probed(first)
            equal(first.probes[0].proxied, "LOCAL", "the probe's PROXY header")  # PROTOCOL 37
            check_probes(first)

            def used():
                before = len(first.messages)
                deliver(world, proxy)
                return len(first.messages) > before
            eventually(used, "the first is used again")
            equal(len(second.messages) + len(first.messages) >= 2, True, "every message is somewhere")


@case
def a_probe_wants_a_real_greeting(world):
    with Backend(probe_replies={"greeting": b"554 5.3.0 closed\r\n"}) as first, Backend() as second, \
            world.configured(layout_of(world, (first.port, second.port))) as proxy:
        deliver(world, proxy)
        probed(first, 2)
        deliver(world, proxy)
        equal((len(first.sessions), len(second.messages)), (0, 2), "sessions at the first, messages at the second")
        check_probes(first)


@case
def all_are_dead(world):
    ports = (free_port(), free_port())
    with world.configured(layout_of(world, ports)) as proxy:
        for _ in range(2):
            with Client(proxy.at("mx")) as client:
                contains(client.expect(None, 421).raw, b"421 4.3.2 mx.example.test ", "the greeting")
                equal(client.rest(), b"", "octets after it")
            equal(proxy.record(client.local)["reason"], "backend_connect", "the session line's reason")
        with Backend(port=ports[1]):  # where all have failed, sessions still try
            eventually(lambda: serves(world, proxy), "service once one is there")


def serves(world, proxy):
    with Client(proxy.at("mx")) as client:
        return client.reply().code == 220


@case
def the_second_dies_too(world):
    """A session that runs is not moved: its backend's end is its own. The next one finds who is left."""
    with Backend() as third:
        first, second = free_port(), Backend()
        with world.configured(layout_of(world, (first, second.port, third.port))) as proxy:
            deliver(world, proxy)
            equal(len(second.messages), 1, "messages at the second")
            second.replies["greeting"] = CLOSE
            deliver(world, proxy)
            equal((len(second.messages), len(third.messages)), (1, 1), "messages at the second and third")
        second.stop()


@each("proxy-v1", "none", "unix")
def other_identities(world, identity):
    port = free_port()
    dead = f"unix:{world.folder}/nobody" if identity == "unix" else f"127.0.0.1:{port}"
    spelled = "proxy-v2" if identity == "unix" else identity
    kind = "none" if identity == "none" else "proxy"
    with Backend(identity=kind) as second:
        layout = Layout(world, [dead, f"127.0.0.1:{second.port}"], identity=spelled).route("mx", tls="may")
        with world.configured(layout) as proxy:
            deliver(world, proxy)
            equal(len(second.messages), 1, "messages at the second")
            if identity == "unix":
                return
            with Backend(identity=kind, port=port) as first:
                probed(first)
                check_probes(first)
