# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail that leaves: each level of TLS × each thing that may be wrong with the partner's server.

One case per server, with a route for each level. What is expected is worked out from the words of the
documentation, and shares nothing with the program.
"""

import re
import signal
import ssl

from cryptography.hazmat.primitives.serialization import Encoding

from harness.backend import CLOSE, RESET, SILENT
from harness.case import Failure, Skip, case, check, contains, each, equal, eventually
from harness.configured import Layout
from harness.names import NameServer
from harness.namespace import private_network
from harness.partner import CLEAR_SIZE, GARBAGE, KEYWORDS, TLS_SIZE, Partner
from harness.process import free_port
from harness.server_pki import DOMAIN, HOST
from harness.smtp import Client, mail

# --- what may come of a message ---------------------------------------------------------------------------

TLS, CLEAR = "in TLS", "in clear"


def policy(words):
    """The reply to MAIL where TLS or the certificate is not what the route asks for."""
    return rf"450 4\.7\.\d+ HOST\b.*: .*(?i:{words})"


def connection(words):
    """The same where the server could not be talked to at all."""
    return rf"451 4\.\d\.\d+ HOST\b.*: .*(?i:{words})"


NO_STARTTLS = policy("starttls")
HANDSHAKE = policy("tls|handshake")
INJECTED = policy("behind|starttls")
UNTRUSTED = policy("trusted")
SELF_SIGNED = policy("self-signed|trusted")
EXPIRED = policy("expired")
NOT_YET = policy("not yet valid")
REVOKED = policy("revoked")
UNKNOWN = policy("cannot tell")
PURPOSE = policy("not for tls servers")
NAME = policy("name")
FINGERPRINT = policy("fingerprint")
NOT_A_CA = policy("sign")

LEVELS = ("none", "may", "encrypt", "trusted", "verify", "secure", "suffix", "pinned", "other pin")
STRONG = LEVELS[2:]

# --- a message through a route ----------------------------------------------------------------------------

BODY = b".\r\n..\r\nleading dots, \xc3\xbc, and a long line\r\n" + b"x" * 990 + b"\r\n\r\n"


def send(address):
    """(the reply to MAIL, or to the final dot where MAIL was taken; EHLO's texts; the content that was sent). Greeting and EHLO
    must succeed whatever is wrong with the partner, and a refusal must leave the session whole."""
    _, content = mail(BODY)
    with Client(address) as client:
        client.socket.settimeout(110)  # a server may be silent for longer than Client waits
        contains(client.greeting().raw, b"mx.example.test", "the greeting")
        hello = client.expect("EHLO sender.example.test", 250)
        check("STARTTLS" not in hello.texts, f"no STARTTLS to our own: {hello}")
        reply = client.command(f"MAIL FROM:<alice@client.example.test> SIZE={len(content)}")
        if reply.code != 250:
            equal(len(reply.lines), 1, f"lines of the refusal {reply}")
            client.expect("RCPT TO:<bob@partner.example>", 503)
            client.expect("DATA", 503)
            client.expect("RSET", 250)
            client.expect("NOOP", 250)
            equal(client.command("MAIL FROM:<>").raw, reply.raw, "the reply to a second MAIL")
        else:
            client.expect("RCPT TO:<bob@partner.example>", 250)
            client.expect("DATA", 354)
            client.send(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            reply = client.expect(None, 250)
        client.quit()
        equal(client.rest(), b"", "octets after QUIT")
    return reply.lines[0], hello.texts, content


MAIL_VERBS = (b"MAIL", b"RCPT", b"DATA", b"BDAT", b"RSET", b"VRFY", b"AUTH")


def outcome(partner, address, level, host):
    """Sends a message and looks at both ends: TLS, CLEAR, or the reply that refused it."""
    before = len(partner.sessions)
    reply, hello, content = send(address)
    partner.all_ended()
    sessions = partner.sessions[before:]
    for session in sessions:
        check(len(session.lines(b"STARTTLS")) <= 1, f"STARTTLS is said once: {session.commands}")
        equal(session.lines(b"STARTTLS", True), [], "STARTTLS inside TLS")
        equal(session.behind, b"", "octets behind STARTTLS")
        check(session.version is None or not session.commands or not any(inside for inside, _ in session.commands) or
              session.lines(b"EHLO", True)[:1] == [line for inside, line in session.commands if inside][:1],
              f"EHLO comes first inside TLS: {session.commands}")
        if level in STRONG:
            for verb in MAIL_VERBS:
                check(verb not in session.clear.upper(), f"no {verb} in clear: {session.clear}")
    messages = [message for session in sessions for message in session.messages]
    if not reply.startswith("250 "):
        equal(messages, [], f"messages in spite of {reply}")
        for session in sessions:
            for verb in MAIL_VERBS:
                equal(session.lines(verb), [], f"{verb} at the partner in spite of {reply}")
        return reply.replace(host, "HOST")
    equal(len(messages), 1, f"messages at the partner after {reply}")
    in_tls, mail_line, recipients, stored = messages[0]
    equal(stored, content, "content")
    equal(mail_line, b"MAIL FROM:<alice@client.example.test> SIZE=%d" % len(content), "MAIL at the partner")
    equal(recipients, [b"RCPT TO:<bob@partner.example>"], "RCPT at the partner")
    contains(hello, TLS_SIZE if in_tls else CLEAR_SIZE, "the list of EHLO that the sender is told")
    return TLS if in_tls else CLEAR


def expect(found, wanted, what):
    """`wanted`: TLS, CLEAR, a regular expression, or several of them."""
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    for one in wanted:
        if found == one or one not in (TLS, CLEAR) and re.match(one, found):
            return
    raise Failure(f"{what}: wanted {' or '.join(wanted)}, found {found}")


def layout_of(world, upstream, presented, names=None, host=HOST, levels=LEVELS, **common):
    """A route for each level, all to one server."""
    pki = world.server_pki
    layout = Layout(world, None, **({"resolver": [names.address]} if names else {}))
    trust = {"ca": pki.ca_a, "crl": pki.crl, "revocation": "soft"}
    own = {
        "trusted": {"tls": "trusted", **trust},
        "verify": {"tls": "verify", **trust},
        "secure": {"tls": "secure", "match": ["mx.other.example", host], **trust},
        "suffix": {"tls": "secure", "match": ["mx.other.example", "." + DOMAIN], **trust},
        # A roll-over: two are pinned, one by its key.
        "pinned": {"tls": "fingerprint", "fingerprints": [pki["rsa" if presented != "rsa" else "right"].fingerprint,
                                                          pki[presented].public_key]},
        "other pin": {"tls": "fingerprint", "fingerprints": [pki["any purpose"].fingerprint, pki["intermediate"].public_key]},
    }
    for level in levels:
        layout.egress(level, upstream, **(own.get(level) or {"tls": level}), **common)
    return layout


def row(world, partner, presented, wanted, host=HOST, **common):
    """`wanted`: by level."""
    wrong = []
    with partner, NameServer({HOST: ["127.0.0.1"]}) as names, \
            world.configured(layout_of(world, f"{host}:{partner.port}", presented, names, host, tuple(wanted), **common)) as proxy:
        for level, expected in wanted.items():
            try:
                expect(outcome(partner, proxy.at(level), level, host), expected, level)
            except Failure as failure:
                wrong.append(str(failure).removeprefix(f"{level}: "))
                wrong[-1] = f"{level}: {wrong[-1]}"
        check(proxy.process.running(), "ringpost runs")
    check(not wrong, "; ".join(wrong))  # all of them, not just the first


# --- the channel ------------------------------------------------------------------------------------------

SOUND = {"none": CLEAR, "may": TLS, **dict.fromkeys(STRONG, TLS), "other pin": FINGERPRINT}


def without_tls(reason, may=CLEAR, none=CLEAR):
    """What is expected where there is no TLS to be had."""
    return {"none": none, "may": may, **dict.fromkeys(STRONG, reason)}


def all_refused(reason):
    return dict.fromkeys(LEVELS, reason)


V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
OLD = {"lowest": ssl.TLSVersion.TLSv1, "highest": ssl.TLSVersion.TLSv1_1}

CHANNELS = (
    # (what the server is like, its context, its script, what is expected)
    ("sound", {}, {}, SOUND),
    ("TLS 1.2 only", {"highest": V12}, {}, SOUND),
    ("TLS 1.3 only", {"lowest": V13}, {}, SOUND),
    ("P-256 only", {"curve": "prime256v1"}, {}, SOUND),  # a retry in TLS 1.3
    ("P-256 only in TLS 1.2", {"curve": "prime256v1", "highest": V12}, {}, SOUND),
    ("TLS 1.1 at most", OLD, {}, without_tls(HANDSHAKE)),
    ("TLS 1.0 only", {**OLD, "highest": ssl.TLSVersion.TLSv1}, {}, without_tls(HANDSHAKE)),
    ("no STARTTLS", None, {}, without_tls(NO_STARTTLS)),
    ("454", {}, {"starttls": b"454 4.7.0 TLS not available due to temporary reason\r\n"}, without_tls(NO_STARTTLS)),
    ("500", {}, {"starttls": b"500 5.5.2 what?\r\n"}, without_tls(NO_STARTTLS)),
    ("502", {}, {"starttls": b"502 5.5.1 not implemented\r\n"}, without_tls(NO_STARTTLS)),
    ("540", {}, {"starttls": b"540 5.7.0 not for you\r\n"}, without_tls(NO_STARTTLS)),
    ("354", {}, {"starttls": b"354 go ahead\r\n"},
     without_tls(r"45[01] 4\.\d\.\d+ HOST\b.*: ", may=(CLEAR, r"45[01] 4\.\d\.\d+ HOST\b.*: "))),
    ("220, then garbage", {}, {"handshake": GARBAGE}, without_tls(HANDSHAKE)),
    ("220, then close", {}, {"handshake": CLOSE}, without_tls(HANDSHAKE)),
    ("220, then reset", {}, {"handshake": RESET}, without_tls(HANDSHAKE)),
    ("close instead of 220", {}, {"starttls": CLOSE},
     without_tls(r"45[01] 4\.\d\.\d+ HOST\b.*: ", may=(CLEAR, r"45[01] 4\.\d\.\d+ HOST\b.*: "))),
    ("octets behind the 220", {}, {"behind": b"250-mx.partner.example\r\n250 AUTH PLAIN\r\n"},
     without_tls(INJECTED, may=(CLEAR, INJECTED))),
    ("half a line behind the 220", {}, {"behind": b"2"}, without_tls(INJECTED, may=(CLEAR, INJECTED))),
    ("close after the greeting", {}, {"greeting": CLOSE}, all_refused(connection("clos|lost|reset"))),
    ("reset instead of a greeting", {}, {"greeting": RESET}, all_refused(connection("clos|lost|reset"))),
    ("554", {}, {"greeting": b"554 5.3.2 no SMTP service here\r\n"}, all_refused(connection("refuses|554"))),
    ("421", {}, {"greeting": b"421 4.3.2 too busy\r\n"}, all_refused(connection("refuses|421"))),
    ("no SMTP", {}, {"greeting": b"SSH-2.0-OpenSSH_9.2\r\n"}, all_refused(connection("reply|smtp"))),
)


@each(*CHANNELS, named=True)
def channel(world, variant):
    _, tls, script, wanted = variant
    try:
        context = world.server_pki.server_context("right", **tls) if tls is not None else None
    except (ssl.SSLError, ValueError) as error:
        raise Skip(f"Python's TLS cannot be such a server: {error}") from None
    row(world, Partner(context, **script), "right", wanted)


@each(("TLS 1.2", V12, "ECDHE-ECDSA-AES128-GCM-SHA256"), ("TLS 1.3", V13, "TLS_AES_128_GCM_SHA256"), named=True)
def the_cipher(world, variant):
    """A server that takes the first one of ours it can."""
    _, version, cipher = variant
    with Partner(world.server_pki.server_context("right", highest=version)) as partner, \
            world.configured(layout_of(world, f"127.0.0.1:{partner.port}", "right", levels=("encrypt",))) as proxy:
        equal(outcome(partner, proxy.at("encrypt"), "encrypt", HOST), TLS, "the message")
        equal(partner.sessions[0].cipher, cipher, "cipher")


@each("begun", "implicit")
def a_handshake_that_takes_long(world, how):
    """It has a time of its own, and is then one that failed."""
    with Partner(world.server_pki.server_context("right"), handshake=SILENT, implicit=how == "implicit") as partner, \
            world.configured(layout_of(world, f"127.0.0.1:{partner.port}", "right", levels=("may", "encrypt"), handshake_timeout="1s",
                                       hard_bounce=True, implicit_tls=how == "implicit")) as proxy:
        late = r"450 4\.7\.5 127\.0\.0\.1:\d+: TLS handshake not done in time"  # it may do better the next time
        expect(send(proxy.at("encrypt"))[0], late, "encrypt")
        expect(send(proxy.at("may"))[0], late if how == "implicit" else r"250 ", "may")
        partner.all_ended()
        equal([message[0] for message in partner.messages], [] if how == "implicit" else [False], "messages in TLS")


@each(("TLS 1.2", V12), ("TLS 1.3", V13), named=1)
def the_end_of_tls(world, variant):
    """Behind QUIT the partner's TLS library sees close_notify, and where content is cut it sees none."""
    _, version = variant
    with Partner(world.server_pki.server_context("right", highest=version)) as partner, \
            world.configured(layout_of(world, f"127.0.0.1:{partner.port}", "right", levels=("encrypt",))) as proxy:
        equal(outcome(partner, proxy.at("encrypt"), "encrypt", HOST), TLS, "the message")
        equal(partner.sessions[0].notified, True, f"close_notify: {partner.sessions[0].failure}")
        with Client(proxy.at("encrypt")) as client:
            client.open()
            client.expect("MAIL FROM:<alice@client.example.test>", 250)
            client.expect("RCPT TO:<bob@partner.example>", 250)
            client.expect("DATA", 354)
            client.send(b"half a message\r\n")
        partner.all_ended()
        check("EOF" in (partner.sessions[1].failure or ""), f"an end without close_notify: {partner.sessions[1].failure}")
        equal(partner.sessions[1].messages, [], "messages")


@case
def a_server_that_stays(world):
    """After QUIT: its end is waited for, but not for long."""
    with Partner(world.server_pki.server_context("right"), leaves=False) as partner, \
            world.configured(layout_of(world, f"127.0.0.1:{partner.port}", "right", levels=("encrypt",))) as proxy:
        with Client(proxy.at("encrypt")) as client:
            client.open()
            client.quit()
        eventually(lambda: '"reason":"quit"' in proxy.process.log, "the end of the session", 14)


@case
def an_old_server_and_may(world):
    """What goes in clear goes on a connection that never said STARTTLS."""
    with Partner(world.server_pki.server_context("right", **OLD)) as partner, \
            world.configured(layout_of(world, f"127.0.0.1:{partner.port}", "right", levels=("may",))) as proxy:
        equal(outcome(partner, proxy.at("may"), "may", HOST), CLEAR, "the message")
        first, second = partner.sessions
        check(first.failure and first.lines(b"MAIL") == [], f"the first fails in the handshake: {first.failure}, {first.commands}")
        equal(second.lines(b"STARTTLS"), [], "STARTTLS on the second")


@case
def refused_starttls_and_may(world):
    """The session goes on in clear, without another connection."""
    with Partner(world.server_pki.server_context("right"), starttls=b"454 4.7.0 not now\r\n") as partner, \
            world.configured(layout_of(world, f"127.0.0.1:{partner.port}", "right", levels=("may",))) as proxy:
        equal(outcome(partner, proxy.at("may"), "may", HOST), CLEAR, "the message")
        equal(len(partner.sessions), 1, "connections")


# --- certificates -----------------------------------------------------------------------------------------


def certificate(trusted, verify, secure, suffix):
    return {"none": CLEAR, "may": TLS, "encrypt": TLS, "trusted": trusted, "verify": verify, "secure": secure, "suffix": suffix,
            "pinned": TLS, "other pin": FINGERPRINT}


def bad(reason):
    return certificate(reason, reason, reason, reason)


GOOD = certificate(TLS, TLS, TLS, TLS)
WRONG_NAME = certificate(TLS, NAME, NAME, NAME)
CERTIFICATES = {
    "rsa": GOOD, "upper case": GOOD, "second name": GOOD, "wildcard": GOOD,
    "neighbour": certificate(TLS, NAME, NAME, TLS),
    "wrong name": WRONG_NAME, "domain itself": WRONG_NAME, "domain in front": WRONG_NAME, "longer domain": WRONG_NAME,
    "wildcard of too much": WRONG_NAME, "wildcard in the middle": WRONG_NAME, "two wildcards": WRONG_NAME,
    "partial wildcard": certificate(TLS, NAME, NAME, (NAME, TLS)),  # below the domain it is
    "*": WRONG_NAME, "nul": bad(policy("malformed")),  # whatever is asked of it
    "common name only": WRONG_NAME, "common name beside": WRONG_NAME,
    "address": WRONG_NAME,
    "expired": bad(EXPIRED), "not yet valid": bad(NOT_YET), "client purpose": bad(PURPOSE), "revoked": bad(REVOKED),
    "unknown CA": bad(UNTRUSTED), "unknown CA with its root": bad(SELF_SIGNED), "missing intermediate": bad(UNTRUSTED),
    "CA:FALSE": bad(NOT_A_CA), "self-signed": bad(SELF_SIGNED),
}


@each(*CERTIFICATES)
def presented(world, identity):
    row(world, Partner(world.server_pki.server_context(identity)), identity, CERTIFICATES[identity])


@each("any purpose", "intermediate")
def presented_and_good(world, identity):
    """These two are what "other pin" has pinned: by certificate, and by key."""
    row(world, Partner(world.server_pki.server_context(identity)), identity, {**GOOD, "other pin": TLS})


@each(("address", TLS), ("other address", NAME), ("address as a name", NAME), ("address as a wildcard", NAME), ("right", NAME), named=True)
def an_address_is_verified(world, variant):
    """An upstream without a name has the certificate's addresses to be known by, and nothing else."""
    identity, wanted = variant
    row(world, Partner(world.server_pki.server_context(identity)), identity, {"trusted": TLS, "verify": wanted}, host="127.0.0.1")


@each(("hard", "fresh", TLS), ("hard", "stale", UNKNOWN), ("hard", "missing", UNKNOWN), ("soft", "stale", TLS), ("soft", "missing", TLS),
      named=2)
def revocation(world, variant):
    level, kind, wanted = variant
    pki = world.server_pki
    crl = {"fresh": pki.crl, "stale": pki.stale_crl, "missing": pki.other_crl}[kind]
    with Partner(pki.server_context("right")) as partner:
        layout = Layout(world, None).egress("out", f"127.0.0.1:{partner.port}", tls="trusted", ca=pki.ca_a, crl=crl, revocation=level)
        with world.configured(layout) as proxy:
            expect(outcome(partner, proxy.at("out"), "trusted", "127.0.0.1"), wanted, f"{level}, {kind}")


# --- a certificate of our own -----------------------------------------------------------------------------


@each(("optional", "TLS 1.2", V12), ("optional", "TLS 1.3", V13), ("demanded", "TLS 1.2", V12), ("demanded", "TLS 1.3", V13), named=2)
def the_partner_asks_for_our_certificate(world, variant):
    """Without one we go on, and a server of TLS 1.3 that insists says so only after the handshake."""
    how, _, version = variant
    pki = world.server_pki

    def partner():
        return Partner(pki.server_context("right", client_ca=pki.ca_a, demand=how == "demanded", highest=version))
    wanted = {**SOUND} if how == "optional" else without_tls(HANDSHAKE)
    del wanted["none"]
    # By its handshake the one of TLS 1.3 has succeeded, as far as this level can know.
    wanted["other pin"] = (FINGERPRINT, HANDSHAKE)
    row(world, partner(), "right", wanted)
    ours = partner()
    wanted = {**SOUND, "other pin": (FINGERPRINT, HANDSHAKE)}
    del wanted["none"]
    row(world, ours, "right", wanted, client_cert=pki["our own"].cert_path,
        client_key=pki["our own"].key_path)
    shown = {session.certificate for session in ours.sessions if session.messages and session.version}
    equal(shown, {pki["our own"].certificate.public_bytes(Encoding.DER)}, "our certificate, as the partner saw it")


# --- what else a route may say ----------------------------------------------------------------------------


@case
def implicit_tls(world):
    pki = world.server_pki
    for identity, wanted in (("right", TLS), ("wrong name", NAME)):
        row(world, Partner(pki.server_context(identity), implicit=True), identity, {"encrypt": TLS, "verify": wanted}, implicit_tls=True)
    # One that speaks first, and in clear.
    row(world, Partner(pki.server_context("right")), "right", {"encrypt": HANDSHAKE, "verify": HANDSHAKE}, implicit_tls=True)


@case
def hard_bounce(world):
    """Only what the policy refuses bounces: a server that is away may come back."""
    pki = world.server_pki

    def hard(reason):
        return reason.replace("450 4", "550 5")
    row(world, Partner(pki.server_context("wrong name")), "wrong name",
        {"encrypt": TLS, "verify": hard(NAME), "secure": hard(NAME), "other pin": hard(FINGERPRINT)}, hard_bounce=True)
    row(world, Partner(), "right", {"encrypt": hard(NO_STARTTLS), "verify": hard(NO_STARTTLS)}, hard_bounce=True)
    row(world, Partner(greeting=CLOSE), "right", {"verify": connection("clos|lost|reset")}, hard_bounce=True)
    # Nor is a message given back for what mends itself.
    row(world, Partner(pki.server_context("not yet valid")), "not yet valid", {"verify": NOT_YET}, hard_bounce=True)
    with Partner(pki.server_context("right")) as partner:
        layout = Layout(world, None).egress("out", f"127.0.0.1:{partner.port}", tls="trusted", ca=pki.ca_a, crl=pki.stale_crl,
                                            revocation="hard", hard_bounce=True)
        with world.configured(layout) as proxy:
            expect(outcome(partner, proxy.at("out"), "trusted", "127.0.0.1"), UNKNOWN, "no fresh list")


@case
def reported_only(world):
    """Mail passes with what the server has; the log says what it should have had."""
    pki = world.server_pki
    row(world, Partner(pki.server_context("wrong name")), "wrong name",
        dict.fromkeys(("verify", "secure", "other pin"), TLS), mode="report")
    row(world, Partner(pki.server_context("expired")), "expired", {"trusted": TLS}, mode="report")


@each(("enforce", True), ("report", True), ("report", False), ("enforce", False))
def the_log_says_what_was_not_met(world, variant):
    """In the session line, and counted in the summary."""
    mode, in_tls = variant
    pki = world.server_pki
    with Partner(pki.server_context("wrong name") if in_tls else None) as partner, \
            world.configured(layout_of(world, f"127.0.0.1:{partner.port}", "right", levels=("verify",), mode=mode)) as proxy:
        outcome(partner, proxy.at("verify"), "may", HOST)
        line = eventually(lambda: next(iter(proxy.records()), None), "the session line")
        equal(line.get("mode"), "report" if mode == "report" else None, f"mode in {line}")
        equal(line.get("fault"), "wrong-name" if in_tls else "no-tls" if mode == "report" else "no-starttls", f"fault in {line}")
        equal(line.get("fingerprint"), pki["wrong name"].fingerprint if in_tls else None, "the fingerprint, whole")
        proxy.process.signal(signal.SIGUSR2)
        found = eventually(lambda: [event["message"] for event in proxy.events("policy-summary") if "route" in event["message"]],
                           "the summary")[0]
        refused = 2 if mode == "enforce" else 1  # outcome() says MAIL again where it was refused
        contains(found, (f"{refused} message" if in_tls else f"0 of {refused} message"), "how many met encrypt")
        contains(found, f"{'refused' if mode == 'enforce' else 'would refuse'} {refused}: {'wrong-name' if in_tls else 'no-tls'} {refused}",
                 "what was refused")


@case
def the_name_in_ehlo(world):
    pki = world.server_pki
    for hostname, wanted in ((None, b"EHLO sender.example.test"), ("our.example", b"EHLO our.example")):
        with Partner(pki.server_context("right")) as partner, \
                world.configured(layout_of(world, f"127.0.0.1:{partner.port}", "right", levels=("encrypt",), hostname=hostname)) as proxy:
            equal(outcome(partner, proxy.at("encrypt"), "encrypt", HOST), TLS, "the message")
            equal(set(partner.sessions[0].lines(b"EHLO")), {wanted}, "EHLO in clear and in TLS")


@case
def helo(world):
    """A sender of before EHLO: the partner is asked for STARTTLS all the same."""
    with Partner(world.server_pki.server_context("right")) as partner, \
            world.configured(layout_of(world, f"127.0.0.1:{partner.port}", "right", levels=("encrypt",))) as proxy:
        with Client(proxy.at("encrypt")) as client:
            client.greeting()
            client.expect("HELO sender.example.test", 250)
            equal(client.message(mail()[1]).code, 250, "the final dot's reply")
            client.quit()
        equal([message[0] for message in partner.messages], [True], "messages in TLS")


@case
def many_messages(world):
    """In one session, over one connection to the partner."""
    with Partner(world.server_pki.server_context("right")) as partner, NameServer({HOST: ["127.0.0.1"]}) as names, \
            world.configured(layout_of(world, f"{HOST}:{partner.port}", "right", names, levels=("verify",))) as proxy:
        contents = [mail(bytes([65 + number]) * 20000 + b"\r\n")[1] for number in range(10)]
        with Client(proxy.at("verify")) as client:
            client.open()
            for content in contents:
                equal(client.message(content).code, 250, "the final dot's reply")
            client.quit()
        equal([message[3] for message in partner.messages], contents, "contents")
        equal(len(partner.sessions), 1, "connections")


@case
def a_sender_that_says_nothing(world):
    """Commands before EHLO, a second EHLO, and QUIT at once: none of it needs the partner."""
    with Partner(greeting=CLOSE) as partner, \
            world.configured(layout_of(world, f"127.0.0.1:{partner.port}", "right", levels=("encrypt",))) as proxy:
        with Client(proxy.at("encrypt")) as client:
            client.greeting()
            client.expect("NOOP", 250)
            client.expect("RSET", 250)
            client.expect("MAIL FROM:<alice@client.example.test>", 503)
            client.quit()
        with Client(proxy.at("encrypt")) as client:
            client.greeting()
            for _ in range(2):
                client.expect("EHLO sender.example.test", 250)
            check(client.command("MAIL FROM:<a@b.example>").code == 451, "MAIL")
            client.quit()


# --- a server that is lost ---------------------------------------------------------------------------------

LOST = rf"451 4\.4\.2 127\.0\.0\.1:\d+: closed the connection"


@each(*((at, how) for at in ("MAIL", "RCPT", "DATA", ".") for how in ("closed", "reset")))
def a_server_that_is_lost(world, variant):
    """Whatever waits for its reply is refused with the reason, so that the queue has it, and nothing is taken."""
    at, how = variant
    with Partner(world.server_pki.server_context("right"), replies={at: CLOSE if how == "closed" else RESET}) as partner, \
            world.configured(layout_of(world, f"127.0.0.1:{partner.port}", "right", levels=("encrypt",))) as proxy:
        with Client(proxy.at("encrypt")) as client:
            client.open()
            for verb, command in (("MAIL", "MAIL FROM:<a@client.example.test>"), ("RCPT", "RCPT TO:<bob@partner.example>"),
                                  ("DATA", "DATA"), (".", "text\r\n.")):
                reply = client.command(command)
                if verb == at:
                    break
                check(reply.code in (250, 354), f"{verb}: {reply}")
            equal(len(reply.lines), 1, f"lines of {reply}")
            check(re.fullmatch(LOST, reply.lines[0]), f"the reply to {at}: {reply}")
            equal(client.rest(), b"", "octets behind it, before the end")
        check(proxy.process.running(), "ringpost runs")


@case
def a_server_that_is_lost_in_a_group(world):
    """Every command of a pipelined group has its reply."""
    with Partner(world.server_pki.server_context("right"), replies={"RCPT": CLOSE}) as partner, \
            world.configured(layout_of(world, f"127.0.0.1:{partner.port}", "right", levels=("encrypt",))) as proxy:
        with Client(proxy.at("encrypt")) as client:
            client.open()
            client.send(b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nRCPT TO:<c@c.example>\r\nDATA\r\n")
            client.expect(None, 250)
            for _ in range(3):
                check(re.fullmatch(LOST, client.expect(None, 451).lines[0]), "each is refused with the reason")
            equal(client.rest(), b"", "octets behind it")


@case
def a_server_that_leaves_an_idle_session(world):
    """Nothing waits for a reply: 421 (RFC 5321 3.8)."""
    with Partner(world.server_pki.server_context("right")) as partner, \
            world.configured(layout_of(world, f"127.0.0.1:{partner.port}", "right", levels=("encrypt",))) as proxy:
        with Client(proxy.at("encrypt")) as client:
            client.open()
            partner.stop()
            check(re.fullmatch(LOST.replace("451", "421", 1), client.expect(None, 421).lines[0]), "the last word")


@case
def a_client_that_goes_away_meanwhile(world):
    """No server is opened for nobody: neither the session nor the connection to the partner stays for the 240 s."""
    with Partner(world.server_pki.server_context("right"), greeting=SILENT) as partner, \
            world.configured(layout_of(world, f"127.0.0.1:{partner.port}", "right", levels=("encrypt",))) as proxy:
        with Client(proxy.at("encrypt")) as client:
            client.greeting()
            client.send(b"EHLO sender.example.test\r\n")
            eventually(lambda: partner.sessions, "the connection to the partner")
            client.drop()
            equal(proxy.record(client.local)["reason"], "client_eof", "the reason in the log")
        check(proxy.process.running(), "ringpost runs")


# --- nobody there -----------------------------------------------------------------------------------------


@case
def unreachable(world):
    port = free_port()
    with NameServer({HOST: ["127.0.0.1"]}) as names, \
            world.configured(layout_of(world, f"{HOST}:{port}", "right", names)) as proxy:
        for level in LEVELS:
            reply, hello, _ = send(proxy.at(level))
            expect(reply.replace(HOST, "HOST"), r"451 4\.4\.\d+ HOST\b.*: .*(?i:refused|connect|reach)", level)
            check({"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"} <= set(hello), f"the safe list: {hello}")


@each(("encrypt", TLS, TLS_SIZE), ("none", CLEAR, CLEAR_SIZE), named=1)
def the_list_of_a_server_that_is_away(world, variant):
    """EHLO is answered with what the server offered last, where that met the level: not with what it says in clear."""
    level, how, size = variant
    with Partner(world.server_pki.server_context("right")) as partner, \
            world.configured(layout_of(world, f"127.0.0.1:{partner.port}", "right", levels=(level,))) as proxy:
        equal(outcome(partner, proxy.at(level), level, HOST), how, "the message")
        partner.offers = False
        if level == "none":
            partner.greeting = b"421 4.3.2 too busy\r\n"
        reply, hello, _ = send(proxy.at(level))
        check(reply.startswith("45"), f"the server is of no use: {reply}")
        equal(hello, ["mx.example.test", *KEYWORDS, size], "the list of EHLO")


@case
def no_way_there(world):
    """A network without a route."""
    with private_network(), world.configured(layout_of(world, "203.0.113.9:25", "right")) as proxy:
        for level in LEVELS:
            reply, _, _ = send(proxy.at(level))
            expect(reply.replace("203.0.113.9", "HOST"), r"451 4\.4\.1 HOST\b.*: cannot be reached: Network is unreachable$", level)


@case
def the_first_address_is_dead(world):
    """The next one is asked, and has to meet the same policy."""
    pki, dead = world.server_pki, free_port()
    with Partner(pki.server_context("right")) as partner, NameServer({HOST: ["127.0.0.1"]}) as names:
        layout = Layout(world, None, resolver=[names.address])
        layout.egress("out", f"127.0.0.1:{dead}", f"{HOST}:{partner.port}", tls="verify", ca=pki.ca_a)
        with world.configured(layout) as proxy:
            equal(outcome(partner, proxy.at("out"), "verify", HOST), TLS, "the message")


@case
def no_such_name(world):
    with NameServer({}) as names, world.configured(layout_of(world, f"{HOST}:25", "right", names)) as proxy:
        for level in LEVELS:
            reply, _, _ = send(proxy.at(level))
            expect(reply.replace(HOST, "HOST"), r"451 4\.4\.\d+ HOST\b.*: .*(?i:address|name|look)", level)


@case(slow=True)
def a_silent_name_server(world):
    with NameServer({HOST: ["127.0.0.1"]}) as names:
        names.silent = True
        with Partner(world.server_pki.server_context("right")) as partner, \
                world.configured(layout_of(world, f"{HOST}:{partner.port}", "right", names, levels=("verify",))) as proxy:
            reply, _, _ = send(proxy.at("verify"))
            expect(reply.replace(HOST, "HOST"), r"451 4\.4\.\d+ HOST\b.*: .*(?i:address|name|look)", "while it is silent")
            names.silent = False
            eventually(lambda: outcome(partner, proxy.at("verify"), "verify", HOST) == TLS, "delivery once it answers", 30)
