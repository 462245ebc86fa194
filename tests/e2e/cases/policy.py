# SPDX-License-Identifier: GPL-3.0-or-later
"""Forced TLS: the matrix of what is asked, what a client presents, and whether it is enforced.

One case per cell. What a cell expects is worked out below from the words of the documentation, and shares
nothing with the program.
"""

import itertools
import ssl

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from harness.backend import Backend
from harness.case import Failure, case, check, contains, each, equal, eventually
from harness.configured import Layout
from harness.meter import place
from harness.pki import NAME
from harness.process import run
from harness.smtp import Client, context, mail

TLS_FIRST = "530 5.7.0 Must issue a STARTTLS command first"
CERTIFICATE_FIRST = "550 5.7.0 Client certificate required: "
PHRASES = {
    "no-certificate": "no client certificate was presented",
    "untrusted": "client certificate is not signed by a trusted CA",
    "self-signed": "client certificate is self-signed",
    "expired": "client certificate has expired",
    "not-yet-valid": "client certificate is not yet valid",
    "invalid-ca": "client certificate is signed with a certificate that may not sign it",
    "malformed": "client certificate is malformed or too weak",
    "unsupported-key": "client certificate has a key that is not supported",
    "refused-by-library": "client certificate is refused by the TLS library",
    "wrong-purpose": "client certificate is not for TLS clients",
    "wrong-name": "client certificate does not have the expected name",
    "wrong-fingerprint": "client certificate does not have the expected fingerprint",
    "revoked": "client certificate has been revoked",
    "no-fresh-crl": "cannot tell whether the client certificate has been revoked",
}


def reply_to(fault):
    """What a refused MAIL is answered with by default."""
    return TLS_FIRST if fault == "no-tls" else CERTIFICATE_FIRST + PHRASES[fault]


_sources = (f"127.77.{third}.{fourth}" for third in range(1, 255) for fourth in range(1, 255))


def greet(world, address, presented, source=None, tls_context=None):
    """A session after EHLO. `presented`: "no TLS", "no certificate" or the name of an identity. It comes from
    an address that no other session of the run has, unless one is given: ports are soon used again, and the
    log would be read of the wrong session."""
    client = Client(address, source=source or (next(_sources) if ":" not in address[0] else None))
    if presented == "no TLS":
        client.open()
    else:
        client.open(tls_context or world.pki.context(None if presented == "no certificate" else presented))
    return client


def mail_from(client, sender, parameters=""):
    """The reply to MAIL; a transaction that it began is over afterwards."""
    reply = client.command(f"MAIL FROM:<{sender}>{parameters}")
    equal(len(reply.lines), 1, "lines of the reply")
    if reply.code == 250:
        client.expect("RSET", 250)
    return reply.lines[0]


def verdict(world, address, presented, sender="alice@client.example.test", **options):
    """(the reply to one MAIL, the client's address and port) of a session that then ends well."""
    with greet(world, address, presented, **options) as client:
        reply = mail_from(client, sender)
        client.quit()
        return reply, client.local


def judged(proxy, reply, local, faults, what):
    """The reply and the log say that the message met its policies but for `faults`, the first of which was
    enforced if the reply refuses. Each: {key: value} of the log line."""
    refusing = [fault for fault in faults if fault["mode"] == "enforce"]
    if refusing:
        equal(reply, reply_to(refusing[0]["fault"]), f"reply to MAIL, {what}")
    else:
        equal(reply[:4], "250 ", f"reply to MAIL ({reply}), {what}")
    session = proxy.record(local)
    lines = proxy.accusations(local)
    equal({line["id"] for line in lines} - {session["id"]}, set(), f"ids but the session's own, {what}")
    for fault in refusing[:1] or faults:
        check(any(matches(line, fault) for line in lines), f"a log line with {fault}, {what}: {lines}")
    for line in lines:
        check(any(matches(line, fault) for fault in faults), f"only {faults} in the log, {what}: {line}")


