# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of this project, started on free ports."""

import json
import pathlib
import signal
import sys

from harness.case import eventually
from harness.process import Process, free_port, run


ACTIVATE = pathlib.Path(__file__).with_name("activate.py")


class Ringpost:
    """One running proxy. `upstream` is an address as --upstream takes it; further flags by name, with
    True for a bare one and None to leave a default out. `program` is another copy, `runner` what runs it.
    `sockets` makes a list of what activate.py opens for it, from the two addresses."""

    def __init__(self, world, name, upstream, limits=None, ready=True, runner=(), program=None, sockets=None,
                 environment=None, **flags):
        self.port, self.implicit_port = free_port(), free_port()
        self.address = ("127.0.0.1", self.port)
        self.implicit_address = ("127.0.0.1", self.implicit_port)
        certs = world.certs
        settings = {
            "listen": f"127.0.0.1:{self.port}",
            "listen_tls": f"127.0.0.1:{self.implicit_port}",
            "upstream": upstream,
            "cert": f"{certs}/ecdsa.pem,{certs}/rsa.pem",
            "key": f"{certs}/ecdsa.key,{certs}/rsa.key",
            "hostname": "mx.example.test",
            "shards": 1,
            "log_format": "json",
        }
        settings.update(flags)
        self.command = [*runner, program or world.ringpost_path] + flag_words(settings)
        if sockets is not None:
            opened = sockets(f"127.0.0.1:{self.port}", f"127.0.0.1:{self.implicit_port}")
            self.command = [sys.executable, ACTIVATE, *opened, "--", *self.command]
        self.process = Process(name, self.command, world.folder, limits, environment)
        if ready:
            self.process.ready("ringpost: ready")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()

    def stop(self):
        return self.process.stop()

    def terminate(self):
        self.process.signal(signal.SIGTERM)

    @property
    def log(self):
        return self.process.log

    def records(self):
        """The session lines of the log, as dictionaries."""
        return self.events("session")

    def events(self, component):
        """The lines of one component of the log, as dictionaries."""
        found = []
        for line in self.log.splitlines():
            if line.startswith("{"):
                try:
                    record = json.loads(line)
                except ValueError:
                    continue  # the line that is being written
                if record.get("component") == component:
                    found.append(record)
        return found

    def record(self, client):
        """The session line of the client that called from `client`, an (address, port)."""
        wanted = f"{client[0]}:{client[1]}" if ":" not in client[0] else f"[{client[0]}]:{client[1]}"
        return eventually(lambda: next((record for record in self.records() if record["client"] == wanted), None),
                          f"the session line of {wanted}")


class Sink:
    def __init__(self, world, name, **flags):
        self.port = free_port()
        self.store = world.folder / f"{name}-mail"
        self.store.mkdir(exist_ok=True)
        settings = {"listen": f"127.0.0.1:{self.port}", "identity": "proxy", "store": self.store, "print": True}
        settings.update(flags)
        self.process = Process(name, [world.sink_path] + flag_words(settings), world.folder)
        self.process.ready("listening on")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()

    def stop(self):
        return self.process.stop()

    def messages(self):
        """[(content, facts)] in the order of arrival."""
        found = []
        for path in sorted(self.store.glob("*.eml"), key=lambda path: (len(path.name), path.name)):
            facts = path.with_suffix(".json")
            if facts.exists():
                found.append((path.read_bytes(), json.loads(facts.read_text())))
        return found

    def message(self, part):
        """The stored message that contains `part`."""
        return eventually(lambda: next((found for found in self.messages() if part in found[0]), None),
                          f"the message with {part!r}")

    def contents(self):
        return [content for content, _ in self.messages()]


def flag_words(settings):
    words = []
    for key, value in settings.items():
        if value is True:
            words.append(f"--{key}")
        elif value is not None:
            words.append(f"--{key}={value}")
    return words


def refuse(world, *words, seconds=20):
    """Runs ringpost with a configuration that must not start. Returns (exit code, what it said)."""
    code, output, errors = run([world.ringpost_path, *words], seconds=seconds)
    return code, output + errors
