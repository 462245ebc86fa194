# SPDX-License-Identifier: GPL-3.0-or-later
"""The partners' servers to which mail leaves in the benchmarks. They share the load's CPU, and nobody counts what they take.

Each logs its TLS sessions, so that a benchmark knows how many handshakes there were, of which kind, and how many of them
were resumed, whoever the client is.
"""

import pathlib
import re
import sys
import time

from peers.base import HYBRID, LOAD_CPU, Sink, TLS13_SUITE, end, free_port, start, wait_for_port

PROGRAM = pathlib.Path(__file__).resolve().parent / "openssl_partner.py"
SECONDS = 60  # for the sessions of a load to appear in the log, from the last one that did
TLS_SESSION = re.compile(r" tls=(TLS\S+) suite=(\S+)(?: group=(\S+))? resumed=(yes|no)")
OPENSSL_CONF = """\
openssl_conf = settings
[settings]
ssl_conf = ssl
[ssl]
system_default = defaults
[defaults]
Groups = X25519
Ciphersuites = {suite}
"""


class Handshakes:
    """What a partner has seen since some moment."""

    def __init__(self, text):
        found = TLS_SESSION.findall(text)
        self.count = len(found)
        self.resumed = sum(resumed == "yes" for *_, resumed in found)
        self.kinds = {" ".join(filter(None, kind)) for *kind, _ in found}

    @property
    def share(self):
        return self.resumed / self.count if self.count else 0.0


class Partner:
    """A server with STARTTLS whose certificate is for 127.0.0.1. Subclasses say what it is."""

    def __init__(self, folder, certificates, build):
        self.folder, self.certificates, self.build = folder, certificates, build
        self.folder.mkdir()
        self.port, self.processes = free_port(), []
        self.log = self.folder / "partner.log"
        try:
            self.begin()
            wait_for_port(self.processes[-1], self.port, self.log)
        except BaseException:
            self.close()
            raise

    def begin(self):
        raise NotImplementedError

    def start(self, name, command):
        self.processes.append(start(LOAD_CPU, self.folder, name, command))

    def mark(self):
        return self.log.stat().st_size

    def since(self, mark):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            log.seek(mark)
            return Handshakes(log.read())

    def wait(self, mark, sessions):
        """What came since the mark, once that many TLS sessions did, or once no more seem to come."""
        seen, deadline = self.since(mark), time.monotonic() + SECONDS
        while seen.count < sessions and time.monotonic() < deadline:
            time.sleep(0.1)
            before, seen = seen.count, self.since(mark)
            if seen.count > before:
                deadline = time.monotonic() + SECONDS
        return seen

    def close(self):
        for process in self.processes:
            end(process)


class OpenSsl(Partner):
    """X25519 and AES-128-GCM only, which all clients have; every handshake is a full one."""

    tickets = "off"

    def begin(self):
        settings = self.folder / "openssl.cnf"
        settings.write_text(OPENSSL_CONF.format(suite=TLS13_SUITE))
        self.start("partner", ["env", f"OPENSSL_CONF={settings}", sys.executable, PROGRAM, self.port, self.certificates / "ecdsa.pem",
                               self.certificates / "ecdsa.key", self.tickets])


class OpenSslTickets(OpenSsl):
    """The same, and it gives tickets."""

    tickets = "on"


class Fast(Partner):
    """ringpost in front of ringpost-sink: for messages, octets and thousands of sessions."""

    options = ()

    def begin(self):
        sink = Sink(free_port(), self.folder / "sink.socket")
        self.start("sink", [self.build / "ringpost-sink", f"--listen=unix:{sink.path},127.0.0.1:{sink.port}", "--identity=proxy"])
        wait_for_port(self.processes[0], sink.port, self.folder / "sink.log")
        self.start("partner", [
            self.build / "ringpost", "--shards=1", f"--listen=127.0.0.1:{self.port}", f"--upstream=unix:{sink.path}",
            f"--cert={self.certificates}/ecdsa.pem", f"--key={self.certificates}/ecdsa.key", "--hostname=partner.example.test",
            "--sessions_per_client_max=0", *self.options])


class Hybrid(Fast):
    """Takes the hybrid group of a client that offers it, and gives no tickets because it asks for a certificate."""

    def begin(self):
        self.options = [f"--client_ca={self.certificates}/ca.pem"]
        super().begin()


KINDS = {"openssl": OpenSsl, "tickets": OpenSslTickets, "fast": Fast, "hybrid": Hybrid}


class Partners:
    """Those of one run, each started when it is first needed."""

    def __init__(self, folder, certificates, build):
        self.folder, self.certificates, self.build = folder, certificates, build
        self.started = {}

    def __getitem__(self, kind):
        if kind not in self.started:
            self.started[kind] = KINDS[kind](self.folder / f"partner-{kind}", self.certificates, self.build)
        return self.started[kind]

    def close(self):
        for partner in self.started.values():
            partner.close()


def wrong_kind(seen, group):
    """Why these handshakes are not those that were wanted, or nothing."""
    if not seen.count:
        return "no TLS session reached the partner"
    if group == HYBRID and not all(kind.endswith(HYBRID) for kind in seen.kinds):
        return f"{HYBRID} was wanted, and it was {', '.join(sorted(seen.kinds))}"
    return ""