def matches(line, wanted):
    return all(line.get(key) == value for key, value in wanted.items())


# --- the matrix -------------------------------------------------------------------------------------------

ROUTES = ("may", "encrypt", "verify")
PARTNERS = ("none", "encrypt", "names", "fingerprints")
MODES = ("enforce", "report")
PRESENTED = ("no TLS", "no certificate", "untrusted", "expired", "not yet valid", "server purpose", "wrong name", "right",
             "revoked", "old", "new")

# Wrong whatever name or fingerprint is asked for.
ALWAYS_WRONG = {"no certificate": "no-certificate", "untrusted": "untrusted", "expired": "expired",
                "not yet valid": "not-yet-valid", "server purpose": "wrong-purpose", "revoked": "revoked"}
# What remains, for the three requirements: the route takes any name below contoso.example.
WRONG_FOR = {"verify": {"wrong name": "wrong-name"},
             "names": {"wrong name": "wrong-name", "old": "wrong-name", "new": "wrong-name"},
             "fingerprints": {"wrong name": "wrong-fingerprint", "right": "wrong-fingerprint"}}


def fault_of(asked, presented):
    if asked in ("may", "none"):
        return None
    if presented == "no TLS":
        return "no-tls"
    if asked == "encrypt":
        return None
    return ALWAYS_WRONG.get(presented) or WRONG_FOR[asked].get(presented)


def matrix_layout(world):
    pki = world.pki
    layout = Layout(world, world.sink.port)
    layout.tls.update(client_ca=pki.ca_a, crl=pki.crl, revocation="soft")
    layout.route("may", tls="may")
    for mode in MODES:
        layout.route(f"encrypt-{mode}", tls="encrypt", mode=mode)
        layout.route(f"verify-{mode}", tls="verify", mode=mode, certificate_names=["*.contoso.example"])
        layout.partner(f"encrypt-{mode}", sender_domains=[f"encrypt-{mode}.example"], tls="encrypt", mode=mode)
        layout.partner(f"names-{mode}", sender_domains=[f"names-{mode}.example"], tls="verify", mode=mode,
                       certificate_names=["mx.contoso.example", NAME])
        layout.partner(f"fingerprints-{mode}", sender_domains=[f"fingerprints-{mode}.example"], tls="verify", mode=mode,
                       fingerprints=[pki["old"].fingerprint, pki["new"].public_key])
    return layout


@each(*itertools.product(ROUTES, PARTNERS, PRESENTED, MODES))
def cell(world, variant):
    route, partner, presented, mode = variant
    proxy = world.shared("matrix", lambda: matrix_layout(world))
    route_name = route if route == "may" else f"{route}-{mode}"
    domain = f"{partner}-{mode}.example"
    reply, local = verdict(world, proxy.at(route_name), presented, f"alice@{domain}")

    common = {"route": route_name, "sender": domain, "mode": mode}
    if presented not in ("no TLS", "no certificate"):
        identity = world.pki[presented]
        common.update(fingerprint=identity.fingerprint, public_key=identity.public_key)
    faults = []
    if fault_of(route, presented):
        faults.append({**common, "partner": None, "asked": route, "fault": fault_of(route, presented)})
    if fault_of(partner, presented):
        faults.append({**common, "partner": f"{partner}-{mode}", "fault": fault_of(partner, presented),
                       "asked": "encrypt" if partner == "encrypt" else "verify"})
    judged(proxy, reply, local, faults, ", ".join(variant))


