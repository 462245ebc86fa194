# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a program of a package that is unpacked but not installed.

The process has mounts of its own: on its /usr, /etc and /var lie the package's files and what it writes there,
as if it were installed; its /run is empty. It has process ids of its own, so that all that it started ends with it. The network is
the caller's. Nothing of it is seen from outside, and nothing stays.
"""

import os
import pathlib
import re
import shlex
import signal

from harness.case import Skip
from harness.process import Process

STORE = pathlib.Path(__file__).resolve().parents[4] / ".cache/servers"
OVERLAID = ("usr", "etc", "var")
FIRST_USER = 61000  # none of Debian's
# Nobody is asked about example domains.
NO_DNS = {"etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", "etc/nsswitch.conf": "hosts: files\n"}


def version_of(name, package=None):
    """(2, 4) where version 2.4.1 of the package `name` came with `package`; where neither is there, (0, 0)."""
    complete = STORE / (package or name) / ".complete"
    debs = complete.read_text(encoding="utf-8") if complete.exists() else ""
    found = re.search(rf"^{re.escape(name)}_(?:\d+%3a)?(\d+)\.(\d+)", debs, re.MULTILINE)
    return (int(found[1]), int(found[2])) if found else (0, 0)


class Sandbox(Process):
    """`package` is one of tools/fetch-servers; None: only what is installed. `users` are made for it, with groups of
    these names; `files` (path from the root → text) are there before it starts; `prepare` is run by a shell as root,
    inside. `store` is where packages of another kind lie."""

    def __init__(self, name, package, command, folder, users=(), files=None, prepare="", environment=None,
                 store=STORE, fetcher="tools/fetch-servers"):
        if os.geteuid() != 0:
            raise Skip("mounts of its own want root")
        source = store / (package or "nothing")
        if package and not (source / ".complete").exists():
            raise Skip(f"{package} is not there; {fetcher} obtains it")
        self.folder = folder
        folder.mkdir(mode=0o755, exist_ok=True)
        prepared = folder / "files"
        accounts = {"etc/passwd": "", "etc/group": ""}
        for number, user in enumerate(users, FIRST_USER):
            accounts["etc/passwd"] += f"{user}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin\n"
            accounts["etc/group"] += f"{user}:x:{number}:\n"
        for path, lines in accounts.items():
            accounts[path] = pathlib.Path("/", path).read_text(encoding="utf-8") + lines
        for path, text in {**accounts, **NO_DNS, **(files or {})}.items():
            (prepared / path).parent.mkdir(parents=True, exist_ok=True)
            (prepared / path).write_text(text, encoding="utf-8")
        # What is written lies on a file system of its own: an upper layer may not lie below a lower one.
        root = folder / "root"
        root.mkdir()
        steps = [f"mount -t tmpfs -o mode=755 tmpfs {root}"]
        for part in OVERLAID:
            layers = [prepared / part, source / part, pathlib.Path("/", part)]
            lower = ":".join(str(layer) for layer in layers if layer.is_dir())
            steps += [f"mkdir -p {root}/{part} {root}/work-{part}",
                      f"mount -t overlay -o lowerdir={lower},upperdir={root}/{part},workdir={root}/work-{part} "
                      f"overlay /{part}"]
        steps += ["mount -t proc proc /proc", "mount -t tmpfs -o mode=755 tmpfs /run", prepare,
                  # Not exec: a server that gives up its rights would not end with its parent any more. The shell
                  # does, and as the first process of its kind it takes all others along.
                  shlex.join(str(word) for word in command) + " & wait $!"]
        super().__init__(name, ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork",
                                "--kill-child", "sh", "-ec", "\n".join(steps)], folder, environment=environment)

    def stop(self, seconds=10):
        if self.running():  # unshare does not heed SIGTERM; what it started ends with it
            self.signal(signal.SIGKILL)
            self.wait(seconds)
        return super().stop(seconds)
