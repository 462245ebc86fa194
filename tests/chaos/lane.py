# SPDX-License-Identifier: GPL-3.0-or-later
"""One lane: a ringpost, two storing backends, clients, and the killer, in a network namespace of their own. In
some lanes mail leaves: the clients are our own mail server, and the backends are a partner's, each a ringpost that
takes mail in TLS only with a storing sink behind it.

Run by run.py, one process each; prints a line of JSON now and then and a last one with "done". Which strikes
come, in which order and at what, is drawn from the seed; when exactly they meet the load is not.
"""

import argparse
import dataclasses
import heapq
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time

import network
from client import Client
from ledger import EGRESS_REASONS, SESSION_REASONS, Oracles, Outcome, Store, judge_message, session_lines
from servers import Backend, Partner, Proxy, check_instance

WINDOW_WAIT = 2.0    # how long a strike waits for a client between its final dot and the answer
DELIVERY_WAIT = 60   # after the last strike: until every message is acknowledged
DRAIN_WAIT = 15      # for an orderly end; --drain_timeout is 2 s, flushing and lingering come on top

# (name, weight). Each is one kill but "reload", which comes on top.
STRIKES = (("backend kill", 20), ("backend stopped, killed", 10), ("backend terminated", 4), ("proxy kill", 16),
           ("proxy stopped, killed", 6), ("proxy terminated", 8), ("reset of a client", 10),
           ("reset of backend connections", 10), ("hole to a client", 8), ("hole to a backend", 8), ("reload", 6))
RESETS = ("reset of a client", "reset of backend connections")
HOLES = ("hole to a client", "hole to a backend")


@dataclasses.dataclass
class Strike:
    kind: str
    begun: float
    ended: float = None
    # Between their final dot and its answer when it began, of those that it can concern.
    attempts: list = dataclasses.field(default_factory=list)

    def window(self):
        return [attempt for attempt in self.attempts if attempt.done is None or attempt.done >= self.ended]

    def lost(self):
        return any(attempt.outcome != Outcome.ACCEPTED for attempt in self.window())


