# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service manager is told: sd_notify(3)."""

import os
import signal
import socket
import time

from harness.case import Failure, case, check, each, equal
from harness.process import free_port
from harness.succession import Succession, gone


class Manager:
    """Listens where NOTIFY_SOCKET says, and knows who said what."""

    def __init__(self, name):
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.settimeout(20)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def environment(self, **more):
        return {"NOTIFY_SOCKET": self.name, **more}

    def next(self):
        """(pid, {name: value}) of the next message."""
        try:
            text, ancillary, _, _ = self.socket.recvmsg(4096, 1024)
        except TimeoutError:
            raise Failure("nothing more is told") from None
        pid = int.from_bytes(ancillary[0][2][:4], "little")
        return pid, dict(line.split("=", 1) for line in text.decode().splitlines())


@each("path", "abstract")
def start_reload_and_end(world, kind):
    name = f"{world.folder}/notify-{kind}" if kind == "path" else f"@ringpost-e2e-{os.getpid()}-{free_port()}"
    with Manager(name) as manager, world.private(world.sink.port, environment=manager.environment()) as proxy:
        pid = proxy.process.pid
        equal(manager.next(), (pid, {"READY": "1", "MAINPID": str(pid)}), "at the start")
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        proxy.process.signal(signal.SIGHUP)
        sender, told = manager.next()
        equal((sender, told.keys()), (pid, {"RELOADING", "MONOTONIC_USEC"}), "at a reload")
        check(before <= int(told["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000, f"the time of {told}")
        equal(manager.next()[1].get("READY"), "1", "after it")
        proxy.terminate()
        equal(manager.next(), (pid, {"STOPPING": "1"}), "at the end")
        equal(proxy.process.wait(), 0, "exit code")


@case
def the_watchdog(world):
    with Manager(f"{world.folder}/notify-watchdog") as manager:
        with world.private(world.sink.port, environment=manager.environment(WATCHDOG_USEC="2000000")) as proxy:
            equal(manager.next()[1].get("READY"), "1", "at the start")
            manager.socket.settimeout(5)  # nothing else wakes it for ten seconds
            for _ in range(3):
                equal(manager.next(), (proxy.process.pid, {"WATCHDOG": "1"}), "now and then")


@case
def the_watchdog_of_another_process(world):
    with Manager(f"{world.folder}/notify-other") as manager:
        environment = manager.environment(WATCHDOG_USEC="1000", WATCHDOG_PID="1")
        with world.private(world.sink.port, environment=environment) as proxy:
            equal(manager.next()[1].get("READY"), "1", "at the start")
            proxy.terminate()
            equal(manager.next()[1], {"STOPPING": "1"}, "next")


@case
def an_upgrade(world):
    """The old one, which the manager believes, names the new one; the new one is ready; the old one's end is no end."""
    with Manager(f"{world.folder}/notify-upgrade") as manager:
        with world.private(world.sink.port, environment=manager.environment()) as proxy, Succession(proxy) as line:
            manager.next()
            old = line.upgrade()
            gone(old)
            told = sorted([manager.next(), manager.next()], key=lambda message: len(message[1]))
            equal(told, [(old, {"MAINPID": str(line.pid)}), (line.pid, {"READY": "1", "MAINPID": str(line.pid)})], "at the upgrade")
            os.kill(line.pid, signal.SIGTERM)
            equal(manager.next(), (line.pid, {"STOPPING": "1"}), "at the end")


@each("relative", "/nonexistent/notify", "")
def a_socket_that_is_none(world, name):
    with world.private(world.sink.port, environment={"NOTIFY_SOCKET": name}) as proxy:
        proxy.terminate()
        equal(proxy.process.wait(), 0, "exit code")
