# SPDX-License-Identifier: GPL-3.0-or-later
"""Real mail servers behind ringpost, set up for the identity that ringpost sends and not set up for it.

Where both fit, mail passes with the client's own address. Where they do not, ringpost is the one client that the
server would relay for: a client must then get nothing but 4xx, so that an honest sender keeps its mail, and the
log must say what the server answered. Every server here relays for 127.0.0.1 alone; clients call from 127.0.0.5.
"""

import collections
import itertools
import time

from harness.case import Failure, case, check, each, equal, eventually, shorten
from harness.configured import Layout
from harness.documents import backend_lines
from harness.servers import opensmtpd
from harness.servers.relays import PASSWORD, USER
from harness.servers.sandbox import version_of
from harness.servers.server import FOREIGN, LOCAL, Delivery
from harness.servers.switch import Switch
from harness.smtp import Client, context, plain_secret

CALLER, RELAYED_FOR = "127.0.0.5", "127.0.0.1"
PATIENCE = 8  # seconds for one reply; no server of the matrix waits longer for a header that does not come
HOSTILE_SECONDS = 15  # then no more tries against this pair: a server that is slow on purpose

# `client`: whom the server takes for the client; None where mail must not pass. `said`: what the server says in
# place of what ringpost wants. `tries`: of each hostile sequence, on each port. `login`: mail needs a password, which
# is asked for in "TLS" only or in "clear" as well.
# `silent`: the server says nothing for longer than the client waits. `relays`: it takes mail for other domains.
Pair = collections.namedtuple("Pair", "client said tries login slow silent relays",
                              defaults=(None, "", 2, None, False, False, False))
GREETS = '"220'  # before it has the header that it does not wait for


def fits(**more):
    return Pair(client=CALLER, **more)


def refuses(said, **more):
    return Pair(said=said, **more)


def waits(said="", **more):
    """Says nothing, or nothing of use, before it has waited for a header. A client can do no harm meanwhile."""
    return Pair(said=said, tries=0, slow=True, **more)


# What the administrator has asked for, and is warned about at every start.
RELAYS = Pair(client=RELAYED_FOR, tries=0, relays=True)
KNOWS_NOBODY = Pair(client=RELAYED_FOR)  # who relays for nobody by address