class Lane:
    def __init__(self, options, folder):
        self.options, self.index, self.folder = options, options.lane, folder
        self.build = options.build
        # Both identities in every run with two lanes or more, and mail that leaves in one with three.
        self.egress = options.egress or options.lane % 3 == 2
        self.identity = ("proxy-v2", "xclient")[options.lane % 2]
        self.tells_starttls_facts = self.identity == "proxy-v2"
        # What is started when depends on time; the strikes must not, so they have a source of their own.
        self.random = random.Random(f"{options.seed}/{options.lane}/strikes")
        self.start_random = random.Random(f"{options.seed}/{options.lane}/starts")
        self.oracles = Oracles()
        self.messages = {}
        self.sessions = []
        self.strikes = []
        self.skipped = []
        self.late_ports = 0
        self.reloads = 0
        self.accepted = self.unanswered = 0
        self.stopping = self.given_up = False
        self.due = []  # (time, order, what to do)
        self.order = itertools.count()
        self.changed = threading.Condition()
        self.clients_by_hello = {}
        self.store = Store(self.messages, self.oracles, self.clients_by_hello if self.egress else None)
        self.began = time.monotonic()

    # --- what the clients tell ---

    def dot_sent(self):
        with self.changed:
            self.changed.notify_all()

    def attempt_done(self, attempt):
        with self.changed:
            if attempt.outcome == Outcome.ACCEPTED:
                self.accepted += 1
            elif attempt.outcome in (Outcome.NO_ANSWER, Outcome.SAID_421):
                self.unanswered += 1

    def session_ended(self, session):
        if session.greeted:
            self.sessions.append(session)

    # --- start ---

    def start(self):
        why_not = network.enter_namespace()
        private = why_not is None
        if not private:
            self.skipped.append(f"black holes, without {why_not}")
        ports = free_ports(6)
        self.kinds = dict(STRIKES)
        self.holes = None
        if private:
            self.holes = network.Holes(ports[2:4])
            if self.holes.why_not:
                self.skipped.append(f"black holes, without nftables: {self.holes.why_not}")
        if not private or self.holes.why_not:
            for kind in HOLES:
                del self.kinds[kind]
        why_not = network.can_reset()
        if why_not:
            self.skipped.append(f"resets from outside, {why_not}")
            for kind in RESETS:
                del self.kinds[kind]
        self.contexts = {"both": tls_context(), "1.2": tls_context(ssl.TLSVersion.TLSv1_2)}
        error = network.command(str(self.options.root / "tools/make-certs"), str(self.folder / "certs"),
                                "mx.example.test", "localhost")
        if error:
            raise RuntimeError(f"tools/make-certs: {error}")
        self.backends = []
        for name, port, sink_port in zip(("one", "two"), ports, ports[4:]):
            self.backends.append(Partner(self, name, port, sink_port) if self.egress else Backend(self, name, port))
        self.backend_names = {backend.hostname for backend in self.backends}
        self.proxy = Proxy(self, *ports[2:4])
        self.start_proxy()
        self.clients = [Client(self, number, f"{self.options.seed}/{self.index}/{number}")
                        for number in range(self.options.clients)]
        for client in self.clients:
            client.start()

    def start_proxy(self):
        shards = self.start_random.choice((1, 2, 2, 3))
        # With "keep" the backend is not told of a STARTTLS that comes later: only where it is told nothing of TLS.
        starttls_backend = "reconnect" if self.tells_starttls_facts else self.start_random.choice(("reconnect", "keep"))
        self.proxy.start(shards, starttls_backend)

    # --- the killer ---

    def run(self):
        options = self.options
        deadline = self.began + options.minutes * 60 if options.minutes else None
        told = 0.0
        while len(self.strikes) < options.kills and not (deadline and time.monotonic() > deadline):
            self.check_alive()
            kind = self.random.choices(list(self.kinds), list(self.kinds.values()))[0]
            self.strike(kind)
            self.wait(self.random.expovariate(1 / options.interval))
            if time.monotonic() - told > 1:
                told = time.monotonic()
                for backend in self.backends:
                    self.store.look(backend)
                self.tell()

    def wait(self, seconds):
        """Does what is due meanwhile."""
        end = time.monotonic() + seconds
        while True:
            while self.due and self.due[0][0] <= time.monotonic():
                heapq.heappop(self.due)[2]()
            now = time.monotonic()
            if now >= end:
                return
            time.sleep(max(0.0, min(end, self.due[0][0] if self.due else end) - now))

    def later(self, seconds, action):
        heapq.heappush(self.due, (time.monotonic() + seconds, next(self.order), action))

    def check_alive(self):
        """A process that is gone without having been killed has crashed."""
        for server in (self.proxy, *self.backends):
            if server.instance is not None and not server.alive():
                instance = server.instance
                self.oracles.broke("nothing crashes", f"{instance.name} ended by itself with "
                                   f"{instance.process.returncode}: {instance.log[-600:]}")
                if server is self.proxy:
                    self.start_proxy()
                else:
                    server.start()
        for client in self.clients:
            if client.crash is not None:
                raise RuntimeError(f"a client of the test itself failed: {client.crash!r}")

    def between(self, backend=None):
        """The attempts between dot and answer now."""
        attempts = [client.attempt for client in self.clients]
        return [attempt for attempt in attempts if attempt is not None and attempt.dot_sent is not None
                and (backend is None or attempt.backend == backend.hostname)]

    def wait_for_dot(self, backend=None):
        """Until somebody waits for the answer to a final dot, or 2 s."""
        with self.changed:
            self.changed.wait_for(lambda: self.between(backend), WINDOW_WAIT)

    def strike(self, kind):
        draw = self.random
        # Everything is drawn first: the schedule does not depend on what happens.
        in_window, pause = draw.random() < 0.7, draw.choice((0, draw.uniform(0, 0.06)))
        backend = draw.choice((self.backends[0], self.backends[0], self.backends[1]))
        down = draw.choice((0, 0.02, 0.1, 0.4))
        client = draw.choice(self.clients)
        stopped = draw.uniform(0.02, 0.15)
        hole = draw.choice((0.05, 0.15, 0.3, 0.6, 1.2))
        directions = draw.choice((("to",), ("from",), ("to", "from")))
        side = draw.choice(("sport", "dport"))

        concerns = backend if "backend" in kind else None
        if concerns is not None and not concerns.alive():
            while not any(other.alive() for other in self.backends):
                self.wait(0.05)  # a restart is due
            concerns = next(other for other in self.backends if other.alive())
        if in_window and "stopped" not in kind:
            self.wait_for_dot(concerns)
            self.wait(pause)
            waiting = self.between(concerns)
            if kind in ("reset of a client", "hole to a client"):
                client = next((one for one in self.clients if one.attempt in waiting), client)
        getattr(self, "do_" + kind.replace(" ", "_").replace(",", ""))(
            Strike(kind, 0.0), backend=concerns, client=client, down=down, stopped=stopped, hole=hole,
            directions=directions, side=side)

    def begin(self, strike, attempts):
        strike.attempts = [attempt for attempt in attempts if attempt is not None and attempt.dot_sent is not None]
        strike.begun = time.monotonic()
        self.strikes.append(strike)

    def end(self, strike):
        strike.ended = time.monotonic()

    def kill_backend(self, strike, backend, down):
        self.begin(strike, self.between(backend))
        backend.instance.kill()
        self.end(strike)
        backend.down()
        self.later(down, backend.start)

    def do_backend_kill(self, strike, backend, down, **_):
        self.kill_backend(strike, backend, down)

    def do_backend_stopped_killed(self, strike, backend, down, stopped, **_):
        """What comes meanwhile stays unread, so that a final dot is on its way, and nothing is stored."""
        backend.instance.signal(signal.SIGSTOP)
        self.wait_for_dot(backend)
        self.wait(stopped)
        self.kill_backend(strike, backend, down)

    def do_backend_terminated(self, strike, backend, down, **_):
        self.begin(strike, self.between(backend))
        backend.instance.terminate()
        self.end(strike)
        if not backend.instance.finish(DRAIN_WAIT) or backend.instance.exit_code != 0:
            self.oracles.broke("nothing crashes", f"{backend.name}, terminated: {backend.instance.exit_code}")
        backend.down()
        self.later(down, backend.start)

    def kill_proxy(self, strike, down):
        self.begin(strike, self.between())
        code = self.proxy.instance.kill()
        self.end(strike)
        if code != -signal.SIGKILL:
            self.oracles.broke("nothing crashes", f"ringpost ended with {code} before it was killed: "
                               f"{self.proxy.instance.log[-600:]}")
        self.proxy_ended()
        self.wait(down / 4)
        self.start_proxy()

    def do_proxy_kill(self, strike, down, **_):
        self.kill_proxy(strike, down)

    def do_proxy_stopped_killed(self, strike, down, stopped, **_):
        self.proxy.instance.signal(signal.SIGSTOP)
        self.wait(stopped)
        self.kill_proxy(strike, down)

    def do_proxy_terminated(self, strike, down, **_):
        self.begin(strike, self.between())
        self.proxy.instance.terminate()
        self.end(strike)
        self.finish_proxy()
        self.wait(down / 4)
        self.start_proxy()

    def finish_proxy(self):
        instance = self.proxy.instance
        in_time = instance.finish(DRAIN_WAIT)
        self.oracles.check(in_time and instance.exit_code == 0, "nothing crashes", lambda: (
            f"ringpost, terminated, ended with {instance.exit_code}{'' if in_time else ' only by SIGKILL'}: "
            f"{instance.log[-600:]}"))
        self.proxy_ended()

    def proxy_ended(self):
        """A killed one has said nothing of its open sessions; an orderly one is judged at the end."""
        instance = self.proxy.instance
        if instance.ended_by == signal.SIGKILL:
            log = instance.log
            if not log.endswith("\n"):
                log = log[:log.rfind("\n") + 1]  # cut off while writing
            for text in session_lines(log)[1]:
                self.oracles.broke("nothing crashes", f"ringpost: {text}")
            instance.log_path.unlink()

    def do_reset_of_a_client(self, strike, client, side, **_):
        self.begin(strike, [client.attempt])
        # Either its own socket is ended and ringpost sees a RST, or the other way round.
        network.reset(f"{'src' if side == 'sport' else 'dst'} {client.source}")
        self.end(strike)

    def do_reset_of_backend_connections(self, strike, backend, side, **_):
        self.begin(strike, self.between(backend))
        network.reset(f"{side} = :{backend.port}")
        self.end(strike)

    def open_hole(self, strike, sets, element, hole, attempts):
        self.begin(strike, attempts)
        error = self.holes.open(sets, element)
        self.end(strike)
        if error is None:
            self.later(hole, lambda: self.holes.close(sets, element))

    def do_hole_to_a_client(self, strike, client, hole, directions, **_):
        self.open_hole(strike, [f"client_{word}" for word in directions], client.source, hole, [client.attempt])

    def do_hole_to_a_backend(self, strike, backend, hole, directions, **_):
        self.open_hole(strike, [f"backend_{word}" for word in directions], backend.port, hole, self.between(backend))

    def do_reload(self, _strike, **_):
        self.proxy.instance.signal(signal.SIGHUP)
        self.reloads += 1

    # --- the end ---

    def finish(self):
        """The faults are over: everything must be delivered, then everything must end in good order."""
        while self.due:
            self.wait(max(0.0, self.due[0][0] - time.monotonic()))
        self.stopping = True
        deadline = time.monotonic() + DELIVERY_WAIT
        told = time.monotonic()
        while any(client.is_alive() for client in self.clients) and time.monotonic() < deadline:
            self.check_alive()
            self.wait(0.05)
            if time.monotonic() - told > 2:
                told = time.monotonic()
                self.tell()
        left = [message.identifier for client in self.clients for message in client.queue]
        self.oracles.check(not left, "everything is delivered in the end",
                           lambda: f"{len(left)} messages still wait {DELIVERY_WAIT} s after the last kill: {left[:5]}")
        self.given_up = True
        for client in self.clients:
            client.join(15)
        self.check_alive()
        self.proxy.instance.terminate()
        self.finish_proxy()
        for backend in self.backends:
            if self.egress:
                backend.instance.strike_both()
            backend.instance.terminate()
            if not backend.instance.finish(DRAIN_WAIT) or backend.instance.exit_code != 0:
                self.oracles.broke("nothing crashes", f"{backend.name}, terminated: {backend.instance.exit_code}")
            self.store.look(backend, everything=True)
        self.judge()

    def judge(self):
        duplicates = self.not_stored = 0
        for message in list(self.messages.values()):
            found = self.store.copies.get(message.identifier, [])
            duplicates += judge_message(message, found, self.oracles)
            clients = {copy.client for copy in found}
            self.not_stored += sum(attempt.outcome in (Outcome.NO_ANSWER, Outcome.SAID_421)
                                   and attempt.client not in clients for attempt in message.attempts)
        self.duplicates = duplicates
        copies = self.store.by_client()
        for instance in self.proxy.instances:
            if instance.ended_by == signal.SIGTERM:
                check_instance(instance, self.sessions, copies, self.oracles,
                               EGRESS_REASONS if self.egress else SESSION_REASONS)

    def counts(self):
        done = [strike for strike in self.strikes if strike.ended is not None]
        return {"lane": self.index, "kills": len(self.strikes), "window": sum(bool(one.window()) for one in done),
                "lost": sum(one.lost() for one in done), "accepted": self.accepted,
                "unanswered": self.unanswered, "stored": self.store.count, "broken": sum(self.oracles.failed.values())}

    def tell(self, **more):
        print(json.dumps({**self.counts(), **more}), flush=True)

    def close(self):
        self.stopping = self.given_up = True
        servers = [server for server in (getattr(self, "proxy", None), *getattr(self, "backends", ())) if server]
        for server in servers:
            if isinstance(server, Partner):
                server.kill_all()
            elif server.instance is not None:
                server.instance.kill()


