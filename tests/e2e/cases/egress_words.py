# SPDX-License-Identifier: GPL-3.0-or-later
"""What the log says of routes on which mail leaves, and of what belongs to them: it is about servers, not clients."""

from harness.case import case, check, contains, equal, eventually
from harness.configured import Layout
from harness.names import NameServer
from harness.pki import DAY, Authority, pem
from harness.process import run
from harness.server_pki import HOST
from harness.smtp import Client


def said(proxy, component):
    return [event["message"] for event in proxy.events(component)]


@case
def start_lines(world):
    """Each route of egress has one line for each listener, with what it really does."""
    pki = world.server_pki
    own = pki["our own"]
    trust = {"ca": pki.ca_a, "crl": pki.crl}
    with NameServer({HOST: ["127.0.0.1"]}) as names:
        layout = Layout(world, world.sink.port, resolver=[names.address]).route("mx", tls="may")
        layout.egress("plain", "127.0.0.1:2500")
        layout.egress("partner", f"{HOST}:25", tls="secure", match=[HOST], **trust)
        layout.egress("two", f"{HOST}:25", "127.0.0.3:26", tls="encrypt", mode="report")
        layout.egress("all", f"{HOST}:465", tls="verify", implicit_tls=True, hard_bounce=True, client_cert=own.cert_path,
                      client_key=own.key_path, **trust)
        with world.configured(layout) as proxy:
            at = {name: f"127.0.0.1:{port}" for name, port in layout.ports.items()}
            equal([line for line in said(proxy, "route") if line.startswith("egress")], [
                f'egress "plain": {at["plain"]} -> 127.0.0.1:2500, may',
                f'egress "partner": {at["partner"]} -> {HOST}:25, secure',
                f'egress "two": {at["two"]} -> {HOST}:25 or 127.0.0.3:26, encrypt, report only',
                f'egress "all": {at["all"]} -> {HOST}:465, verify, implicit TLS, has a certificate of its own, hard_bounce',
            ], "the lines of egress routes")
            check(any(line.startswith(f'mx: {at["mx"]} (STARTTLS, may) -> backend ') for line in said(proxy, "route")),
                  f"the line of the ingress route: {said(proxy, 'route')}")
            equal(said(proxy, "trust"), [f"server certificates signed by {pki.ca_a}, revocation soft by {pki.crl}"], "whose CA")


@case
def one_ca_for_both_sides(world):
    pki = world.server_pki
    layout = Layout(world, world.sink.port)
    layout.tls["client_ca"] = pki.ca_a
    layout.route("mx", tls="verify", certificate_names=["our.example"])
    layout.egress("partner", "127.0.0.1:2500", tls="verify", ca=pki.ca_a)
    with world.configured(layout) as proxy:
        equal(said(proxy, "trust"), [f"client and server certificates signed by {pki.ca_a}, revocation off"], "whose CA")


@case
def a_name_without_an_address(world):
    """The warning says what our own mail server will hear, and that is what it hears."""
    with NameServer({}) as names, \
            world.configured(Layout(world, None, resolver=[names.address]).egress("partner", f"{HOST}:25", tls="encrypt")) as proxy:
        warning = said(proxy, "names")[0]
        contains(warning, "mail for it waits (451 to MAIL) until it has an address", "the warning")
        with Client(proxy.at("partner")) as client:
            client.open(helo="sender.example.test")
            equal(client.command("MAIL FROM:<alice@client.example.test>").code, 451, "the reply to MAIL")
            client.quit()


@case
def each_partner_has_its_warning(world):
    """One that cannot be reached does not silence what is to be said of another at the same time."""
    layout = Layout(world, None)
    servers = {route: f"127.0.0.1:{world.closed_port()}" for route in ("bank", "clinic")}
    for route, server in servers.items():
        layout.egress(route, server, tls="encrypt")
    with world.configured(layout) as proxy:
        for route in servers:
            with Client(proxy.at(route)) as client:
                client.open(helo="sender.example.test")
                equal(client.command("MAIL FROM:<alice@client.example.test>").code, 451, "the reply to MAIL")
                client.quit()
        warnings = eventually(lambda: said(proxy, "upstream") if len(said(proxy, "upstream")) == 2 else None, "two warnings")
        equal(warnings, [f'egress "{route}": {server}: cannot be reached: Connection refused' for route, server in servers.items()],
              "the warnings")


@case
def an_expired_ca(world):
    """A bundle of public roots always has some: it is not our clients that are refused for them."""
    pki = world.server_pki
    bundle = world.folder / "bundle.pem"
    bundle.write_bytes(pem(Authority("Old Root", end=-DAY).certificate) + pki.ca_a.read_bytes())
    path = world.folder / "expired-ca.toml"
    path.write_text(Layout(world, None).egress("partner", "127.0.0.1:2500", tls="verify", ca=bundle).text(), encoding="utf-8")
    code, _, errors = run([world.ringpost_path, f"--config={path}", "--check_config"])
    equal(code, 0, f"exit code; it said {errors!r}")
    contains(errors, f'the CA "CN=Old Root, O=Contoso" in {bundle} expired on ', "the warning")
    contains(errors, "; certificates that it signed are refused", "the warning")
    check("client" not in errors, f"nothing about clients: {errors}")


@case
def an_expired_certificate_of_our_own(world):
    old = world.pki["self-signed and expired"]
    key = world.folder / "expired-client.key"
    key.touch(mode=0o600)
    key.write_bytes(old.key_path.read_bytes())
    path = world.folder / "expired-client.toml"
    path.write_text(Layout(world, None).egress("partner", "127.0.0.1:2500", tls="encrypt", client_cert=old.cert_path,
                                               client_key=key).text(), encoding="utf-8")
    code, _, errors = run([world.ringpost_path, f"--config={path}", "--check_config"])
    equal(code, 0, f"exit code; it said {errors!r}")
    contains(errors, f"the certificate {old.cert_path} expired on ", "the warning")
    contains(errors, "; partners' servers that ask for it will refuse it", "the warning")
