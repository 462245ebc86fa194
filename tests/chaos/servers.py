# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of a lane: started, killed, stopped, started again. Each start is one Instance with a log of
its own, so that what one process said is told apart from what its successor said."""

import collections
import os
import signal
import subprocess
import time

from ledger import SESSION_REASONS, session_lines


class Instance:
    """One life of a process. Times are time.monotonic()."""

    def __init__(self, name, words, log_path, ready):
        self.name, self.log_path = name, log_path
        self.ready_at = self.end_begun = self.finished_at = None
        self.spawned_at = time.monotonic()
        self.ended_by = None
        self.exit_code = None
        with open(log_path, "wb") as log:
            # The signal at the parent's death is there for runs that are killed themselves.
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *words], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        deadline = time.monotonic() + 20
        while ready not in self.log:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise NotStarted(f"{name} did not start: {self.log[-500:]}")
            time.sleep(0.003)
        self.ready_at = time.monotonic()

    @property
    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def kill(self):
        self._end(signal.SIGKILL)
        return self.process.wait()

    def terminate(self):
        """Begins an orderly end; finish() waits for it."""
        self._end(signal.SIGTERM)

    def _end(self, number):
        self.end_begun = self.end_begun or time.monotonic()
        self.ended_by = number
        try:
            os.kill(self.process.pid, number)  # not yet waited for: the id is still its own
        except ProcessLookupError:
            pass

    def finish(self, seconds):
        """Whether it ended by then; if not it is killed."""
        try:
            self.exit_code = self.process.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.exit_code = self.process.wait()
            return False
        finally:
            self.finished_at = time.monotonic()

    def served(self, session):
        """True or False; None where the clocks leave it open."""
        if self.ready_at <= session.connect_begun and session.connected_at < self.end_begun:
            return True
        return None if session.connect_begun <= self.finished_at and session.connected_at >= self.spawned_at else False

    def alive(self):
        return self.process.poll() is None

    def signal(self, number):
        os.kill(self.process.pid, number)


class NotStarted(Exception):
    pass


class Backend:
    """A ringpost-sink that stores, always at the same address and in the same folder."""

    def __init__(self, lane, name, port):
        self.lane, self.name, self.port = lane, name, port
        self.hostname = f"{name}.example.test"
        self.store = lane.folder / name
        self.store.mkdir()
        self.starts = 0
        self.instance = None
        self.start()

    def start(self):
        self.starts += 1
        lane = self.lane
        # Slow answers make the time between dot and answer long, fast ones that between dot and storing likely.
        delay = lane.start_random.choice((0, 5, 60, 60, 120))
        words = [lane.build / "ringpost-sink", f"--listen=127.0.0.1:{self.port}", f"--store={self.store}",
                 f"--identity={'xclient' if lane.identity == 'xclient' else 'proxy'}", "--echo",
                 f"--hostname={self.hostname}", f"--final_delay={delay}"]
        self.instance = retry_start(lambda: Instance(
            self.name, words, lane.folder / f"{self.name}-{self.starts}.log", "listening on"), lane)

    def alive(self):
        return self.instance is not None and self.instance.alive()

    def down(self):
        """After its instance was ended on purpose."""
        ended, self.instance = self.instance, None
        if not self.lane.oracles.broken:
            ended.log_path.unlink()


class Pair:
    """A partner's mail server and the ringpost in front of it, as one Instance. It draws which of them a strike
    meets; the other goes on."""

    def __init__(self, sink, gate, struck):
        self.parts = (gate, sink)
        self.struck = {"gate": (gate,), "sink": (sink,), "both": (gate, sink)}[struck]
        self.name = f"{sink.name} ({struck})"

    @property
    def first(self):
        """The one to tell of: a crashed one, if there is one."""
        return next((part for part in self.parts if not part.alive()), self.parts[0])

    @property
    def process(self):
        return self.first.process

    @property
    def log(self):
        return self.first.log

    @property
    def exit_code(self):
        return next((part.exit_code for part in self.struck if part.exit_code != 0), 0)

    def alive(self):
        return all(part.alive() for part in self.parts)

    def signal(self, number):
        for part in self.struck:
            part.signal(number)

    def kill(self):
        for part in self.struck:
            part.kill()

    def terminate(self):
        for part in self.struck:
            part.terminate()

    def finish(self, seconds):
        return all([part.finish(seconds) for part in self.struck])

    def strike_both(self):
        self.struck = self.parts


class Partner(Backend):
    """The other end of mail that leaves: a ringpost that takes mail in TLS only, and a storing sink behind it. The
    port is the former's."""

    def __init__(self, lane, name, port, sink_port):
        self.sink_port = sink_port
        self.parts = {}
        super().__init__(lane, name, port)

    def start(self):
        self.starts += 1
        lane = self.lane
        words = {
            "sink": [lane.build / "ringpost-sink", f"--listen=127.0.0.1:{self.sink_port}", f"--store={self.store}",
                     "--identity=proxy", "--echo", f"--hostname={self.hostname}",
                     f"--final_delay={lane.start_random.choice((0, 5, 60, 60, 120))}"],
            "gate": [lane.build / "ringpost", f"--listen=127.0.0.1:{self.port}",
                     f"--upstream=127.0.0.1:{self.sink_port}", "--backend_identity=proxy-v2", "--tls_policy=encrypt",
                     f"--cert={lane.folder}/certs/ecdsa.pem", f"--key={lane.folder}/certs/ecdsa.key", "--shards=1",
                     f"--hostname={self.hostname}", "--command_timeout=20s", "--data_timeout=10s",
                     "--handshake_timeout=10s", "--connect_timeout=1s", "--drain_timeout=2s", "--sessions_max=400",
                     "--buffers_large=64", "--buffers_small=256", "--log_format=json"]}
        ready = {"sink": "listening on", "gate": "ringpost: ready"}
        for part in ("sink", "gate"):
            if part not in self.parts or not self.parts[part].alive():
                self.parts[part] = retry_start(lambda part=part: Instance(
                    f"{self.name} {part}", words[part], lane.folder / f"{self.name}-{part}-{self.starts}.log",
                    ready[part]), lane)
        self.instance = Pair(self.parts["sink"], self.parts["gate"],
                             lane.start_random.choice(("gate", "sink", "sink", "both")))

    def down(self):
        for name, part in list(self.parts.items()):
            if part in self.instance.struck:
                del self.parts[name]
                if not self.lane.oracles.broken:
                    part.log_path.unlink()
        self.instance = None

    def kill_all(self):
        for part in self.parts.values():
            part.kill()