MATRIX = {
    "smtpd": {
        "proxy-v2": refuses(GREETS),
        "proxy-v1": refuses(GREETS),
        "xclient": refuses("XCLIENT"),
        "none": RELAYS,
    },
    "smtpd haproxy": {
        "proxy-v2": fits(),
        "proxy-v1": fits(),
        "xclient": waits(),
        "none": waits("421 4.3.0"),
    },
    "smtpd xclient": {
        "proxy-v2": refuses(GREETS, slow=True),
        "proxy-v1": refuses(GREETS, slow=True),
        "xclient": fits(),
    },
    "postscreen": {  # its greeting and the reply to the header come in two segments
        "proxy-v2": refuses(GREETS, tries=4),
        "proxy-v1": refuses(GREETS, tries=4),
        "xclient": refuses("XCLIENT", slow=True),
        "none": RELAYS,
    },
    "postscreen haproxy": {
        "proxy-v2": fits(),
        "proxy-v1": fits(),
        "none": waits(),
    },
    "exim": {
        "proxy-v2": refuses(GREETS, tries=1),
        "proxy-v1": refuses(GREETS),
        "xclient": refuses("XCLIENT"),
        "none": RELAYS,
    },
    "exim hosts_proxy": {
        "proxy-v2": fits(tries=1),
        "proxy-v1": fits(tries=1),
        "xclient": waits(),
        "none": waits("503 Command refused"),
    },
    "opensmtpd": {
        "proxy-v2": refuses(GREETS),
        "proxy-v1": refuses(GREETS, tries=4),
        "xclient": refuses("XCLIENT", slow=True),
        "none": RELAYS,
    },
    "opensmtpd proxy-v2": {
        "proxy-v2": fits(),
        "proxy-v1": refuses("", slow=True),  # closes
        "none": waits("has not greeted", silent=True),
    },
    "aiosmtpd": {
        "proxy-v2": refuses(GREETS),
        "proxy-v1": refuses(GREETS, tries=4),
        "xclient": refuses("XCLIENT", slow=True),
        "none": RELAYS,
    },
    "aiosmtpd handle_PROXY": {
        "proxy-v2": fits(),
        "proxy-v1": fits(),
        "none": waits(),
    },
    "nginx": {  # before a Postfix that is set up well
        "proxy-v2": refuses(GREETS),
        "proxy-v1": refuses(GREETS, tries=4),
        "xclient": refuses("XCLIENT"),
    },
    "nginx proxy_protocol": {
        "proxy-v2": fits(),
        "proxy-v1": fits(),
        "none": waits(),
    },
    "haproxy": {  # sends a header of its own to Postfix
        "proxy-v2": refuses(GREETS),
        "proxy-v1": refuses(GREETS),
    },
    "haproxy accept-proxy": {
        "proxy-v2": fits(),
        "proxy-v1": fits(),
        "none": waits(),
    },
    "courier": {  # waits longer and longer before the reply to each error
        "proxy-v2": refuses(GREETS, tries=0),
        "proxy-v1": refuses(GREETS, tries=1, slow=True),
        "xclient": refuses("XCLIENT", slow=True),
        "none": RELAYS._replace(slow=True),
    },
    "qpsmtpd": {
        "proxy-v2": refuses(GREETS),
        "proxy-v1": refuses(GREETS),
        "none": RELAYS._replace(slow=True),
    },
    "sendmail": {
        "proxy-v2": refuses(GREETS),
        "proxy-v1": refuses(GREETS),
        "xclient": refuses("XCLIENT", slow=True),
        "none": RELAYS._replace(slow=True),
    },
    "chasquid": {
        "proxy-v2": refuses(GREETS),
        "proxy-v1": refuses(GREETS),
        "xclient": refuses("XCLIENT"),
        "none": KNOWS_NOBODY,
    },
    "chasquid haproxy_incoming": {
        "proxy-v2": refuses("", slow=True),  # closes
        "proxy-v1": fits(),
        "none": waits("has not greeted", silent=True),
        "xclient": waits("has not greeted", silent=True),
    },
    "haraka": {
        "proxy-v2": refuses(GREETS),
        "proxy-v1": refuses(GREETS),
        "xclient": refuses("XCLIENT", slow=True),
        "none": RELAYS,
    },
    "haraka haproxy": {
        "proxy-v2": waits("has not greeted", silent=True),
        "proxy-v1": fits(),
        "none": waits("has not greeted", silent=True),
    },
    "haraka xclient": {
        "proxy-v2": refuses(GREETS, slow=True),
        "proxy-v1": refuses(GREETS, slow=True),
        "xclient": fits(),
    },
    "smtp-server": {
        "proxy-v2": refuses("421"),
        "proxy-v1": refuses("421"),
        "xclient": refuses("XCLIENT", slow=True),
        "none": RELAYS,
    },
    "smtp-server useProxy": {
        "proxy-v2": refuses("BAD"),
        "proxy-v1": fits(),
        "none": waits("has not greeted", silent=True),
    },
    "smtp-server useXClient": {
        "proxy-v2": refuses("421", slow=True),
        "proxy-v1": refuses("421", slow=True),
        "xclient": fits(),
    },
    "msmtpd": {
        "proxy-v2": refuses(GREETS),
        "proxy-v1": refuses(GREETS),
        "xclient": refuses("XCLIENT"),
        "none": RELAYS,
    },
    "dovecot lmtp": {  # no SMTP server at all
        "proxy-v2": refuses(GREETS),
        "proxy-v1": refuses(GREETS),
        "xclient": refuses("XCLIENT"),
        "none": refuses("answered EHLO and HELO with"),
    },
    "cyrus lmtp": {
        "proxy-v2": refuses(GREETS),
        "proxy-v1": refuses(GREETS),
        "xclient": refuses("XCLIENT"),
        "none": refuses("answered EHLO and HELO with"),
    },
    "dovecot": {
        "proxy-v2": refuses(GREETS),
        "proxy-v1": refuses(GREETS),
        "xclient": refuses("XCLIENT", slow=True),
    },
    "dovecot haproxy": {
        "proxy-v2": fits(login="TLS"),
        "none": waits(),
    },
    "dovecot xclient": {
        "proxy-v2": refuses(GREETS, slow=True),
        "xclient": fits(login="TLS"),
    },
}

_numbers = itertools.count(1)


def address(kind):
    """A sender or recipient that no other session of this run has."""
    return f"{kind}{next(_numbers)}@{FOREIGN}"


