#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The soak: mixed load on ringpost for a long time, in front of a real Postfix and of ringpost-sink, with reloads.

    tests/soak/run.py [--minutes=N] [--build=FOLDER] [--results=FILE]

Prints a table and a verdict. After the warm-up (a tenth of the time; a third if that is less than 3 minutes) the
memory of neither ringpost may grow by 1 %; at the end descriptors and blocks must be what they were before the
first client, no session may be left, and no honest client may have failed.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parents[0] / "e2e"))

from harness.case import Failure, Skip, eventually  # noqa: E402
from harness.smtp import Client, mail  # noqa: E402
from harness.world import ROOT, World  # noqa: E402
from nuisance import Nuisance  # noqa: E402

GROWTH_MAX = 0.01
RELOAD_SECONDS = 15
ROUND_SECONDS = 8
LEAVE_SECONDS = 60  # for the last sessions: the longest wait of ringpost's own is 30 s here

# The honest load: what ringpost-load is told, each in a loop. Open loop: the same whatever else happens.
SINK_LOADS = (
    {"rate": 15, "messages": 3},
    {"rate": 10, "tls": "implicit", "tls_version": "1.2", "groups": "P-256,X25519", "bdat": True},
    {"rate": 10, "resumption": "on", "tls_version": "1.3", "size": 1000},
    {"rate": 5, "resumption": "on", "tls_version": "1.2", "groups": "P-256,X25519", "pipelining": "off"},
    {"rate": 2, "tls": "implicit", "size": 1_000_000, "groups": "X25519MLKEM768"},
    {"rate": 1, "size": 1_000_000, "bdat": True},
    {"rate": 5, "tls": "plain", "size": 4000},
)
POSTFIX_LOADS = (
    {"rate": 4, "messages": 2},
    {"rate": 3, "tls": "implicit", "bdat": True, "size": 2000},
    {"rate": 2, "resumption": "on", "tls_version": "1.2", "groups": "P-256,X25519"},
    {"rate": 0.3, "size": 1_000_000},
)
# More at a time than ever after: what comes later must do with the memory that this took.
BURSTS = {
    "sink": ({"connections": 150, "size": 200_000, "messages": 2},
             {"connections": 150, "tls": "implicit", "size": 200_000, "bdat": True}),
    # Postfix has a process for each connection, and at most a hundred of them.
    "postfix": ({"connections": 25, "size": 200_000, "messages": 2},
                {"connections": 25, "tls": "implicit", "size": 200_000, "bdat": True}),
}


class Load(threading.Thread):
    """ringpost-load again and again, until told to stop."""

    def __init__(self, soak, watch, flags):
        super().__init__(daemon=True)
        self.soak, self.watch, self.flags = soak, watch, flags
        self.stopping = False
        self.messages = 0
        self.not_begun = 0
        self.failures = collections.Counter()

    def run(self):
        while not self.stopping:
            self.once({**self.flags, "duration": f"{ROUND_SECONDS}s"})

    def once(self, flags):
        port = self.watch.proxy.implicit_port if flags.get("tls") == "implicit" else self.watch.proxy.port
        words = [f"--{key}" if value is True else f"--{key}={value}" for key, value in
                 {"target": f"127.0.0.1:{port}", "json": True, "allow_failures": True, "quiet": True,
                  "connections": 100, "from": "load@client.example.test", "to": "load@discarded.example.test",
                  **flags}.items()]
        done = subprocess.run(["setpriv", "--pdeathsig", "TERM", str(self.soak.world.load_path), *words], text=True,
                              capture_output=True, timeout=300, check=False)
        try:
            result = json.loads(done.stdout)
        except ValueError:
            self.failures[f"ringpost-load: {done.stdout[-200:]}{done.stderr[-200:]}"] += 1
            return
        self.messages += result["messages"]
        for name, count in result["failures"].items():
            if name == "not_started":  # a busy machine: never begun, so nothing that ringpost could fail at
                self.not_begun += count
            elif name != "total" and count:
                first = result["first_failures"].get(name, "")
                self.failures[f"{name}: {first}"] += count