@case
def a_route_that_reports_and_a_partner_that_enforces(world):
    proxy = world.shared("matrix", lambda: matrix_layout(world))
    reply, local = verdict(world, proxy.at("verify-report"), "no TLS", "alice@encrypt-enforce.example")
    judged(proxy, reply, local, [{"partner": "encrypt-enforce", "fault": "no-tls", "mode": "enforce"},
                                 {"partner": None, "fault": "no-tls", "mode": "report"}], "both in one message")
    reply, local = verdict(world, proxy.at("encrypt-enforce"), "right", "alice@fingerprints-report.example")
    judged(proxy, reply, local, [{"partner": "fingerprints-report", "fault": "wrong-fingerprint", "mode": "report"}],
           "reported inside an enforced level")


@case
def the_log_line_says_who_it_was(world):
    proxy = world.shared("matrix", lambda: matrix_layout(world))
    reply, local = verdict(world, proxy.at("verify-enforce"), "wrong name", source="127.0.0.7")
    equal(reply, reply_to("wrong-name"), "reply to MAIL")
    proxy.record(local)
    lines = proxy.accusations(local)
    equal(len(lines), 1, f"lines about it: {lines}")
    identity = world.pki["wrong name"]
    for key, wanted in {"level": "info", "route": "verify-enforce", "client": f"127.0.0.7:{local[1]}",
                        "sender": "client.example.test", "asked": "verify", "mode": "enforce", "fault": "wrong-name",
                        "fingerprint": identity.fingerprint, "public_key": identity.public_key}.items():
        equal(lines[0].get(key), wanted, f"{key} in {lines[0]}")
    contains(lines[0]["subject"], "mail.fabrikam.example", "the subject")
    contains(lines[0]["issuer"], "Root A", "the issuer")
    check("partner" not in lines[0], f"no partner in {lines[0]}")


@case
def one_session_many_messages(world):
    """Each MAIL is judged for itself; a refusal ends neither the session nor the next message's chances."""
    proxy = world.shared("matrix", lambda: matrix_layout(world))
    identifier, content = mail()
    with greet(world, proxy.at("may"), "wrong name") as client:
        for sender, wanted in (("a@names-enforce.example", reply_to("wrong-name")), ("a@none.example", "250"),
                               ("a@fingerprints-enforce.example", reply_to("wrong-fingerprint")),
                               ("a@encrypt-enforce.example", "250"), ("a@names-report.example", "250"),
                               ("a@names-enforce.example", reply_to("wrong-name"))):
            reply = mail_from(client, sender)
            check(reply.startswith(wanted), f"reply for {sender}: {reply}")
        equal(client.message(content, sender="a@encrypt-enforce.example").code, 250, "reply to the final dot")
        client.quit()
    world.sink.message(identifier.encode())


@each("may", "encrypt-enforce", "verify-enforce")
def a_refused_sender_brings_nothing_in(world, route):
    """RCPT, DATA and the message pipelined behind a refused MAIL: nothing of it becomes a transaction."""
    proxy = world.shared("matrix", lambda: matrix_layout(world))
    identifier, content = mail()
    with greet(world, proxy.at(route), "no TLS" if route == "may" else "no certificate") as client:
        client.send(b"MAIL FROM:<a@names-enforce.example>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n")
        codes = [client.reply().code for _ in range(3)]
        check(codes[0] in (530, 550) and codes[1:] == [503, 503], f"replies to the group: {codes}")
        client.expect("NOOP", 250)
        client.quit()
    with greet(world, proxy.at("may"), "no certificate") as client:  # and BDAT
        client.send(b"MAIL FROM:<a@names-enforce.example>\r\nRCPT TO:<bob@example.test>\r\n" +
                    f"BDAT {len(content)} LAST\r\n".encode() + content + b"NOOP\r\n")
        codes = [client.reply().code for _ in range(4)]
        check(codes == [550, 503, 503, 250], f"replies to the group: {codes}")
        client.quit()
    check(not any(identifier.encode() in stored for stored in world.sink.contents()), "nothing is stored")


# --- what a certificate may not get away with: PROTOCOL 44 and the table of attacks -------------------------