def connect(proxy, tls):
    client = Client(proxy.implicit_address if tls else proxy.address, source=CALLER, implicit=tls)
    client.socket.settimeout(PATIENCE)
    return client


def ask(client, text):
    """The reply, or None if the connection ended instead."""
    try:
        return client.command(text) if text is not None else client.reply()
    except (Failure, OSError):
        return None


def wait_for_probe(proxy):
    """Until ringpost has said what it thinks of the server, or had the time to find nothing wrong with it."""
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline and not proxy.events("upstream"):
        time.sleep(0.01)


# --- an honest client -------------------------------------------------------------------------------------

def send_honestly(client, sender, starttls=None, login=False):
    """Goes on as a mail server does, which stops at the first refusal. [(command, reply)], the last reply None if
    the connection ended before it came."""
    words = [None, "EHLO client.example.test"]
    if starttls:
        words += ["STARTTLS", "EHLO client.example.test"]
    if login:
        words.append(f"AUTH PLAIN {plain_secret(USER, PASSWORD)}")
    words += [f"MAIL FROM:<{sender}>", f"RCPT TO:<{LOCAL}>", "DATA", f"From: <{sender}>\r\n\r\nHello.\r\n."]
    said = []
    for word in words:
        said.append((word, ask(client, word)))
        if said[-1][1] is None or said[-1][1].code >= 400:
            break
        if word == "STARTTLS":
            client.handshake(starttls)
    return said


def transports(world):
    """(TLS from the start, TLS by STARTTLS)"""
    return ((None, None), (None, world.tls), (world.tls, None))


def mail_passes(world, proxy, server, pair):
    for tls, starttls in transports(world):
        sender, foreign = address("honest"), address("nobody")
        with connect(proxy, tls) as client:
            if pair.login == "TLS" and not tls and not starttls:
                said = client.open()
                check("AUTH PLAIN" not in said.texts, f"no password is asked for in clear: {said}")
                continue
            said = send_honestly(client, sender, starttls, pair.login)
            check(said[-1][1] is not None and said[-1][1].code == 250, f"an honest client: {said}")
            client.expect(f"MAIL FROM:<{sender}>", 250)
            refused = client.command(f"RCPT TO:<{foreign}>").code >= 400
            # Dovecot 2.4 tells the server behind who has logged in.
            relays = pair.relays or bool(pair.login) and version_of("dovecot-core", "dovecot-submissiond") >= (2, 4)
            equal(refused, not relays, "a foreign recipient is refused")
            ask(client, "QUIT")  # which msmtpd does not know within a transaction
        eventually(lambda: Delivery(sender, LOCAL, pair.client) in server.delivered(),
                   f"the message of {sender} from {pair.client}, with {server.delivered()[-3:]}")


def mail_is_deferred(world, proxy, server, pair):
    for tls, starttls in transports(world)[:3 if pair.tries else 1]:
        sender = address("honest")
        with connect(proxy, tls) as client:
            said = send_honestly(client, sender, starttls)
        if pair.silent and said == [(None, None)]:
            continue  # the client has given up
        for word, reply in said:
            asked = word is None or word[:4] in ("EHLO", "STAR")
            check(reply is not None, f"a reply in place of a bare end: {said}")
            check(reply.code < 300 and asked or 400 <= reply.code < 500, f"a temporary refusal and nothing else: {said}")
        check(said[-1][1].code == 421, f"421 at the end: {said}")
        server.settled()
        check(not any(found.sender == sender for found in server.delivered()), f"the server took mail of {sender}")


def nobody_reaches_it(proxy):
    """What was seen to take no header gets no more clients, although ringpost would stop them in time."""
    with connect(proxy, None) as client:
        said = send_honestly(client, address("honest"))
    equal([reply and reply.code for _, reply in said], [421], "the reply in place of a greeting")
    refused = "the mail server does not take its identity"
    eventually(lambda: proxy.records() and all(record["detail"] == refused for record in proxy.records()),
               f"sessions without a connection: {proxy.records()}")


def log_names_it(proxy, server, said, name="default", seconds=1):
    def found():
        return [event["message"] for event in proxy.events("upstream") if event["level"] == "warning"
                and all(part in event["message"] for part in (name, server.address, said))]
    try:
        eventually(found, "a line", seconds)
    except Failure:
        raise Failure(f"no warning about upstream {name} ({server.address}) that quotes {said!r}: "
                      f"{proxy.events('upstream')}") from None


