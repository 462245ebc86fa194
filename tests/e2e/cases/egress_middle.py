# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody between us and a sound partner takes STARTTLS away or says things in the partner's name. At every level stronger
than `may` neither he nor the partner gets an octet of a message in clear, and none of what he says is believed."""

from cases.egress import CLEAR, MAIL_VERBS, NO_STARTTLS, STRONG, TLS, expect, layout_of, outcome, policy
from harness.case import Failure, check, each
from harness.middle import Attack, Middle
from harness.names import NameServer
from harness.partner import Partner
from harness.server_pki import HOST

REFUSED = r"45[01] 4\.\d\.\d HOST\b.*: "
BEHIND = policy("behind")
FORGED_LIST = b"250-mx.partner.example\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN\r\n"


class StripsTheList(Attack):
    """In EHLO's list stands `instead` of STARTTLS."""

    def __init__(self, instead=None):
        self.instead = instead

    def reply(self, lines, command):
        if not command or not command.upper().startswith(b"EHLO"):
            return b"".join(lines)
        words = [self.instead if line[4:-2].upper() == b"STARTTLS" else line[4:-2] for line in lines]
        words = [word for word in words if word is not None]
        return b"".join(b"250-" + word + b"\r\n" for word in words[:-1]) + b"250 " + words[-1] + b"\r\n"


class Answers(Attack):
    """Answers a command himself; the server never hears of it."""

    def __init__(self, verb, reply):
        self.verb, self.answer = verb, reply

    def command(self, line):
        return (b"", self.answer) if line.upper().startswith(self.verb) else (line, b"")


class Adds(Attack):
    """Says more behind the reply to a command, in the same segment; without a verb, behind the greeting."""

    def __init__(self, verb, more):
        self.verb, self.more = verb, more

    def reply(self, lines, command):
        said = b"".join(lines)
        if command is None or self.verb is None:
            return said + self.more if command is self.verb else said
        return said + self.more if command.upper().startswith(self.verb) else said


class SpeaksAfterTheHello(Attack):
    def hello(self):
        return FORGED_LIST


def stripped(strong=NO_STARTTLS, may=CLEAR):
    return {"none": CLEAR, "may": may, **dict.fromkeys(STRONG, strong)}


def spoilt(may):
    """What he says would spoil a session without TLS as well."""
    return {"may": may, **dict.fromkeys(STRONG, REFUSED)}


# What he does → by level, what comes of the message.
ATTACKS = {
    "nothing": (Attack(), {"none": CLEAR, "may": TLS, **dict.fromkeys(STRONG, TLS), "other pin": policy("fingerprint")}),
    "strips the list": (StripsTheList(), stripped()),
    "XXXXXXXA in the list": (StripsTheList(b"XXXXXXXA"), stripped()),
    "STARTTLSX in the list": (StripsTheList(b"STARTTLSX"), stripped()),
    "refuses EHLO": (Answers(b"EHLO", b"500 5.5.1 what?\r\n"), dict.fromkeys(STRONG, NO_STARTTLS)),
    "502 to STARTTLS": (Answers(b"STARTTLS", b"502 5.5.1 not implemented\r\n"), stripped()),
    "454 to STARTTLS": (Answers(b"STARTTLS", b"454 4.7.0 not now\r\n"), stripped()),
    "250 to STARTTLS": (Answers(b"STARTTLS", b"250 2.0.0 Ok\r\n"), stripped(REFUSED, (CLEAR, REFUSED))),
    "a list behind the 220": (Adds(b"STARTTLS", FORGED_LIST), stripped(BEHIND, (CLEAR, BEHIND))),
    "one octet behind the 220": (Adds(b"STARTTLS", b"2"), stripped(BEHIND, (CLEAR, BEHIND))),
    "a list after the hello": (SpeaksAfterTheHello(), stripped(policy("TLS"))),
    "a reply behind the greeting": (Adds(None, b"250 mx.partner.example\r\n"), spoilt((CLEAR, TLS, REFUSED))),
    "replies behind the list": (Adds(b"EHLO", b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go on\r\n250 2.0.0 stored\r\n"),
                                spoilt((CLEAR, REFUSED))),
    "a 220 behind the list": (Adds(b"EHLO", b"220 2.0.0 Ready to start TLS\r\n"), spoilt((CLEAR, REFUSED))),
}


@each(*ATTACKS)
def attack(world, name):
    how, wanted = ATTACKS[name]
    wrong = []
    with Middle(Partner(world.server_pki.server_context("right")), how) as middle, NameServer({HOST: ["127.0.0.1"]}) as names, \
            world.configured(layout_of(world, f"{HOST}:{middle.port}", "right", names)) as proxy:
        for level in wanted:
            before = len(middle.from_client)
            try:
                expect(outcome(middle, proxy.at(level), level, HOST), wanted[level], level)
                if level in STRONG:
                    for clear in middle.from_client[before:]:
                        for verb in MAIL_VERBS:
                            check(verb not in clear.upper(), f"{level}: {verb} on the way, in clear: {clear}")
            except Failure as failure:
                wrong.append(f"{level}: {str(failure).removeprefix(f'{level}: ')}")
        check(proxy.process.running(), "ringpost runs")
    check(not wrong, "; ".join(wrong))