class Proxy:
    """ringpost in front of the lane's backends."""

    def __init__(self, lane, port, implicit_port):
        self.lane, self.port, self.implicit_port = lane, port, implicit_port
        self.starts = 0
        self.instances = []  # all of them
        self.instance = None

    def start(self, shards, starttls_backend):
        self.starts += 1
        lane = self.lane
        certs = lane.folder / "certs"
        if lane.egress:
            ways = [f"--egress_listen=127.0.0.1:{self.port}",
                    "--egress_upstream=" + ",".join(f"127.0.0.1:{backend.port}" for backend in lane.backends),
                    "--egress_tls=secure", "--egress_match=mx.example.test", f"--egress_ca={certs}/ca.pem"]
        else:
            ways = [f"--listen=127.0.0.1:{self.port}", f"--listen_tls=127.0.0.1:{self.implicit_port}",
                    "--upstream=" + ",".join(f"127.0.0.1:{backend.port}" for backend in lane.backends),
                    f"--backend_identity={lane.identity}", f"--starttls_backend={starttls_backend}",
                    f"--cert={certs}/ecdsa.pem,{certs}/rsa.pem", f"--key={certs}/ecdsa.key,{certs}/rsa.key"]
        words = [lane.build / "ringpost", *ways, f"--shards={shards}", "--hostname=mx.example.test",
                 "--log_format=json", "--command_timeout=20s", "--data_timeout=10s", "--handshake_timeout=10s",
                 "--connect_timeout=1s", "--drain_timeout=2s", "--sessions_max=400", "--buffers_large=64",
                 "--buffers_small=256"]
        self.instance = retry_start(lambda: Instance(
            "ringpost", words, lane.folder / f"ringpost-{self.starts}.log", "ringpost: ready"), lane)
        self.instance.keeps_tls_facts = starttls_backend == "reconnect"
        self.instances.append(self.instance)

    def alive(self):
        return self.instance is not None and self.instance.alive()


def retry_start(start, lane):
    """A listening port may stay taken for a moment after SIGKILL: the kernel ends a ring in the background."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return start()
        except NotStarted as error:
            if "in use" not in str(error) or time.monotonic() > deadline:
                raise
            lane.late_ports += 1
            time.sleep(0.02)


def check_instance(instance, sessions, copies, oracles, reasons=SESSION_REASONS):
    """What an orderly ended ringpost says of the sessions that it had, all of which are among `sessions`.
    `copies` counts what is stored by client address and port."""
    lines, wrong = session_lines(instance.log)
    for text in wrong:
        oracles.broke("nothing crashes", f"{instance.name}: {text}")
    certain, possible = collections.defaultdict(list), collections.Counter()
    for session in sessions:
        served = instance.served(session)
        if served:
            certain[session.key].append(session)
        elif served is None:
            possible[session.key] += 1
    for key, found in lines.items():
        for line in found:
            if line["reason"] not in reasons:
                oracles.broke("each session has one close reason", f"{key}: {line}")
        counted = sum(line["messages"] for line in found)
        oracles.check(counted <= copies.get(key[0], 0), "positive replies are the backend's", lambda: (
            f"{key}: {counted} messages in the log, {copies.get(key[0], 0)} stored: {found}"))  # noqa: B023
    for key, own in certain.items():
        found = lines.get(key, [])
        if not oracles.check(len(own) <= len(found) <= len(own) + possible[key], "each session has one close reason",
                             lambda: (f"{key} appears {len(found)} times in {instance.log_path.name}, not "  # noqa: B023
                                      f"{len(own)}: {found}")):  # noqa: B023
            continue
        accepted, counted = sum(session.accepted for session in own), sum(line["messages"] for line in found)
        oracles.check(accepted <= counted, "positive replies are the backend's", lambda: (
            f"{key}: {accepted} messages acknowledged, {counted} in the log: {found}"))  # noqa: B023