# --- hostile clients --------------------------------------------------------------------------------------

BODY = b"Subject: hostile\r\n\r\nHello.\r\n"
HELLO = b"EHLO client.example.test"


def envelope(recipient):
    return [b"MAIL FROM:<%s>" % recipient.encode(), b"RCPT TO:<%s>" % recipient.encode()]


CHUNK = b"BDAT %d LAST\r\n%s" % (len(BODY), BODY[:-2])
TEXT = BODY + b"."
# Commands; each is to get one reply, in order.
SEQUENCES = {
    "chunk": lambda to: [HELLO, HELLO, *envelope(to), CHUNK],
    "text": lambda to: [HELLO, *envelope(to), b"NOOP", b"DATA", b"DATA", TEXT],
    "text, DATA with an argument": lambda to: [HELLO, *envelope(to), b"NOOP", b"DATA", b"DATA :", TEXT],
    "text at once": lambda to: [HELLO, *envelope(to), b"DATA", TEXT],
}
# Whether the client waits for each reply, for the greeting only, or for nothing.
WAYS = ("each", "greeting", "nothing")


def split_replies(octets):
    """The codes of all whole replies."""
    return [int(line[:3]) for line in octets.split(b"\r\n")[:-1] if line[:3].isdigit() and line[3:4] != b"-"]


def talk(client, commands, way):
    """The codes that came, the greeting's first."""
    codes = []
    if way != "nothing":
        greeting = ask(client, None)
        if greeting is None:
            return codes
        codes.append(greeting.code)
    if way == "each":
        for command in commands:
            reply = ask(client, command)
            if reply is None:
                return codes
            codes.append(reply.code)
        return codes
    try:
        client.send(b"".join(command + b"\r\n" for command in commands) + b"QUIT\r\n")
        while client._more():
            pass
    except (Failure, OSError):
        pass
    return codes + split_replies(client.received)


def judge(pair, commands, codes):
    """What is wrong with these replies, or None."""
    verbs = ["greeting", *(command[:4].decode() for command in commands)]
    if pair.client:
        refused = [code for verb, code in zip(verbs, codes) if verb == "RCPT"]
        return None if refused and refused[0] >= 400 else "the foreign recipient was not refused"
    bad = False
    for verb, code in itertools.zip_longest(verbs, codes[:len(verbs)]):
        if code is not None and code < 400 and (bad or verb not in ("greeting", "EHLO")):
            return f"{code} in reply to {verb}"
        bad = bad or code is not None and code >= 400
    return None


def nothing_is_relayed(world, proxy, server, pair):
    faults, tried = collections.Counter(), {}
    enough = time.monotonic() + HOSTILE_SECONDS
    for _ in range(pair.tries):
        for name, tls, way in itertools.product(SEQUENCES, (None, world.tls), WAYS):
            if time.monotonic() > enough:
                break
            recipient = address("victim")
            commands = SEQUENCES[name](recipient)
            what = f"{name}, waits for {way}, {'in TLS' if tls else 'in clear'}"
            try:
                with connect(proxy, tls) as client:
                    codes = talk(client, commands, way)
            except (Failure, OSError) as error:
                codes = []
                check(not pair.client, f"{what}: {error}")
            tried[recipient] = (what, codes)
            fault = judge(pair, commands, codes)
            if fault:
                faults[f"{what}: {fault}: {codes}"] += 1
    server.settled()
    relayed = [tried[found.recipient] for found in server.delivered() if found.recipient in tried]
    if relayed:
        raise Failure(f"{len(relayed)} of {len(tried)} hostile messages relayed: {shorten(relayed)}")
    if faults:
        raise Failure(f"{sum(faults.values())} of {len(tried)} hostile tries: {shorten(faults.most_common(5))}")


# --- the matrix -------------------------------------------------------------------------------------------

class Attempts:
    """All that is wrong is worth knowing, not only what came first."""

    def __init__(self):
        self.faults = []

    def __call__(self, body, *arguments):
        try:
            body(*arguments)
        except Failure as fault:
            self.faults.append(f"{body.__name__}: {fault}")

    def end(self):
        check(not self.faults, "\n    ".join(self.faults))