def free_ports(count):
    """Loopback ports below the kernel's own range."""
    found = []
    while len(found) < count:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def tls_context(highest=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if highest:
        context.maximum_version = highest
    return context


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lane", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--interval", type=float, default=0.3)
    parser.add_argument("--egress", action="store_true")
    parser.add_argument("--build", type=pathlib.Path, required=True)
    options = parser.parse_args()
    options.root = pathlib.Path(__file__).resolve().parents[2]
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(143))
    # Of a broken run the files stay, where whoever removes the build folder removes them.
    place = options.build if os.access(options.build, os.W_OK) else None
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"chaos-lane-{options.lane}-", dir=place))
    lane = Lane(options, folder)
    try:
        lane.start()
        lane.run()
        lane.finish()
        lane.tell(done=True, duplicates=lane.duplicates, not_stored=lane.not_stored, messages=len(lane.messages),
                  sessions=len(lane.sessions), reloads=lane.reloads, late_ports=lane.late_ports,
                  checked=dict(lane.oracles.checked), failed=dict(lane.oracles.failed),
                  examples=lane.oracles.examples, skipped=lane.skipped, folder=str(folder),
                  kinds={kind: sum(strike.kind == kind for strike in lane.strikes) for kind, _ in STRIKES},
                  seconds=round(time.monotonic() - lane.began))
    finally:
        lane.close()
        if not lane.oracles.broken:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
