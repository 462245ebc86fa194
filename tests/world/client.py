# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client of this folder is: an entry that says how it sends a message, and what it is known to change."""

import dataclasses
import pathlib
import re
import urllib.parse

from harness.world import ROOT

STORE, SERVERS = ROOT / ".cache/world", ROOT / ".cache/servers"
BOTH = ("starttls", "implicit")
CLIENTS = []


@dataclasses.dataclass
class Client:
    """`send` is a shell script that ends with 0 when the message is sent. It finds in its environment:

        way       starttls or implicit
        host port the server; its name stands in /etc/hosts and in its certificate
        from to   the envelope
        message   a file with the message, lines ended by LF; message_crlf: by CRLF
        body      a file with the message's text alone
        subject   the message's subject
        ca        the certificate of the authority, which is the only one of the machine's store as well

    With `at_once` it is run once and sends all messages, each in a session of its own: message, message_crlf and body
    then name all files. So a client can resume that keeps its TLS sessions in memory.
    """
    name: str
    send: str
    packages: str = ""      # of Debian; the first gives the version. "npm:NAME" for what npm/package.json pins,
                            # "servers:npm:NAME" for what tools/fetch-servers has from there
    shares: str = ""        # the client that has the same packages
    title: str = ""         # for people, if not the name
    files: dict = dataclasses.field(default_factory=dict)  # path from the root → text
    users: tuple = ()
    prepare: str = ""       # once, before the first message
    ways: tuple = BOTH
    at_once: bool = False
    adds: str = ""          # header fields that it adds
    rewrites: str = ""      # header fields that it writes in its own way
    composes: bool = False  # makes the message by itself: only the text is compared, once decoded
    more_lines: int = 0     # empty lines that it adds at the end
    dots: bool = True       # False: does not keep lines that begin with a dot
    longest: int = 990      # the longest line that it takes
    tls: str = "TLSv1.3"
    reason: str = "quit"    # how a session of it ends
    resumes: tuple = ()     # the ways in which its last session is a resumed one of TLS; in the others none is
    since: tuple = ()       # a version, and what is otherwise from that one on: ("8.14", {"resumes": BOTH})
    note: str = ""          # for the table
    trouble: str = ""       # what it is known to fail from
    seconds: int = 40       # for all messages of one way
    quick: bool = False     # part of tools/test

    def __post_init__(self):
        self.title = self.title or self.name
        if self.since and as_numbers(self.version()) >= as_numbers(self.since[0]):
            for name, value in self.since[1].items():
                setattr(self, name, value)
        CLIENTS.append(self)

    @property
    def folder(self):
        """Under `store`."""
        return "npm" if "npm:" in self.packages else self.shares or self.name

    @property
    def store(self):
        return SERVERS if self.packages.startswith("servers:") else STORE

    @property
    def to_fetch(self):
        """A line for tools/fetch-clients: where it lies, and the packages if that does not say it all."""
        if self.folder == "npm":
            return "servers npm" if self.store == SERVERS else "npm"
        return f"{self.folder} {self.packages}"

    def version(self):
        """Of the first package, or "" where it is not there."""
        if not self.packages:
            return ""
        first = self.packages.split()[0].removeprefix("servers:")
        complete = self.store / self.folder / ".complete"
        if not complete.exists():
            return ""
        if first.startswith("npm:"):
            locked = re.search(rf'"node_modules/{first[4:]}": {{\s*"version": "([^"]+)"', complete.read_text())
            return locked.group(1) if locked else ""
        for deb in complete.read_text().splitlines():
            name, _, rest = deb.partition("_")
            if name == first:
                return upstream_version(urllib.parse.unquote(rest.rsplit("_", 1)[0]))
        return ""


def upstream_version(version):
    """1:2.39.5-0+deb12u3 → 2.39.5, 3.1.7+really3.1.2-0 → 3.1.2"""
    version = (version.partition(":")[2] or version).rsplit("-", 1)[0]
    return re.sub(r"[+~](dfsg|ds|deb|b?\d+$).*", "", version.rpartition("+really")[2])


def as_numbers(version):
    """"8.14.1" → (8, 14, 1); nothing is older than everything."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


def here(name):
    """The text of a file of clients/."""
    return (pathlib.Path(__file__).parent / "clients" / name).read_text(encoding="utf-8")
