# SPDX-License-Identifier: GPL-3.0-or-later
"""Real mail servers read senders in their own ways. Where ringpost saw no partner in a MAIL command, neither
Postfix nor Exim may see one.

tools/readers runs the drawn commands for longer. RINGPOST_READERS_SECONDS is the time for each server,
RINGPOST_READERS_SEED where the drawing begins.
"""

import os
import random
import time

from cases.policy import TLS_FIRST
from harness.case import case, check, contains, each, equal
from harness.configured import Layout
from harness.exim import Exim
from harness.postfix import Postfix
from harness.process import free_port
from harness.senders import mail_command
from harness.smtp import Client

SECONDS = float(os.environ.get("RINGPOST_READERS_SECONDS", "3.5"))
COMMANDS_MIN = 600  # however slow the machine is
SEED = int(os.environ.get("RINGPOST_READERS_SEED", "1"))

READ = b"partner-read"  # what each server answers where its reading is the partner's domain
BAD_SENDER = "501 5.1.7 Bad sender address syntax"


def postfix(world):
    port = free_port()
    server = Postfix("postfix-reader", world.folder / "postfix-reader", {
        "myhostname": "backend.example.test",
        "mydestination": "$myhostname, localhost, own.example, a.sub.own.example",
        "smtpd_hard_error_limit": "1000",
        "smtpd_junk_command_limit": "1000",
    }, (f"127.0.0.1:{port} inet n - n - - smtpd\n"
        "  -o smtpd_delay_reject=no\n"
        "  -o parent_domain_matches_subdomains=\n"
        "  -o { smtpd_sender_restrictions = check_sender_access inline:{"
        " { contoso.example = REJECT partner-read }, { .fabrikam.example = REJECT partner-read } } }\n"))
    server.port = port
    return server.wait()


READS = """
begin acl
mail:
  deny condition = ${if match_domain{$sender_address_domain}{contoso.example : *.fabrikam.example}}
       message = partner-read
  accept
"""


def exim(world):
    return Exim(world.folder / "exim-reader", "acl_smtp_mail = mail", READS)


def lenient_exim(world):
    """Exim with all that it may forgive."""
    return Exim(world.folder / "exim-lenient", """
acl_smtp_mail = mail
sender_unqualified_hosts = *
allow_domain_literals = true
allow_utf8_domains = true
percent_hack_domains = localhost : own.example
strip_excess_angle_brackets = true
strip_trailing_dot = true
""", READS)


SERVERS = {"Postfix": postfix, "Exim": exim, "Exim, lenient": lenient_exim}


class Reader:
    """A server and a ringpost in front of it, both kept for all cases. The server has more domains of its own than
    ringpost knows: that must not matter."""

    def __init__(self, world, name):
        self.name = name
        self.server = world.keep(SERVERS[name](world))
        layout = Layout(world, self.server.port, identity="none", own_domains=["own.example"])
        layout.tls["client_ca"] = world.pki.ca_a
        layout.route("mx", tls="may").route("open", tls="may", partners=False)
        layout.partner("contoso", sender_domains=["contoso.example", ".fabrikam.example"], tls="verify",
                       certificate_names=["mail.contoso.example"], restrict_to_certificate=True)
        self.proxy = world.shared(f"reader {name.replace(',', '')}", lambda: layout)


_readers = {}


def reader(world, name):
    if name not in _readers:
        _readers[name] = Reader(world, name)
    return _readers[name]


SESSION = 16  # commands; ringpost ends a session after 20 that it refused


def replies(address, commands):
    """[(command, reply)], in clear, as many sessions as it takes."""
    left = list(commands)
    while left:
        with Client(address) as client:
            client.open()
            for _ in range(SESSION):
                if not left:
                    break
                command = left.pop(0)
                client.send(command + b"\r\n")
                reply = client.reply()
                yield command, reply
                if reply.code == 421 or b"this is an SMTP server" in reply.raw:
                    break  # "MAIL:" may be a line of HTTP
                client.expect("RSET", 250)
            # No QUIT, which Exim answers after 0.2 s.


# What a server reads as the partner's where nothing holds it back, so that the cases below show something.
READ_BY_ALL = (b"MAIL FROM:<a@contoso.example>", b"MAIL FROM:<a@X.fabrikam.example>")
READ_BY = {
    "Postfix": (b"MAIL FROM:<a%contoso.example@localhost>", b'MAIL FROM:<"a@contoso.example"@[127.0.0.1]>',
                b"MAIL FROM:<contoso.example!a@own.example>", b"MAIL FROM:<a%contoso.example%localhost@own.example>",
                b'MAIL FROM:<"a@ contoso.example"@localhost>', b'MAIL FROM:<"a@contoso .example"@backend.example.test>'),
    "Exim": (b"MAIL FROM:x X=<ceo@contoso.example>", b"MAIL FROM:a b=c d=<ceo@contoso.example>"),
    "Exim, lenient": (b"MAIL FROM:x X=<ceo@contoso.example>", b"MAIL FROM:<<a@contoso.example>>", b"MAIL FROM:<a@contoso.example.>"),
}


@each(*SERVERS)
def what_a_server_reads(world, name):
    """Each of these is the partner's to the server, and ringpost has stopped it before."""
    against = reader(world, name)
    commands = READ_BY_ALL + READ_BY[name]
    for command, reply in replies(against.proxy.at("open"), commands):
        contains(reply.raw, READ, f"{name}'s reply for {command!r} where partners do not hold")
    for command, reply in replies(against.proxy.at("mx"), commands):
        check(reply.lines[0] in (TLS_FIRST, BAD_SENDER), f"ringpost's reply for {command!r}: {reply}")


# What no attack needs, ringpost passes: the server's own answer comes back.
PASSED = (b"MAIL FROM:<a%evil.example@localhost>", b"MAIL FROM:<user%@evil.example>", b'MAIL FROM:<"a b"@localhost>',
          b"MAIL FROM:<a+contoso.example=x@evil.example>", b"MAIL FROM:a@evil.example SIZE=1",
          b"MAIL FROM:<a@[127.0.0.1]>", b"MAIL FROM:<>", b"MAIL FROM:<a@localhost>", b"MAIL FROM:<a%b%c@evil.example>",
          b"MAIL FROM:<contoso.example@evil.example>")


@case
def what_is_passed(world):
    for command, reply in replies(reader(world, "Postfix").proxy.at("mx"), PASSED):
        equal(reply.code, 250, f"the reply for {command!r}")


@each(*SERVERS)
def no_server_reads_a_partner_that_ringpost_did_not(world, name):
    against = reader(world, name)
    draw = random.Random(f"{SEED} {name}")
    end = time.monotonic() + SECONDS
    drawn, counts, escaped = 0, {"passed": 0, "partner": 0, "malformed": 0, "accepted": 0}, []
    while (time.monotonic() < end or drawn < COMMANDS_MIN) and len(escaped) < 20:
        for command, reply in replies(against.proxy.at("mx"), [mail_command(draw) for _ in range(64)]):
            verdict = {TLS_FIRST: "partner", BAD_SENDER: "malformed"}.get(reply.lines[0], "passed")
            drawn += 1
            counts[verdict] += 1
            counts["accepted"] += reply.code == 250
            if READ in reply.raw:
                escaped.append(command)
    if SECONDS > 10:
        print(f"  {name}: {drawn} commands, {counts}", flush=True)
    check(not escaped, "taken for the partner by the server only:\n    " + "\n    ".join(map(repr, sorted(escaped, key=len)[:10])))
    check(min(counts.values()) > COMMANDS_MIN / 100, f"commands of each kind: {counts}")