def attack_layout(world):
    pki = world.pki
    layout = Layout(world, world.sink.port)
    layout.tls.update(client_ca=pki.ca_a)
    layout.route("names", tls="verify", certificate_names=[NAME], partners=False)
    layout.route("any name", tls="verify", partners=False)
    layout.route("common name", tls="verify", certificate_names=[NAME], accept_common_name=True, partners=False)
    layout.route("common names", tls="verify", certificate_names=["*.contoso.example"], accept_common_name=True,
                 partners=False)
    layout.route("server purpose", tls="verify", certificate_names=[NAME], accept_server_auth_purpose=True, partners=False)
    layout.route("wildcard", tls="verify", certificate_names=["*.contoso.example"], partners=False)
    layout.route("contoso.com", tls="verify", certificate_names=["contoso.com"], partners=False)
    layout.route("pinned", tls="verify", client_ca="", partners=False,
                 fingerprints=[pki["self-signed"].fingerprint, pki["self-signed and expired"].fingerprint,
                               pki["untrusted"].public_key, pki["server purpose"].fingerprint])
    layout.route("renewal", tls="verify", partners=False, fingerprints=[pki["old"].fingerprint.lower().replace(":", ""),
                                                                      pki["new"].public_key])
    layout.route("root b", tls="verify", client_ca=pki.ca_b, partners=False)
    return layout


ATTACKS = (
    # (route, presented, fault or None)
    ("names", "right", None), ("names", "rsa", None), ("names", "any purpose", None), ("names", "upper case", None),
    ("names", "second name", None), ("names", "wildcard", None), ("names", "intermediate", None),
    ("names", "intermediate and root", None), ("names", "chain in disorder", None), ("names", "deep chain", None),
    ("names", "wrong name", "wrong-name"), ("names", "common name only", "wrong-name"),
    ("names", "common name beside", "wrong-name"), ("names", "nul", "malformed"),
    ("names", "nul in a host name", "malformed"), ("names", "*.com", "wrong-name"), ("names", "*", "wrong-name"),
    ("names", "partial wildcard", "wrong-name"), ("names", "missing intermediate", "untrusted"),
    ("names", "untrusted", "untrusted"), ("names", "untrusted with its root", "untrusted"),
    ("names", "self-signed", "self-signed"), ("names", "CA:FALSE", "invalid-ca"),
    ("names", "signed by a leaf", "invalid-ca"), ("names", "path length", "invalid-ca"),
    ("names", "expired", "expired"), ("names", "not yet valid", "not-yet-valid"),
    ("names", "server purpose", "wrong-purpose"),
    ("any name", "wrong name", None), ("any name", "untrusted", "untrusted"),
    ("common name", "common name only", None), ("common name", "common name beside", "wrong-name"),
    ("common name", "right", None), ("common name", "nul", "malformed"), ("any name", "nul", "malformed"),
    ("common names", "only contoso.example", None), ("common names", "only contoso.example, common name", None),
    ("common names", "only contoso.example, blank", "wrong-name"), ("common names", "only fabrikam.example", "invalid-ca"),
    ("common names", "only fabrikam.example, common name", "invalid-ca"),
    ("common names", "only fabrikam.example, blank", "wrong-name"), ("any name", "only fabrikam.example, blank", None),
    ("server purpose", "server purpose", None), ("server purpose", "right", None), ("server purpose", "any purpose", None),
    ("wildcard", "right", None), ("wildcard", "wildcard", None), ("wildcard", "wrong name", "wrong-name"),
    ("wildcard", "*.com", "wrong-name"), ("contoso.com", "*.com", "wrong-name"), ("contoso.com", "*", "wrong-name"),
    ("pinned", "self-signed", None), ("pinned", "untrusted", None), ("pinned", "self-signed and expired", "expired"),
    ("pinned", "server purpose", "wrong-purpose"), ("pinned", "right", "wrong-fingerprint"),
    ("pinned", "no certificate", "no-certificate"),
    ("renewal", "old", None), ("renewal", "new", None), ("renewal", "renewed", None), ("renewal", "right", "wrong-fingerprint"),
    ("root b", "untrusted", None), ("root b", "right", "untrusted"),
)


