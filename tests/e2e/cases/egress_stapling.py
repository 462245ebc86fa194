# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail that leaves to a server that staples an OCSP response: what is made of it, in the reply to MAIL and in the log.

The servers are OpenSSL's and Exim, the responses are made by cryptography. Most routes have no list.
"""

from cryptography.x509.ocsp import OCSPCertStatus

from cases.egress import REVOKED, TLS, UNKNOWN, expect, send
from cases.egress_mta import EximPartner
from harness.case import check, contains, each, equal, eventually
from harness.configured import Layout
from harness.pki import DAY
from harness.server_pki import HOST
from harness.stapling import StaplingServer, ocsp_response

NONE = "no response at all"
NO_SAY = {"off": TLS, "soft": TLS, "hard": UNKNOWN}
NOT_REVOKED = {"off": TLS, "soft": TLS, "hard": TLS}
IS_REVOKED = {"off": TLS, "soft": REVOKED, "hard": REVOKED}

RESPONSES = (
    # (what the response is like, how it is made, what comes of it, the words of the warning)
    ("good", {}, NOT_REVOKED, None),
    ("good, from a signer of the CA", {"signer": "OCSP signer"}, NOT_REVOKED, None),
    ("good, without an end", {"end": None}, NOT_REVOKED, None),
    ("revoked", {"status": OCSPCertStatus.REVOKED}, IS_REVOKED, None),
    ("revoked, from a signer of the CA", {"status": OCSPCertStatus.REVOKED, "signer": "OCSP signer"}, IS_REVOKED, None),
    ("out of date", {"begin": -9 * DAY, "end": -2 * DAY}, NO_SAY, "does not count: it is out of date since 20"),
    ("old, without an end", {"begin": -9 * DAY, "end": None}, NO_SAY, "does not say when the next one comes"),
    ("not yet valid", {"begin": DAY, "end": 2 * DAY}, NO_SAY, "does not count: it begins to count only on 20"),
    ("unknown", {"status": OCSPCertStatus.UNKNOWN}, NO_SAY, "does not know the certificate"),
    ("revoked, from another CA's signer", {"status": OCSPCertStatus.REVOKED, "signer": "OCSP signer of another CA"}, NO_SAY,
     "signed neither by the CA of the certificate nor by one whom that CA lets sign"),
    ("signed with the server's own key", {"signer": "right"}, NO_SAY, "not for signing OCSP responses"),
    ("of another certificate", {"of": "second name"}, NO_SAY, "is about another certificate"),
    ("none", NONE, NO_SAY, None),
)


def response_of(pki, made, identity="right", issuer=None):
    if made is NONE:
        return None
    options = dict(made)
    about = pki[options.pop("of", identity)]
    signer = options.pop("signer", None)
    return ocsp_response(about, issuer or pki.root_a, signer=pki[signer] if signer else None, **options)


def send_by(world, version, identity, response, wanted, words, **trust):
    """A message through a route of each level of `wanted`, to a server of its own."""
    pki = world.server_pki
    servers, layout = {}, Layout(world, None)
    try:
        for level in wanted:
            servers[level] = StaplingServer(world.folder, f"s_server-{level}", pki[identity], version, response)
            layout.egress(level, f"127.0.0.1:{servers[level].port}", tls="trusted", ca=pki.ca_a, revocation=level, implicit_tls=True, **trust)
        with world.configured(layout) as proxy:
            for level, expected in wanted.items():
                server = servers[level]
                reply, _, _ = send(proxy.at(level))
                found = TLS if reply.startswith("250 ") else reply.replace("127.0.0.1", "HOST")
                expect(found, expected, level)
                equal(server.messages, 1 if found == TLS else 0, f"messages at the server of {level}")
                if found != TLS:
                    equal([line for line in server.commands if line.startswith((b"MAIL", b"RCPT"))], [], "commands at the server")
                check(proxy.process.running(), "ringpost runs")
            eventually(lambda: len(proxy.records()) == len(wanted), "the session lines")
            warnings = [event["message"] for event in proxy.events("trust") if event["level"] == "warning"]
            if words is None:
                equal(warnings, [], "warnings")
            else:
                equal(len(warnings), 1, f"warnings, of {warnings}")
                contains(warnings[0], "the OCSP response that was stapled to the certificate \"CN=" + HOST, "the warning")
                contains(warnings[0], words, "the warning")
            faults = {record["route"]: record.get("fault") for record in proxy.records()}
            for level, expected in wanted.items():
                equal(faults[level], {TLS: None, REVOKED: "revoked", UNKNOWN: "no-fresh-crl"}[expected], f"the log's fault at {level}")
    finally:
        for server in servers.values():
            server.__exit__()


@each(*((version, *row) for version in ("tls1_2", "tls1_3") for row in RESPONSES), named=2)
def stapled(world, variant):
    version, _, made, wanted, words = variant
    send_by(world, version, "right", response_of(world.server_pki, made), wanted, words)


@each("tls1_2", "tls1_3")
def below_an_intermediate_ca(world, version):
    """The response is for the server's certificate; of the CA's there has to be a list."""
    pki = world.server_pki
    response = response_of(pki, {}, "intermediate", pki.intermediate)
    send_by(world, version, "intermediate", response, NO_SAY, None)
    send_by(world, version, "intermediate", response, {"soft": TLS, "hard": TLS}, None, crl=pki.crl)
    revoked = response_of(pki, {"status": OCSPCertStatus.REVOKED}, "intermediate", pki.intermediate)
    send_by(world, version, "intermediate", revoked, {"soft": REVOKED, "hard": REVOKED}, None, crl=pki.crl)


@each("tls1_2", "tls1_3")
def a_list_outweighs_it(world, version):
    pki = world.server_pki
    send_by(world, version, "revoked", response_of(pki, {}, "revoked"), {"soft": REVOKED, "hard": REVOKED}, None, crl=pki.crl)


@each(("staples", {}, TLS), ("does not", NONE, UNKNOWN), named=True)
def exim(world, variant):
    """After STARTTLS, by GnuTLS, which refuses to staple any but good responses."""
    name, made, wanted = variant
    pki = world.server_pki
    more = ""
    if made is not NONE:
        path = world.folder / "exim.ocsp"
        path.write_bytes(response_of(pki, made))
        path.chmod(0o644)
        more = f"tls_ocsp_file = {path}"
    partner = EximPartner(world, f"exim-that-{name.replace(' ', '-')}", pki["right"], more=more)
    try:
        layout = Layout(world, None).egress("out", partner.address, tls="trusted", ca=pki.ca_a, revocation="hard")
        with world.configured(layout) as proxy:
            reply, _, _ = send(proxy.at("out"))
            expect(TLS if reply.startswith("250 ") else reply.replace("127.0.0.1", "HOST"), wanted, name)
    finally:
        partner.stop()
