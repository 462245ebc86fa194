# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages that clients send, and whether what was stored is the same."""

import email
import random
import re

from harness.case import Failure, shorten

SENDER, RECIPIENT = "alice@client.example.test", "bob@example.test"

DOTS = """
A dot alone, two of them, and dots before text:
.
..
.one
..two
...
"""
TEXT = """Hello Bob,

\ttabs\tand  blanks, ä, ß, €, 漢字, 🙂
A blank at the end of the line: \n
From the first word on, this line must stay as it is.
=3D and =? are no encoding here.
250 ok
QUIT
RSET
"""


class Message:
    """The first of a run is small, the second large. Text with lines that end in LF."""

    def __init__(self, client, way, number):
        self.number = number
        self.subject = f"{client.name} {way} {number}"
        self.identifier = f"<{random.getrandbits(64):x}.{number}@client.example.test>"
        lines = [TEXT, "x" * client.longest + "\n"] + ([DOTS] if client.dots else [])
        if number == 2:
            drawn = random.Random(number)
            alphabet = "abcdefghijklmnopqrstuvwxyz     äöü" + ("..." if client.dots else "")
            lines += ["".join(drawn.choices(alphabet, k=drawn.randrange(1, 300))).strip() + "\n" for _ in range(2000)]
        self.body = "".join(lines) + "The end.\n"
        self.header = (f"From: Alice <{SENDER}>\nTo: <{RECIPIENT}>\nSubject: {self.subject}\n"
                       f"Date: Sun, 29 Nov 2026 10:00:00 +0000\nMessage-ID: {self.identifier}\nMIME-Version: 1.0\n"
                       "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
                       "X-Folded: one\n two\n\tthree\n")
        self.text = f"{self.header}\n{self.body}"


def crlf(text):
    return text.replace("\n", "\r\n").encode()


def fields(header):
    """[field with its folded lines] of octets."""
    return re.findall(rb"[^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*", header)


def name_of(field):
    return field.partition(b":")[0].strip().lower().decode("latin-1")


def difference(found, wanted):
    """Where two texts first differ, with what stands around."""
    at = next((place for place, (one, other) in enumerate(zip(found, wanted)) if one != other),
              min(len(found), len(wanted)))
    return (f"byte {at}: {shorten(found[max(at - 40, 0):at + 40])} in place of {shorten(wanted[max(at - 40, 0):at + 40])}; "
            f"{len(found)} bytes, not {len(wanted)}")


def compare(message, stored, client):
    """Fails unless `stored` is the message, but for what the client is known to add and to write in its own way."""
    header, _, body = stored.partition(b"\r\n\r\n")
    wanted = crlf(message.body + "\n" * client.more_lines)
    if client.composes:
        parsed = email.message_from_bytes(stored)
        body = parsed.get_payload(decode=True)
        if body.rstrip(b"\r\n").replace(b"\r\n", b"\n") != message.body.rstrip("\n").encode():
            raise Failure("text: " + difference(body.replace(b"\r\n", b"\n"), message.body.encode()))
        return
    if body != wanted:
        raise Failure("text: " + difference(body, wanted))
    found, rewritten = fields(header + b"\r\n"), client.rewrites.lower().split()
    for field in fields(crlf(message.header)):
        if field in found:
            found.remove(field)
        elif name_of(field) not in rewritten:
            raise Failure(f"header: {shorten(field)} is not in {shorten(header, 2000)}")
    added = {name_of(field) for field in found} - set(client.adds.lower().split()) - set(rewritten)
    if added:
        raise Failure(f"header: {', '.join(sorted(added))} were added: {shorten(header, 2000)}")
