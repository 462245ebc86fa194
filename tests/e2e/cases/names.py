# SPDX-License-Identifier: GPL-3.0-or-later
"""Upstreams that are given by a host name: in a container nobody knows an address beforehand."""

import time

from harness.backend import Backend
from harness.case import case, check, contains, equal, eventually
from harness.configured import Layout
from harness.names import NameServer
from harness.process import free_port, run
from harness.smtp import Client, mail

SOON = 20  # seconds: a name is looked up again after five, and the rest is the machine's


def layout_of(world, names, *addresses):
    return Layout(world, list(addresses), resolver=[names.address]).route("mx", tls="may")


def deliver(world, proxy, tls=True):
    with Client(proxy.at("mx")) as client:
        client.open(world.tls if tls else None)
        equal(client.message(mail()[1]).code, 250, "reply to the final dot")
        client.quit()
    return proxy.record(client.local)["upstream"]


def said(proxy, words):
    return [event for event in proxy.events("names") if words in event["message"]]


@case
def mail_for_a_name(world):
    port = free_port()
    with Backend(port=port) as backend, NameServer({"mail.example": ["127.0.0.1"]}) as names, \
            world.configured(layout_of(world, names, f"mail.example:{port}")) as proxy:
        for tls in (False, True):
            equal(deliver(world, proxy, tls), f"127.0.0.1:{port}", "upstream of the session line")
        equal(len(backend.messages), 2, "messages at the backend")
        check(said(proxy, "mail.example is 127.0.0.1"), "a line that says which addresses a name has")


@case
def a_name_beside_an_address(world):
    """In the order in which they are given, and the one that works."""
    dead, port = free_port(), free_port()
    with Backend(port=port) as backend, NameServer({"mail.example": ["127.0.0.1"]}) as names, \
            world.configured(layout_of(world, names, f"127.0.0.1:{dead}", f"mail.example:{port}")) as proxy:
        equal(deliver(world, proxy), f"127.0.0.1:{port}", "upstream of the session line")
        equal(len(backend.messages), 1, "messages at the backend")


@case
def both_families(world):
    """IPv6 first; where nobody answers there, the other."""
    port = free_port()
    with Backend(port=port) as backend, NameServer({"mail.example": ["127.0.0.1", "::1"]}) as names, \
            world.configured(layout_of(world, names, f"mail.example:{port}")) as proxy:
        equal(deliver(world, proxy), f"127.0.0.1:{port}", "upstream of the session line")
        equal(len(backend.messages), 1, "messages at the backend")
        contains(said(proxy, "mail.example is")[0]["message"], "::1, 127.0.0.1", "the order of the families")


@case
def a_name_moves(world):
    """Sessions that run stay where they are, those that come go to the new address, and no file is read for that."""
    port = free_port()
    with Backend(port=port) as first, Backend(port=port, host="127.0.0.2") as second, \
            NameServer({"mail.example": ["127.0.0.1"]}) as names, \
            world.configured(layout_of(world, names, f"mail.example:{port}")) as proxy, \
            Client(proxy.at("mx")) as stays:
        stays.open(world.tls)
        equal(deliver(world, proxy), f"127.0.0.1:{port}", "upstream before")
        proxy.path.write_text("this is no configuration", encoding="utf-8")
        names.hosts["mail.example"] = ["127.0.0.2"]
        eventually(lambda: said(proxy, "mail.example is 127.0.0.2"), "a line about the new address", SOON)
        eventually(lambda: deliver(world, proxy) == f"127.0.0.2:{port}", "mail at the new address", SOON)
        equal(stays.message(mail()[1]).code, 250, "mail of the session that stays")
        stays.quit()
        equal(proxy.record(stays.local)["upstream"], f"127.0.0.1:{port}", "its upstream")
        check(first.messages and second.messages, "mail at both")


