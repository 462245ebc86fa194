# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS sessions with a partner's server are resumed, and every verdict holds as it would after a full handshake."""

import ssl

from harness.backend import CLOSE, SILENT
from harness.case import case, check, each, equal, eventually
from harness.configured import Layout
from harness.names import NameServer
from harness.partner import PROCEED, Partner
from harness.server_pki import HOST
from cases.egress import NAME, TLS, expect, outcome

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class Forgetful(Partner):
    """`handshake` is what becomes of connections in turn, and PROCEED of those behind them."""

    def __init__(self, tls, *handshakes):
        super().__init__(tls)
        self.handshakes = list(handshakes)

    @property
    def handshake(self):
        return self.handshakes.pop(0) if self.handshakes else PROCEED

    @handshake.setter
    def handshake(self, value):
        pass


def layout_of(world, names, partner):
    layout = Layout(world, None, resolver=[names.address])
    for route in ("out", "other"):
        layout.egress(route, f"{HOST}:{partner.port}", ca=world.server_pki.ca_a, tls="verify")
    return layout


def lines(proxy, count):
    return eventually(lambda: len(found) == count and found if (found := [
        record for record in proxy.records() if record.get("direction") == "out"]) else None, f"{count} session lines")


@case
def the_next_message_resumes(world):
    """Each route for itself: what one has verified is nothing to another."""
    with NameServer({HOST: ["127.0.0.1"]}) as names, Partner(world.server_pki.server_context("right", lowest=V13)) as partner:
        with world.configured(layout_of(world, names, partner)) as proxy:
            for route in ("out", "out", "out", "other", "other"):
                equal(outcome(partner, proxy.at(route), "verify", HOST), TLS, route)
            found = lines(proxy, 5)
            equal([bool(line.get("resumed")) for line in found], [False, True, True, False, True], "resumed")
            equal([session.resumed for session in partner.sessions], [False, True, True, False, True], "resumed, by the partner")
            check(all(line["tls"] == "TLSv1.3" for line in found), f"versions: {found}")


@each("tickets", "no tickets")
def tls_1_2_does_not(world, how):
    """Its resumed sessions have no new keys. A server that only has a bad certificate by now is not taken for the old one,
    not even after it was seen."""
    def context(identity):
        tls = world.server_pki.server_context(identity, highest=V12)
        if how == "no tickets":
            tls.options |= ssl.OP_NO_TICKET
        return tls
    with NameServer({HOST: ["127.0.0.1"]}) as names, Partner(context("right")) as partner:
        with world.configured(layout_of(world, names, partner)) as proxy:
            for _ in range(2):
                equal(outcome(partner, proxy.at("out"), "verify", HOST), TLS, "the certificate that is good")
            partner.tls = context("wrong name")
            for _ in range(3):
                expect(outcome(partner, proxy.at("out"), "verify", HOST), NAME, "the one that is not")
            check(not any(session.resumed for session in partner.sessions), "resumed, by the partner")


@each(("closes", CLOSE), ("is silent", SILENT), named=1)
def a_server_that_fails_where_it_is_asked_to_resume(world, variant):
    """It is asked for a full handshake at once, and the mail goes."""
    _, failure = variant
    with NameServer({HOST: ["127.0.0.1"]}) as names, \
            Forgetful(world.server_pki.server_context("right", lowest=V13), PROCEED, failure) as partner:
        layout = layout_of(world, names, partner)
        for route in layout.egresses.values():
            route["handshake_timeout"] = "1s"
        with world.configured(layout) as proxy:
            equal(outcome(partner, proxy.at("out"), "verify", HOST), TLS, "the first")
            equal(outcome(partner, proxy.at("out"), "verify", HOST), TLS, "the second")
            equal(len(partner.sessions), 3, "connections")
            equal([session.resumed for session in partner.sessions], [False, None, False], "resumed, by the partner")
            equal([bool(line.get("resumed")) for line in lines(proxy, 2)], [False, False], "resumed")


@case
def a_server_that_fails_always(world):
    """One retry, and then the mail server hears of it."""
    with NameServer({HOST: ["127.0.0.1"]}) as names, \
            Forgetful(world.server_pki.server_context("right"), PROCEED, *[CLOSE] * 10) as partner:
        with world.configured(layout_of(world, names, partner)) as proxy:
            equal(outcome(partner, proxy.at("out"), "verify", HOST), TLS, "the first")
            expect(outcome(partner, proxy.at("out"), "verify", HOST), r"450 4\.7\.5 HOST\b.*closed the connection during", "the second")
            equal(len(partner.sessions), 3, "connections")


@case
def another_certificate_on_the_same_server(world):
    """A server that takes its old tickets although its certificate is another one: what it has proven is the old one.
    One that does not is judged by the new one."""
    context = world.server_pki.server_context("right")
    with NameServer({HOST: ["127.0.0.1"]}) as names, Partner(context) as partner:
        with world.configured(layout_of(world, names, partner)) as proxy:
            equal(outcome(partner, proxy.at("out"), "verify", HOST), TLS, "the first")
            partner.tls = world.server_pki.server_context("wrong name")
            expect(outcome(partner, proxy.at("out"), "verify", HOST), NAME, "the second")
            partner.tls = context
            equal(outcome(partner, proxy.at("out"), "verify", HOST), TLS, "the third")


@case
def a_reload_forgets(world):
    """A session that one CA was good enough for is not resumed under another."""
    with NameServer({HOST: ["127.0.0.1"]}) as names, Partner(world.server_pki.server_context("right")) as partner:
        with world.configured(layout_of(world, names, partner)) as proxy:
            equal(outcome(partner, proxy.at("out"), "verify", HOST), TLS, "the first")
            proxy.layout.egresses["out"]["ca"] = world.server_pki.ca_b
            proxy.reload(proxy.layout)
            expect(outcome(partner, proxy.at("out"), "verify", HOST), r"450 4\.7\.\d+ HOST\b.*trusted", "under another CA")
