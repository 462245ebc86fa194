# SPDX-License-Identifier: GPL-3.0-or-later
"""A ringpost that a TOML file configures: several routes, partners, and reloads."""

import copy
import json
import signal

from harness.case import eventually
from harness.process import free_port
from harness.ringpost import Ringpost


def value_text(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {value_text(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(value_text(item) for item in value) + "]"
    if isinstance(value, (bool, int)):
        return json.dumps(value)
    return json.dumps(str(value), ensure_ascii=False)


def lines_of(settings):
    return "".join(f"{key} = {value_text(value)}\n" for key, value in settings.items() if value is not None)


class Layout:
    """What stands in the file. Routes listen on ports of their own; `upstream` is a port or a list of
    addresses; None: all routes are egress."""

    def __init__(self, world, upstream, identity="proxy-v2", **tuning):
        self.tuning = {"hostname": "mx.example.test", "shards": 1, "log_format": "json", **tuning}
        self.tls, self.upstreams = {}, {}
        if upstream is not None:
            addresses = upstream if isinstance(upstream, list) else [f"127.0.0.1:{upstream}"]
            self.tls = {"certificates": [{"cert": world.certs / f"{kind}.pem", "key": world.certs / f"{kind}.key"}
                                         for kind in ("ecdsa", "rsa")]}
            self.upstreams = {"backend": {"addresses": addresses, "identity": identity}}
        self.routes = {}
        self.egresses = {}
        self.partners = {}
        self.ports = {}

    def copy(self):
        return copy.deepcopy(self)

    def route(self, name, **settings):
        if name not in self.ports:
            self.ports[name] = free_port()
        self.routes[name] = {"listen": [f"127.0.0.1:{self.ports[name]}"], "upstream": "backend", **settings}
        return self

    def egress(self, name, *upstream, **settings):
        """A route on which mail leaves. `upstream`: "host:port"."""
        if name not in self.ports:
            self.ports[name] = free_port()
        self.egresses[name] = {"listen": [f"127.0.0.1:{self.ports[name]}"], "upstream": list(upstream), **settings}
        return self

    def partner(self, name, **settings):
        self.partners[name] = settings
        return self

    def text(self):
        parts = [lines_of(self.tuning)] + (["[tls]\n" + lines_of(self.tls)] if self.tls else [])
        parts += ["[[upstream]]\n" + lines_of({"name": name, **settings}) for name, settings in self.upstreams.items()]
        parts += ["[[ingress]]\n" + lines_of({"name": name, **settings}) for name, settings in self.routes.items()]
        parts += ["[[egress]]\n" + lines_of({"name": name, **settings}) for name, settings in self.egresses.items()]
        parts += ["[[partner]]\n" + lines_of({"name": name, **settings}) for name, settings in self.partners.items()]
        return "\n".join(parts)


class Configured(Ringpost):
    def __init__(self, world, name, layout, **flags):
        self.path = world.folder / f"{name}.toml"
        self.layout = layout
        self.path.write_text(layout.text(), encoding="utf-8")
        super().__init__(world, name, None, listen=None, listen_tls=None, cert=None, key=None, hostname=None,
                         shards=None, log_format=None, config=self.path, **flags)

    def at(self, route):
        """The address of a route."""
        return ("127.0.0.1", self.layout.ports[route])

    def reload(self, layout=None, text=None):
        """Writes the file, sends SIGHUP and waits until the log says what came of it: (level, message)."""
        if layout is not None:
            self.layout, text = layout, layout.text()
        if text is not None:
            self.path.write_text(text, encoding="utf-8")
        before = len(self.results())
        self.process.signal(signal.SIGHUP)
        eventually(lambda: len(self.results()) > before, "the log line about the reload")
        return self.results()[before]

    def results(self):
        """How reloads ended: (level, message). What a reload cannot change is said in lines of its own."""
        return [(event["level"], event["message"]) for event in self.events("reload")
                if event["level"] == "error" or event["message"].startswith(("done", "a shard"))]

    def accusations(self, client):
        """The log's lines about policies that the client at this (address, port) did not meet. To be asked
        for after record(): the session line comes last."""
        return [line for line in self.events("policy") if line.get("client") == f"{client[0]}:{client[1]}"]