@each(*ATTACKS)
def certificate(world, variant):
    route, presented, fault = variant
    proxy = world.shared("attacks", lambda: attack_layout(world))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        options = {"lowest": version, "highest": version}
        tls = context(**options) if presented == "no certificate" else world.pki[presented].context(**options)
        reply, local = verdict(world, proxy.at(route), presented, tls_context=tls)
        faults = [{"fault": fault, "mode": "enforce", "asked": "verify"}] if fault else []
        judged(proxy, reply, local, faults, f"{version.name}: {', '.join(map(str, variant))}")


@case
def a_bad_certificate_changes_nothing_for_others(world):
    """What a hostile client brings along never becomes trusted, neither for itself nor for the next one."""
    proxy = world.shared("attacks", lambda: attack_layout(world))
    hostile = ("untrusted with its root", "CA:FALSE", "signed by a leaf", "chain in disorder", "path length")
    for presented in hostile * 3:
        verdict(world, proxy.at("names"), presented)
        for then, fault in (("untrusted", "untrusted"), ("missing intermediate", "untrusted"), ("right", None)):
            reply, _ = verdict(world, proxy.at("names"), then)
            wanted = reply_to(fault) if fault else "250 "
            check(reply.startswith(wanted), f"{then} after {presented}: {reply}")


@case
def a_bad_certificate_does_not_break_where_none_is_needed(world):
    """`may` and `encrypt` with partners that look at certificates: the handshake completes with any."""
    proxy = world.shared("matrix", lambda: matrix_layout(world))
    for route in ("may", "encrypt-enforce"):
        for presented in world.pki.identities:
            reply, local = verdict(world, proxy.at(route), presented)
            check(reply.startswith("250 "), f"{presented} on {route}: {reply}")
            equal(proxy.record(local)["reason"], "quit", f"{presented} on {route}: the session line's reason")


UNCHECKED = {"secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
             "brainpoolP256r1": lambda: ec.generate_private_key(ec.BrainpoolP256R1()),
             "rsa 4608": lambda: rsa.generate_private_key(65537, 4608)}


def unchecked_layout(world):
    """Routes for identities of the trusted root whose keys wolfSSL has no code for."""
    pki = world.pki
    world.unchecked = {name: pki.add(name, *pki.root_a.issue(NAME, key=make())) for name, make in UNCHECKED.items()}
    for name in UNCHECKED:
        del pki.identities[name]  # no case but these knows how they fare
    layout = Layout(world, world.sink.port)
    layout.tls.update(client_ca=pki.ca_a)
    layout.route("may", tls="may")
    layout.route("names", tls="verify", certificate_names=[NAME], partners=False)
    layout.route("pinned", tls="verify", client_ca="", partners=False,
                 fingerprints=[identity.fingerprint for identity in world.unchecked.values()])
    layout.partner("names", sender_domains=["names.example"], tls="verify", certificate_names=[NAME])
    return layout


@each(*((name, version) for name in UNCHECKED for version in ("TLSv1_2", "TLSv1_3")))
def a_key_that_cannot_be_checked(world, variant):
    """The handshake succeeds; what it proves is nothing, whatever names, CA or fingerprint are asked for."""
    proxy = world.shared("unchecked", lambda: unchecked_layout(world))
    version = getattr(ssl.TLSVersion, variant[1])
    tls = world.unchecked[variant[0]].context(lowest=version, highest=version)
    # TLS 1.3 has no scheme for these curves, so that OpenSSL presents nothing.
    fault = "no-certificate" if variant[1] == "TLSv1_3" and variant[0] != "rsa 4608" else "unsupported-key"
    for route, sender, refused in (("may", "a@x.example", False), ("may", "a@names.example", True),
                                   ("names", "a@x.example", True), ("pinned", "a@x.example", True)):
        reply, local = verdict(world, proxy.at(route), variant[0], sender, tls_context=tls)
        faults = [{"fault": fault, "mode": "enforce", "asked": "verify"}] if refused else []
        judged(proxy, reply, local, faults, f"{variant} at {route} from {sender}")