class Watch:
    """One ringpost and what is known of it."""

    def __init__(self, name, proxy, loads):
        self.name, self.proxy, self.loads = name, proxy, loads
        self.pid = proxy.process.pid
        self.samples = []  # (seconds, resident octets)
        self.sessions_ended = 0
        self.reasons = collections.Counter()
        self.complaints = []
        self.status = {}   # the last line of each shard
        self.status_lines = 0
        self._offset = 0
        self._rest = b""
        self.messages_sent = 0

    def resident(self):
        text = pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text(encoding="ascii")
        return int(re.search(r"^Rss:\s+(\d+) kB", text, re.MULTILINE)[1]) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def read_log(self):
        """What was added since the last time."""
        with open(self.proxy.process.log_path, "rb") as log:
            log.seek(self._offset)
            octets = log.read()
        self._offset += len(octets)
        *lines, self._rest = (self._rest + octets).split(b"\n")
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                self.complaints.append(line.decode("utf-8", "replace")[:300])
                continue
            if record.get("component") == "session":
                self.sessions_ended += 1
                self.reasons[record["reason"]] += 1
            elif record.get("component") == "status" and "shard" in record:
                self.status[record["shard"]] = record
                self.status_lines += 1
            if record.get("level") == "error":
                self.complaints.append(line.decode("utf-8", "replace")[:300])

    def ask(self, shards):
        """{shard: its line}, as of now."""
        self.read_log()
        wanted = self.status_lines + shards
        self.proxy.process.signal(signal.SIGUSR2)

        def answered():
            self.read_log()
            return self.status_lines >= wanted
        eventually(answered, f"{self.name}: a status line of each shard after SIGUSR2", 30)
        return self.status

    def sessions(self, shards):
        return sum(int(line["sessions"]) for line in self.ask(shards).values())


