# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of a run: started with a log, waited for by what they print, ended by their id."""

import ctypes
import os
import random
import signal
import socket
import subprocess

from harness.case import Failure, eventually

_given = set()
_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _child(limits):
    """In the child before exec: it must not outlive a run that is killed."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if limits:
        limits()


def free_port():
    """A loopback port below the kernel's own range, so that no outgoing connection takes it first."""
    while True:
        port = random.randrange(20000, 32000)
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


class Process:
    def __init__(self, name, command, folder, limits=None, environment=None):
        self.name = name
        self.command = [str(word) for word in command]
        self.log_path = folder / f"{name}.log"
        self._log = open(self.log_path, "ab", buffering=0)
        self._process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=lambda: _child(limits), env={**os.environ, **(environment or {})})
        self.pid = self._process.pid

    @property
    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text, seconds=20):
        """Until its output contains `text`; fails at once if it ended before."""
        def look():
            if text in self.log:
                return True
            if self._process.poll() is not None and text not in self.log:
                raise Failure(f"{self.name} ended with {self._process.returncode} instead of saying "
                              f"{text!r}: {self.log[-1000:]}")
            return False
        eventually(look, f"{self.name} saying {text!r}", seconds)

    def ready(self, text):
        """wait_for(), after which nothing is left running if it did not come."""
        try:
            self.wait_for(text)
        except BaseException:
            self.stop()
            raise

    def signal(self, number):
        self._process.send_signal(number)

    def running(self):
        return self._process.poll() is None

    def wait(self, seconds=20):
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} still runs after {seconds} s") from None

    def stop(self, seconds=10):
        """SIGTERM, and SIGKILL if that is not enough. Returns the exit code."""
        if self.running():
            self.signal(signal.SIGTERM)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()
        return self._process.returncode


def run(command, text=None, seconds=60, environment=None):
    """A program that ends by itself. Returns (exit code, standard output, standard error)."""
    result = subprocess.run(
        [str(word) for word in command], input=text, capture_output=True, timeout=seconds, text=True,
        errors="replace", env={**os.environ, **(environment or {})})
    return result.returncode, result.stdout, result.stderr