@each("TLSv1_2", "TLSv1_3")
def a_key_for_pss_only(world, version):
    """An RSASSA-PSS key (RFC 4055), which signs with rsa_pss_pss_*."""
    key, cert = world.folder / f"pss-{version}.key", world.folder / f"pss-{version}.pem"
    for words in (["genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(key)],
                  ["req", "-new", "-x509", "-key", str(key), "-subj", "/CN=pss.example", "-days", "9", "-out", str(cert)]):
        code, output, errors = run(["openssl", *words], seconds=60)
        equal(code, 0, f"openssl {words[0]}: {errors}")
    number = getattr(ssl.TLSVersion, version)
    tls = context(lowest=number, highest=number)
    tls.load_cert_chain(cert, key)
    proxy = world.shared("attacks", lambda: attack_layout(world))
    reply, local = verdict(world, proxy.at("any name"), "pss", tls_context=tls)
    judged(proxy, reply, local, [{"fault": "self-signed", "mode": "enforce", "asked": "verify"}], f"{version}")


@each("tls1_2", "tls1_3")
def schemes_that_a_client_is_asked_for(world, version):
    """No SHA-1 and no SHA-224 (RFC 9155), and in TLS 1.3 no PKCS #1 of theirs either."""
    proxy = world.shared("attacks", lambda: attack_layout(world))
    host, port = proxy.at("names")
    _, output, errors = run(["openssl", "s_client", "-starttls", "smtp", "-connect", f"{host}:{port}", f"-{version}"],
                            text="QUIT\r\n", seconds=30)
    lines = [line for line in (output + errors).splitlines() if line.startswith("Requested Signature Algorithms")]
    equal(len(lines), 1, f"lines that say so in {output}")
    contains(lines[0], "ECDSA+SHA256", "the schemes")
    contains(lines[0], "RSA-PSS+SHA256", "the schemes")
    check("SHA1" not in lines[0] and "SHA224" not in lines[0] and "0x03" not in lines[0], lines[0])


@each("TLSv1_2", "TLSv1_3")
def a_chain_beyond_all_bounds(world, version):
    """Forty intermediates: the handshake may fail, or MAIL be refused, and nobody else notices."""
    version = getattr(ssl.TLSVersion, version)
    proxy = world.shared("attacks", lambda: attack_layout(world))
    tls = world.pki.very_deep.context(lowest=version, highest=version)
    for _ in range(5):
        try:
            reply, _ = verdict(world, proxy.at("names"), "very deep chain", tls_context=tls)
            check(reply.startswith(CERTIFICATE_FIRST), f"reply to MAIL: {reply}")
        except (ssl.SSLError, Failure, OSError):  # an alert, in TLS 1.3 only after the client's own part
            pass
        check(verdict(world, proxy.at("names"), "right")[0].startswith("250 "), "the next client")
    check(proxy.process.running(), "ringpost runs on")


@case
def the_backend_is_told_who_it_was(world):  # PROTOCOL 37: PP2_TYPE_SSL's client bits, verify and common name
    with Backend() as backend:
        layout = Layout(world, backend.port)
        layout.tls.update(client_ca=world.pki.ca_a)
        layout.route("mx", tls="may").route("implicit", tls="verify", implicit_tls=True)
        layout.route("names", tls="may", certificate_names=["mx.contoso.example"])
        layout.route("pinned", tls="verify", client_ca="", fingerprints=[world.pki["right"].fingerprint])
        with world.configured(layout) as proxy:
            for presented, known, verified in (("right", True, True), ("untrusted", True, False),
                                               ("no certificate", False, False)):
                reply, _ = verdict(world, proxy.at("mx"), presented)
                check(reply.startswith("250 "), f"reply to {presented}: {reply}")
                tlvs = backend.sessions[-1].proxy[4]
                flags, verify = tlvs[0x20][0], int.from_bytes(tlvs[0x20][1:5], "big")
                equal((flags & 1, bool(flags & 6), verify == 0), (1, known, verified), f"client bits and verify for {presented}")
                equal(tlvs.get(0x22), NAME.encode() if known else None, f"PP2_SUBTYPE_SSL_CN for {presented}")
            for presented, wanted in (("right", "250 "), ("expired", reply_to("expired"))):
                with Client(proxy.at("implicit"), implicit=world.pki.context(presented)) as client:
                    client.open()
                    check(mail_from(client, "a@x.example").startswith(wanted), f"{presented} where TLS comes first")
                    client.quit()
            flags, verify = backend.sessions[-1].proxy[4][0x20][0], backend.sessions[-1].proxy[4][0x20][1:5]
            check(flags & 6 and verify != b"\0\0\0\0", "an expired one is not verified")
            # Not what the route's own rule asks for; and a fingerprint says nothing about a common name.
            for route in ("names", "pinned"):
                reply, _ = verdict(world, proxy.at(route), "right")
                check(reply.startswith("250 "), f"reply on {route}: {reply}")
                tlvs = backend.sessions[-1].proxy[4]
                check(tlvs[0x20][1:5] != b"\0\0\0\0", f"not verified on {route}")


@case
def a_second_mail_in_a_transaction(world):
    proxy = world.shared("matrix", lambda: matrix_layout(world))
    identifier, content = mail()
    with greet(world, proxy.at("may"), "no TLS") as client:
        client.expect("MAIL FROM:<a@none.example>", 250)
        check(client.command("MAIL FROM:<a@encrypt-enforce.example>").code in (503, 530), "another sender in between")
        client.expect("RCPT TO:<bob@example.test>", 250)
        client.expect("DATA", 354)
        client.send(content + b".\r\n")
        equal(client.reply().code, 250, "reply to the final dot")
        client.quit()
    equal(world.sink.message(identifier.encode())[1]["mail_from"].strip("<>"), "a@none.example", "the stored message's sender")


@case
def limits_of_a_route(world):
    layout = Layout(world, world.sink.port)
    layout.route("small", tls="may", sessions_max=2, command_timeout="1s").route("large", tls="may")
    with world.configured(layout) as proxy:
        held = [greet(world, proxy.at("large"), "no TLS") for _ in range(4)]
        few = [Client(proxy.at("small")) for _ in range(2)]
        for client in few:
            client.greeting()
        with Client(proxy.at("small")) as client:
            contains(client.expect(None, 421).raw, b"mx.example.test", "the third session's greeting")
        for client in few:
            check(client.rest().startswith(b"421 4.4.2 "), "the route's own time-out")
        eventually(lambda: place(proxy.at("small")), "a place for another session").drop()
        for client in held:  # the other route's is longer
            client.expect("NOOP", 250)
            client.quit()
        # Limits are the route's over a reload, too: who has left no longer counts.
        proxy.reload(layout.copy().route("small", tls="may", sessions_max=1))
        eventually(lambda: proxy.results()[-1][0] == "info", "the reload")
        with eventually(lambda: place(proxy.at("small")), "the end of the session before"):
            with Client(proxy.at("small")) as other:
                other.expect(None, 421)


@case
def replies_can_be_configured(world):
    layout = Layout(world, world.sink.port)
    layout.tls.update(client_ca=world.pki.ca_a)
    layout.route("mx", tls="verify", certificate_reply="450 4.7.0 Come back with {reason}")
    layout.route("open", tls="may")
    layout.partner("contoso", sender_domains=["contoso.example"], networks=["127.0.0.3"], restrict_to_networks=True,
                   tls="verify", tls_reply="454 4.7.0 TLS please", certificate_reply="554 5.7.5 No: {reason}.",
                   network_reply="551 5.7.1 Not from there")
    with world.configured(layout) as proxy:
        for route, presented, sender, source, wanted in (
                ("mx", "expired", "a@x.example", None, "450 4.7.0 Come back with client certificate has expired"),
                ("open", "no TLS", "a@contoso.example", "127.0.0.3", "454 4.7.0 TLS please"),
                ("open", "no certificate", "a@contoso.example", "127.0.0.3",
                 "554 5.7.5 No: no client certificate was presented."),
                ("open", "right", "a@contoso.example", "127.0.0.4", "551 5.7.1 Not from there"),
                ("open", "right", "a@contoso.example", "127.0.0.3", "250 2.1.0 Ok")):
            reply, _ = verdict(world, proxy.at(route), presented, sender, source=source)
            equal(reply, wanted, f"reply to {presented} on {route}")


# --- resumption -------------------------------------------------------------------------------------------

def resumption_of(world, address, tls, session=None):
    """(session, whether it was resumed) of one more connection."""
    with Client(address) as client:
        client.greeting()
        client.expect("EHLO a", 250)
        client.expect("STARTTLS", 220)
        client.handshake(tls, session=session)
        client.expect("EHLO a", 250)
        client.quit()
        return client.tls.session, client.tls.session_reused


@each("TLSv1_2", "TLSv1_3")
def a_certificate_requirement_is_never_resumed(world, version):  # PROTOCOL 30
    version = getattr(ssl.TLSVersion, version)
    layout = Layout(world, world.sink.port)
    layout.tls.update(client_ca=world.pki.ca_a)
    layout.route("verify", tls="verify").route("partners", tls="may").route("none", tls="may", partners=False, client_ca="")
    layout.partner("contoso", sender_domains=["contoso.example"], tls="verify", certificate_names=[NAME])
    with world.configured(layout) as proxy:
        plain = context(lowest=version, highest=version)
        session, _ = resumption_of(world, proxy.at("none"), plain)
        check(resumption_of(world, proxy.at("none"), plain, session)[1], "resumes where no certificate is asked for")
        for route in ("verify", "partners"):
            for presented in (None, "right", "untrusted"):
                tls = (world.pki[presented].context(lowest=version, highest=version) if presented
                       else context(lowest=version, highest=version))
                session, _ = resumption_of(world, proxy.at(route), tls)
                check(session is None or not session.has_ticket, f"no ticket on {route} for {presented}")
                if session is not None:
                    check(not resumption_of(world, proxy.at(route), tls, session)[1], f"{route}: {presented} does not resume")
        # Nor with the ticket of a route of the same process that asks for nothing.
        session, _ = resumption_of(world, proxy.at("none"), plain)
        check(not resumption_of(world, proxy.at("verify"), plain, session)[1], "another route's ticket")


@case
def a_ticket_from_before_the_requirement(world):  # PROTOCOL 30
    layout = Layout(world, world.sink.port)
    layout.tls.update(client_ca=world.pki.ca_a)
    layout.route("mx", tls="may", client_ca="")
    with world.configured(layout) as proxy:
        contexts = [context(lowest=version, highest=version) for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)]
        sessions = [resumption_of(world, proxy.at("mx"), tls)[0] for tls in contexts]
        for tls, session in zip(contexts, sessions):
            check(resumption_of(world, proxy.at("mx"), tls, session)[1], "resumes before")
        strict = layout.copy().route("mx", tls="verify")
        equal(proxy.reload(strict)[0], "info", "level of the reload's result")
        for tls, session in zip(contexts, sessions):
            check(not resumption_of(world, proxy.at("mx"), tls, session)[1], "does not resume after")
