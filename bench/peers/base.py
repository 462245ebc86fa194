# SPDX-License-Identifier: GPL-3.0-or-later
"""What a measured proxy has in common with the others: how it is started, told to be ready, accounted for and ended."""

import os
import pathlib
import signal
import socket
import subprocess
import time
import typing

PROXY_CPU, LOAD_CPU = "0", "1"
TLS13_SUITE = "TLS_AES_128_GCM_SHA256"
TLS12_SUITES = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
HYBRID = "X25519MLKEM768"


def openssl_has(group):
    """Whether the system's OpenSSL, which all peers use, has a group: the hybrid ones came with 3.5."""
    done = subprocess.run(["openssl", "list", "-kem-algorithms"], capture_output=True, text=True, check=False)
    return group in done.stdout


PEERS_HAVE_HYBRID = openssl_has(HYBRID)
GROUPS = f"{HYBRID}:X25519:P-256" if PEERS_HAVE_HYBRID else "X25519:P-256"


class Unavailable(Exception):
    """A program that did not start; the text says why."""


class Sink(typing.NamedTuple):
    """Where a backend listens: two ways to the same process."""

    port: int
    path: pathlib.Path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(cpu, folder, name, command):
    with open(pathlib.Path(folder, f"{name}.log"), "wb") as log:
        return subprocess.Popen(["taskset", "-c", cpu, *map(str, command)], stdout=log, stderr=log, cwd=folder)


def wait_for_port(process, port, log):
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"{' '.join(process.args[3:])} did not start: {log.read_text(errors='replace')[-400:].strip()}") from None
            time.sleep(0.05)


def end(process):
    """SIGTERM, then SIGKILL for what does not end by it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def family(pid):
    """A process and all its descendants."""
    parents = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(errors="replace").rsplit(")", 1)[1].split()
        except OSError:
            continue  # ended meanwhile
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    pids, queue = [], [pid]
    while queue:
        pids.append(queue.pop())
        queue += parents.get(pids[-1], [])
    return pids


def cpu_clock(pid):
    """The kernel's CPU clock of a whole process, threads that have ended included (clock_getcpuclockid(3))."""
    return (~pid << 3) | 2


class Peer:
    """One proxy with one certificate. Subclasses say how to write its configuration and to start it.

    Its mode is how TLS begins, and ", unix" behind it where the backend is reached by a unix socket instead of TCP.
    """

    name = ""
    packages = ()  # Debian's
    programs = ()  # what of them has to be there
    identity = "PROXY v2"  # what it tells the backend; None: nothing
    note = ""
    share = 1.0  # of a workload's connections, where each one takes long
    no_messages = ""  # why no workload with a message is for it
    needs_message = ""  # why one without is not
    one_message = ""  # why one with several messages for each connection, or with large ones, is not

    def __init__(self, mode, folder, certificate, sinks, build):
        self.mode, self.certificate, self.build = mode, certificate, build
        self.tls, _, socket_kind = mode.partition(", ")
        self.unix = socket_kind == "unix"
        self.load_tls = "plain" if self.tls == "egress" else self.tls
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        os.chmod(self.folder, 0o755)
        self.sink = sinks["proxy" if self.identity else "none"]
        self.begin()

    def __str__(self):
        return f"{self.name}, {self.mode}"

    @classmethod
    def absent(cls):
        """What is missing on this machine, or nothing."""
        return next((program for program in cls.programs if not os.path.exists(program)), "")

    def begin(self):
        self.port = free_port()
        self.helpers, self.process = [], None
        try:
            self.process = start(PROXY_CPU, self.folder, "proxy", self.command())
            wait_for_port(self.process, self.port, self.folder / "proxy.log")
        except BaseException:
            self.close()
            raise

    def restart(self):
        self.close()
        self.begin()

    def command(self):
        raise NotImplementedError

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def pem(self):
        """Certificate and key in one file, as some want it."""
        return self.write("both.pem", self.certificate.with_suffix(".pem").read_text() +
                          self.certificate.with_suffix(".key").read_text())

    def cpu_ns(self):
        return sum(time.clock_gettime_ns(cpu_clock(pid)) for pid in family(self.process.pid))

    def settle(self):
        """Until it has done what it took on: nothing, where the client waits for that anyway."""

    def memory(self):
        """Private memory of its processes in octets, as smaps accounts for it."""
        total = 0
        for pid in family(self.process.pid):
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_"))
        return total

    def version(self):
        raise NotImplementedError

    def close(self):
        for process in (self.process, *self.helpers):
            if process is not None:
                end(process)


def output(*command, containing=""):
    """The first line with this text that a command prints, wherever it prints it."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return next((line for line in result.stdout.splitlines() if containing in line), "")
