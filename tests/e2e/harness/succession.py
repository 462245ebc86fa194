# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGUSR1: one ringpost after the other on the same sockets, with the same log."""

import contextlib
import os
import pathlib
import re
import signal

from harness.case import Failure, eventually


def alive(pid):
    """Runs: a zombie that nobody has waited for does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Succession:
    """Follows the process that serves. Its end is the end of all of them."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.pids = [proxy.process.pid]

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.started()
        for pid in self.pids[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @property
    def pid(self):
        return self.pids[-1]

    def started(self):
        """All that the log has named since."""
        for pid in re.findall(r"the new one \(pid (\d+)\)", self.proxy.log):
            if int(pid) not in self.pids:
                self.pids.append(int(pid))

    def events(self):
        return [event["message"] for event in self.proxy.events("upgrade")]

    def ask(self, wanted):
        """SIGUSR1, and what the log says of it that contains `wanted`."""
        before = len(self.events())
        os.kill(self.pid, signal.SIGUSR1)

        def answered():
            return next((message for message in self.events()[before:] if wanted in message), None)
        return eventually(answered, f"the log says {wanted!r}", 30)

    def upgrade(self):
        """Until the new one serves. Returns the pid of the old one."""
        old = self.pid
        self.ask("serves; no new sessions here")
        self.started()
        if self.pid == old:
            raise Failure("the log names no new process")
        return old

    def end(self):
        """SIGTERM to the last, and until it is gone."""
        os.kill(self.pid, signal.SIGTERM)
        eventually(lambda: not alive(self.pid), "the last one has ended")


def gone(pid):
    eventually(lambda: not alive(pid), f"process {pid} has ended", 40)
