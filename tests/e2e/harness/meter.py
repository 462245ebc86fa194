# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process uses, and what other clients meet while it is under attack."""

import contextlib
import json
import math
import os
import pathlib
import re
import signal
import time

from harness.case import Failure, check, eventually
from harness.process import Process
from harness.ringpost import flag_words
from harness.smtp import Client

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(proxy):
    """CPU time that a server has used so far, by the kernel's count of ticks."""
    fields = pathlib.Path(f"/proc/{proxy.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident(proxy):
    """Octets of memory that a server has."""
    return int(pathlib.Path(f"/proc/{proxy.process.pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE


def status(proxy):
    """What each shard says of itself on SIGUSR2, by its number. While an answer is missing, all are asked every 5 s."""
    shards = int(re.search(r"(\d+) shard\(s\)", proxy.log).group(1))
    before = len(_said(proxy))
    asked = -math.inf

    def complete():
        nonlocal asked
        if time.monotonic() > asked + 5:
            proxy.process.signal(signal.SIGUSR2)
            asked = time.monotonic()
        answers = {line["shard"]: line for line in _said(proxy)[before:]}
        return answers if len(answers) == shards else None
    return eventually(complete, "each shard's line about itself")


def _said(proxy):
    return [line for line in proxy.events("status") if "shard" in line]


def blocks_in_use(proxy):
    """Octets of blocks that sessions hold at this moment."""
    total = 0
    for line in status(proxy).values():
        for kind, size in (("blocks_large_free", 16384), ("blocks_small_free", 2048)):
            free, of = (int(word) for word in line[kind].split("/"))
            total += (of - free) * size
    return total


class Plan:
    """The memory that a server said at its start it would need, in octets."""

    def __init__(self, proxy):
        found = re.search(r"memory: ([\d.]+) MiB and (\d+) octets for each idle TLS session \(.*"
                          r"at most (\d+) MiB .* and (\d+) octets more for each session stopped", proxy.log)
        check(found, "the log has no line about memory")
        self.fixed = int(float(found.group(1)) * (1 << 20))
        self.session = int(found.group(2))
        self.most = int(found.group(3)) << 20
        self.in_record = int(found.group(4))


def log_lines_dropped(proxy):
    """Lines that came faster than the log takes them, which it counts."""
    return sum(int(number) for number in re.findall(r'"message":"(\d+) log lines dropped"', proxy.log))


def descriptors(proxy):
    return len(os.listdir(f"/proc/{proxy.process.pid}/fd"))


class Load:
    """A running ringpost-load; result() ends it and gives what it has measured."""

    _count = 0

    def __init__(self, world, address, **flags):
        Load._count += 1
        settings = {"target": f"{address[0]}:{address[1]}", "json": True, "quiet": True, "duration": "100s",
                    "timeout": "20s", **flags}
        self.process = Process(f"load-{Load._count}", [world.load_path] + flag_words(settings), world.folder)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.running():
            self.process.signal(signal.SIGINT)
        self.process.stop()

    def result(self, end=True):
        """Its figures. With `end` it stops beginning new connections now, else when its time is over."""
        if end and self.process.running():
            self.process.signal(signal.SIGINT)
        self.process.wait(90)
        line = next((line for line in reversed(self.process.log.splitlines()) if line.startswith("{")), None)
        check(line is not None, f"no figures from ringpost-load: {self.process.log[-400:]}")
        return json.loads(line)


def greeted(client):
    """Whether a client is greeted; False where it is told 421."""
    code = client.reply().code
    check(code in (220, 421), f"a greeting of {code}")
    return code == 220


def place(address, source=None):
    """A client that was greeted, or None where there is no place for it yet."""
    client = Client(address, source=source)
    with contextlib.suppress(Failure):
        if greeted(client):
            return client
    client.drop()
    return None


def recovers(address, source="127.0.0.99", tries=20, interval=0.05):
    """A new client is greeted within a second: `tries` attempts, each given `interval`, and what each takes."""
    for number in range(tries):
        begun = time.monotonic()
        try:
            with Client(address, source=source) as client:
                client.socket.settimeout(max(interval, 0.05 * (number + 1)))
                if greeted(client):
                    return number + 1
        except (Failure, OSError):
            pass
        time.sleep(max(0.0, begun + interval - time.monotonic()))
    raise Failure(f"nobody was greeted in {tries} attempts")


class Witness(Load):
    """Other clients, from addresses of their own: a message each, at a steady rate, while something happens.
    With `with`; verdict() says that all were served."""

    def __init__(self, world, address, rate=20, **flags):
        super().__init__(world, address, **{"tls": "starttls", "rate": rate, "connections": 200, "messages": 1,
                                            "size": 2000, "sources": "127.0.0.201-127.0.0.209", **flags})

    def verdict(self, slowest=5.0):
        """No failure, and no session that took longer than `slowest` seconds: liveness, not speed."""
        figures = self.result()
        check(figures["failures"]["total"] == 0,
              f"other clients met failures: {figures['failures']} {figures['first_failures']}")
        check(figures["messages"] > 0, f"other clients delivered nothing: {figures}")
        worst = max(figures["latency_us"][kind].get("max", 0) for kind in ("session_ready", "message")) / 1e6
        check(worst < slowest, f"another client waited {worst:.2f} s: {figures['latency_us']}")
        return figures