@case
def a_name_that_fails_keeps_its_addresses(world):
    port = free_port()
    with Backend(port=port) as backend, NameServer({"mail.example": ["127.0.0.1"]}) as names, \
            world.configured(layout_of(world, names, f"mail.example:{port}")) as proxy:
        deliver(world, proxy)
        del names.hosts["mail.example"]
        warning = eventually(lambda: said(proxy, "there is no such name"), "a warning", SOON)
        contains(warning[0]["message"], "the addresses that it had stay in use", "the warning")
        deliver(world, proxy)
        names.silent = True
        time.sleep(3)
        deliver(world, proxy)
        equal(len(said(proxy, "the addresses that it had stay in use")), 1, "warnings")
        equal(len(backend.messages), 3, "messages at the backend")


@case
def a_name_that_comes_later(world):
    """A mail server's container may start behind ringpost's."""
    port = free_port()
    with Backend(port=port) as backend, NameServer({}) as names, \
            world.configured(layout_of(world, names, f"mail.example:{port}")) as proxy:
        check(said(proxy, "clients are told 421 until it has an address"), "a warning at the start")
        with Client(proxy.at("mx")) as client:
            equal(client.reply().code, 421, "the greeting")
        names.hosts["mail.example"] = ["127.0.0.1"]
        eventually(lambda: said(proxy, "mail.example is 127.0.0.1"), "a line about the address", SOON)
        equal(deliver(world, proxy), f"127.0.0.1:{port}", "upstream of the session line")
        equal(len(backend.messages), 1, "messages at the backend")


@case
def a_name_server_that_is_silent_at_the_start(world):
    port = free_port()
    with Backend(port=port) as backend, NameServer({"mail.example": ["127.0.0.1"]}) as names:
        names.silent = True
        with world.configured(layout_of(world, names, f"mail.example:{port}")) as proxy:
            check(said(proxy, "no answer within 10 s"), "a warning at the start")
            names.silent = False
            eventually(lambda: said(proxy, "mail.example is 127.0.0.1"), "a line about the address", 2 * SOON)
            deliver(world, proxy)
            equal(len(backend.messages), 1, "messages at the backend")


@case
def a_reload_brings_another_name(world):
    port = free_port()
    with Backend(port=port) as first, Backend(port=port, host="127.0.0.2") as second, \
            NameServer({"one.example": ["127.0.0.1"], "two.example": ["127.0.0.2"]}) as names, \
            world.configured(layout_of(world, names, f"one.example:{port}")) as proxy:
        deliver(world, proxy)
        layout = proxy.layout.copy()
        layout.upstreams["backend"]["addresses"] = [f"two.example:{port}"]
        contains(proxy.reload(layout)[1], "done", "the reload")
        equal(deliver(world, proxy), f"127.0.0.2:{port}", "upstream after the reload")
        contains(proxy.reload(text="nothing")[1], "the configuration in force stays", "the reload that fails")
        equal(deliver(world, proxy), f"127.0.0.2:{port}", "upstream after one that failed")
        check(first.messages and second.messages, "mail at both")


@case
def a_name_that_leads_back(world):
    """To ringpost's own port: it would call itself for ever."""
    with NameServer({"mail.example": ["127.0.0.1"]}) as names:
        layout = layout_of(world, names, "mail.example:25")
        layout.upstreams["backend"]["addresses"] = [f"mail.example:{layout.ports['mx']}"]
        with world.configured(layout) as proxy:
            contains(proxy.log, "where ringpost itself listens", "the log")
            with Client(proxy.at("mx")) as client:
                equal(client.reply().code, 421, "the greeting")


@case
def check_config_looks_names_up(world):
    with NameServer({"mail.example": ["127.0.0.1"]}) as names:
        layout = layout_of(world, names, "mail.example:10025", "nobody.example:10025")
        path = world.folder / "names.toml"
        path.write_text(layout.text(), encoding="utf-8")
        code, output, errors = run([world.ringpost_path, f"--config={path}", "--check_config"])
        equal(code, 0, "exit code")
        contains(errors, "nobody.example: there is no such name", "the warning")
        contains(output, '"mail.example:10025", "nobody.example:10025"', "the addresses")
        contains(output, f'resolver = ["{names.address}"]', "the resolver")