class Soak:
    def __init__(self, options):
        self.options = options
        self.world = World(options.build.resolve())
        self.failures, self.skipped = [], []
        self.held = 0
        self.reloads = 0
        self.watches = []
        self.shards = 2

    def check(self, condition, what):
        if condition:
            self.held += 1
        else:
            self.failures.append(what)
        print(f"  {'held  ' if condition else 'BROKEN'} {what}", flush=True)

    def start(self):
        world = self.world
        flags = {"shards": self.shards, "handshake_timeout": "10s", "sessions_max": 3000, "buffers_large": 256,
                 "buffers_small": 1024, "sessions_per_client_max": 0, "drain_timeout": "10s"}
        sink = world.keep(world.private_sink(store=None, print=None))
        self.watches.append(Watch("sink", world.keep(world.private(sink.port, **flags)), SINK_LOADS))
        try:
            mx = world.mx
            self.watches.append(Watch("postfix", world.keep(world.private(mx.proxy_port, **flags)), POSTFIX_LOADS))
        except Skip as reason:
            self.skipped.append(f"Postfix: {reason}")
        for watch in self.watches:
            watch.before = {shard: dict(line) for shard, line in watch.ask(self.shards).items()}
            watch.descriptors_before = watch.descriptors()

    def run(self):
        seconds = self.options.minutes * 60
        warm_up = seconds / (3 if self.options.minutes < 3 else 10)
        self.began = time.monotonic()
        loads = [Load(self, watch, flags) for watch in self.watches for flags in watch.loads]
        nuisances = [Nuisance(watch.proxy, number) for watch in self.watches for number in (1, 2)]
        bursts = [Load(self, watch, flags) for watch in self.watches for flags in BURSTS[watch.name]]
        for thread in (*loads, *nuisances):
            thread.start()
        self.burst(bursts, min(12, warm_up / 2))
        loads += bursts
        print(f"{'minute':>6}  {'before':8} {'RSS KiB':>8} {'fds':>5} {'sessions':>8} {'ended':>8} {'messages':>9} "
              f"{'failures':>8} {'reloads':>7}", flush=True)
        row = max(10.0, seconds / 24)
        next_row, next_reload, next_sample, number = row, RELOAD_SECONDS, 0.0, 0
        while (now := time.monotonic() - self.began) < seconds:
            if now >= next_sample:
                next_sample = now + 1
                for watch in self.watches:
                    watch.samples.append((now, watch.resident()))
                    watch.read_log()
            if now >= next_reload:
                next_reload += RELOAD_SECONDS
                self.reload()
            if now >= next_row:
                next_row += row
                number += 1
                self.say_row(now, loads)
                self.end_to_end(number)
            time.sleep(0.1)
        for thread in (*loads, *nuisances):
            thread.stopping = True
        for thread in (*loads, *nuisances):
            if thread.ident is not None:
                thread.join(320)
        self.nuisances = sum(thread.count for thread in nuisances)
        self.verdict(warm_up, seconds, loads)

    def burst(self, bursts, seconds):
        """The warm-up's part with more at a time than ever after."""
        threads = [threading.Thread(target=load.once, args=({**load.flags, "duration": f"{seconds:.0f}s"},), daemon=True)
                   for load in bursts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def reload(self):
        for watch in self.watches:
            watch.proxy.process.signal(signal.SIGHUP)
        self.reloads += 1

    def end_to_end(self, number):
        """One message that must come out of Postfix as it went in."""
        for watch in self.watches:
            if watch.name != "postfix":
                continue
            identifier, content = mail(b"x" * 60 + b"\r\n" + b"..dots\r\n" * number)
            try:
                with Client(watch.proxy.address) as client:
                    client.open(self.world.tls)
                    if client.message(content).code != 250:
                        raise Failure("not taken")
                    client.quit()
                if content.replace(b"\r\n", b"\n") not in self.world.mx.stored(identifier):  # maildir has its own line end
                    raise Failure("changed on its way")
            except (Failure, OSError) as error:
                self.failures.append(f"a message through Postfix: {error}")

    def say_row(self, now, loads):
        for watch in self.watches:
            own = [load for load in loads if load.watch is watch]
            print(f"{now / 60:6.1f}  {watch.name:8} {watch.samples[-1][1] // 1024:8} {watch.descriptors():5} "
                  f"{watch.sessions(self.shards):8} {watch.sessions_ended:8} {sum(load.messages for load in own):9} "
                  f"{sum(sum(load.failures.values()) for load in own):8} {self.reloads:7}", flush=True)

    def verdict(self, warm_up, seconds, loads):
        print(f"{self.nuisances} times nuisance, {self.reloads} reloads")
        for watch in self.watches:
            own = [load for load in loads if load.watch is watch]
            failures = sum((load.failures for load in own), collections.Counter())
            messages = sum(load.messages for load in own)
            not_begun = sum(load.not_begun for load in own)
            # While the load is on: the highest of the first and of the last fifth after the warm-up.
            fifth = (seconds - warm_up) / 5
            first = max(rss for at, rss in watch.samples if warm_up <= at < warm_up + fifth)
            last = max(rss for at, rss in watch.samples if at >= seconds - fifth)
            growth = last / first - 1
            self.check(growth < GROWTH_MAX, f"{watch.name}: memory, {first // 1024} KiB after the warm-up, {last // 1024} "
                       f"KiB at the end: {100 * growth:+.2f} %")
            self.check(not failures and messages > 0, f"{watch.name}: {messages} messages without a failure"
                       + (f" ({not_begun} connections not begun, the machine was busy)" if not_begun else "")
                       + (f", but: {dict(failures.most_common(5))}" if failures else ""))
            try:
                eventually(lambda: watch.sessions(self.shards) == 0, "no session", LEAVE_SECONDS)  # noqa: B023
                left = 0
            except Failure:
                left = watch.sessions(self.shards)
            self.check(left == 0, f"{watch.name}: {left} sessions left after all clients have gone")
            status = watch.ask(self.shards)
            for shard, before in watch.before.items():
                blocks = {key: (before[key], status[shard][key]) for key in ("blocks_large_free", "blocks_small_free")}
                self.check(all(old == new for old, new in blocks.values()),
                           f"{watch.name}: shard {shard} has its blocks back: "
                           + ", ".join(f"{key} {new}" for key, (_, new) in blocks.items()))
            descriptors = watch.descriptors()
            self.check(descriptors <= watch.descriptors_before, f"{watch.name}: {descriptors} descriptors, "
                       f"{watch.descriptors_before} before the first client")
            watch.proxy.terminate()
            code = watch.proxy.process.wait(60)
            watch.read_log()
            self.check(code == 0 and not watch.complaints, f"{watch.name}: an orderly end"
                       + (f": exit code {code}, {watch.complaints[:3]}" if code or watch.complaints else ""))
            print(f"         {watch.sessions_ended} sessions: "
                  + ", ".join(f"{reason} {count}" for reason, count in watch.reasons.most_common()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--results", type=pathlib.Path, help="write the counts there, as JSON")
    options = parser.parse_args()
    if options.minutes < 1:
        parser.error("--minutes is at least 1")
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(143))
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    soak = Soak(options)
    try:
        soak.start()
        soak.run()
    except Failure as failure:
        soak.failures.append(str(failure))
    finally:
        soak.world.close()
    for text in soak.skipped:
        print(f"  skipped: {text}")
    for text in soak.failures:
        print(f"FAILED {text}")
    print(f"soak: {soak.held} held, {len(soak.failures)} failures, {len(soak.skipped)} skipped")
    if options.results:
        options.results.write_text(json.dumps({"passed": soak.held, "failures": soak.failures,
                                               "skipped": len(soak.skipped)}))
    return 1 if soak.failures or not soak.held else 0


if __name__ == "__main__":
    sys.exit(main())