def backend(world, variant):
    setup, identity, pair = variant
    server, attempt = world.server(setup), Attempts()
    with world.private(server.address, backend_identity=identity) as proxy:
        wait_for_probe(proxy)
        if pair.client:
            attempt(mail_passes, world, proxy, server, pair)
        else:
            attempt(mail_is_deferred, world, proxy, server, pair)
            attempt(log_names_it, proxy, server, pair.said, "default", 12 if pair.silent else 1)
            if pair.said == GREETS:
                attempt(nobody_reaches_it, proxy)
        if pair.tries and not (pair.client and attempt.faults):  # it relays for honest clients already
            attempt(nothing_is_relayed, world, proxy, server, pair)
    attempt.end()


for name, identities in MATRIX.items():
    for identity, wanted in identities.items():
        each((name, identity, wanted), slow=wanted.slow, named=2)(backend)


# --- passwords ----------------------------------------------------------------------------------------------

def users_log_in(world, variant):
    """By the lines of docs/BACKENDS.md, in TLS and in no other way."""
    setup, identity = variant
    server = world.server(setup)
    port = getattr(server, "login_port", server.port)
    with world.private(f"127.0.0.1:{port}", backend_identity=identity) as proxy:
        for tls, starttls in transports(world):
            with connect(proxy, tls) as client:
                hello = client.open(starttls)
                offered = [text for text in hello.texts if text.startswith("AUTH ")]
                if not tls and not starttls:
                    equal(offered, [], "AUTH in clear")
                    equal(client.command(f"AUTH PLAIN {plain_secret(USER, PASSWORD)}").code // 100, 5, "the reply to AUTH in clear")
                    continue
                check(len(offered) == 1 and "PLAIN" in offered[0].split(), f"AUTH PLAIN in TLS: {hello}")
                client.expect(f"AUTH PLAIN {plain_secret(USER, PASSWORD)}", 235)
        if setup == "haraka haproxy":  # which would offer it to a private address in any case
            with Client(("127.0.0.1", server.port), header=FROM_AFAR) as client:
                check("AUTH PLAIN LOGIN" in client.open().texts, "AUTH for a public address")
        if setup in CHECK_PASSWORDS:
            with connect(proxy, world.tls) as client:
                client.open()
                client.expect(f"AUTH PLAIN {plain_secret(USER, 'wrong')}", 535)


# No example address: those count as private, too.
FROM_AFAR = b"PROXY TCP4 1.2.3.4 127.0.0.1 4321 587\r\n"
CHECK_PASSWORDS = ("exim hosts_proxy", "aiosmtpd handle_PROXY", "smtp-server useProxy", "haraka haproxy")
for name in (*CHECK_PASSWORDS, "nginx proxy_protocol"):
    each((name, "proxy-v1" if name[0] in "sh" else "proxy-v2"))(users_log_in)


@case
def users_cannot_log_in(world):
    """Where docs/BACKENDS.md says so. Chasquid has submission of its own, but wants a header there as well."""
    chasquid = world.server("chasquid haproxy_incoming")
    with world.private(chasquid.address, backend_identity="proxy-v1") as proxy, connect(proxy, world.tls) as client:
        hello = client.open()
        check(not any(text.startswith("AUTH") for text in hello.texts), f"no AUTH: {hello}")
    with Client(("127.0.0.1", chasquid.submission_port), header=FROM_AFAR) as client:
        check("STARTTLS" in client.open().texts, "STARTTLS of chasquid's own")
    listen = backend_lines("opensmtpd", {"10025": "10025", "proxy-v2": "proxy-v2 auth"})
    process = opensmtpd.program(world.folder / "opensmtpd-auth", ["smtpd", "-n"], listen)
    try:
        process.wait_for(backend_lines("opensmtpd auth").strip())
    finally:
        process.stop()


# --- a server that is no longer what it was -----------------------------------------------------------------

def changes(world, variant):
    """The server fitted when ringpost started. What was known of it then must not carry a session now."""
    before, after, identity = variant
    attempt = Attempts()
    misfit = MATRIX[after][identity]
    with Switch(world.server(before)) as server, world.private(server.address, backend_identity=identity) as proxy:
        wait_for_probe(proxy)
        mail_passes(world, proxy, server, MATRIX[before][identity])
        server.turn(world.server(after))
        if misfit.tries:
            attempt(nothing_is_relayed, world, proxy, server, misfit)
        attempt(mail_is_deferred, world, proxy, server, misfit)
        attempt(log_names_it, proxy, server, misfit.said)
        server.turn(world.server(before))
        attempt(mail_passes_again, world, proxy, server, MATRIX[before][identity])
    attempt.end()


def mail_passes_again(world, proxy, server, pair):
    deadline = time.monotonic() + 15
    while True:
        try:
            return mail_passes(world, proxy, server, pair)
        except Failure:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


for *setups, slowly in (
        ("postscreen haproxy", "postscreen", "proxy-v1", False),
        ("nginx proxy_protocol", "nginx", "proxy-v1", False),
        ("aiosmtpd handle_PROXY", "aiosmtpd", "proxy-v1", True),
        ("smtpd haproxy", "qpsmtpd", "proxy-v2", True),
        ("exim hosts_proxy", "exim", "proxy-v1", True),
        ("smtpd xclient", "smtpd", "xclient", False),
        ("exim", "exim hosts_proxy", "none", True),
):
    each(tuple(setups), slow=slowly)(changes)


# --- servers that take short headers only ---------------------------------------------------------------------

LONG_NAME = "a" * 60 + "." + "b" * 60 + ".example.test"


@each(("nginx proxy_protocol", 107), ("exim hosts_proxy", 232), ("smtpd haproxy", None), named=1)
def a_long_server_name(world, variant):
    """The name that a client asks for makes the header longer than some servers take: it is left out there."""
    setup, limit = variant
    if limit == 107 and version_of("libnginx-mod-mail") >= (1, 26):
        limit = None
    server = world.server(setup)
    with world.private(server.address, backend_identity="proxy-v2") as proxy:
        with connect(proxy, None) as client:
            sender = address("honest")
            client.open()
            client.starttls(context(), LONG_NAME)
            client.expect("EHLO client.example.test", 250)
            client.expect(f"MAIL FROM:<{sender}>", 250)
            client.expect(f"RCPT TO:<{LOCAL}>", 250)
            client.quit()
        def sentences():
            return [event["message"] for event in proxy.events("upstream") if "PROXY headers of at most" in event["message"]]

        if limit is None:
            proxy.record(client.local)  # what the probe found is in the log before
            equal(sentences(), [], "sentences about a limit")
        else:
            found = eventually(sentences, "a sentence about the limit")
            check(f"at most {limit} bytes" in found[0], f"the limit in the log: {found}")


# --- before any client comes ----------------------------------------------------------------------------------

PROBED = (("smtpd", "proxy-v2"), ("postscreen", "proxy-v1"), ("smtpd", "xclient"), ("smtpd haproxy", "none"))


@each(*PROBED)
def named_at_the_start(world, variant):
    setup, identity = variant
    server = world.server(setup)
    with world.private(server.address, backend_identity=identity) as proxy:
        log_names_it(proxy, server, MATRIX[setup][identity].said, seconds=8)
        equal(proxy.records(), [], "sessions so far")


@each(*PROBED)
def named_at_a_reload(world, variant):
    setup, identity = variant
    before = world.server({"xclient": "smtpd xclient", "none": "smtpd"}.get(identity, "smtpd haproxy"))
    server = world.server(setup)
    layout = Layout(world, before.port, identity, sandbox="off").route("mx")
    with world.configured(layout) as proxy:
        layout = layout.copy()
        layout.upstreams["backend"]["addresses"] = [server.address]
        equal(proxy.reload(layout)[0], "info", "the reload's level")
        log_names_it(proxy, server, MATRIX[setup][identity].said, "backend", seconds=8)


# --- an address that was down -------------------------------------------------------------------------------

@each(("smtpd haproxy", "proxy-v2"), ("smtpd haproxy", "proxy-v1"), ("smtpd xclient", "xclient"), ("smtpd", "none"))
def an_address_comes_back(world, variant):
    """A probe must find out. Several servers take no header without addresses, as PROXY UNKNOWN is."""
    setup, identity = variant
    server, port = world.server(setup), world.closed_port()
    first = f"127.0.0.1:{port}"
    with world.private(f"{first},{server.address}", backend_identity=identity) as proxy:
        def used():
            with connect(proxy, None) as client:
                client.open()
                client.quit()
            return proxy.record(client.local)["upstream"]
        equal(used(), server.address, "the address in use while the first is down")
        with Switch(server, port):
            eventually(lambda: used() == first, "the first address in use again", 8)
