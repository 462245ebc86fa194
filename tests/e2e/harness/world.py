# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cases of one run share: servers that are started when the first case asks for them and are
kept until the end, and a folder that goes away with them."""

import functools
import itertools
import pathlib
import shutil
import socket
import tempfile

from harness import servers, smtp
from harness.configured import Configured
from harness.dovecot_auth import DovecotAuth
from harness.postfix import Mx, Sender
from harness.pki import Pki
from harness.process import run
from harness.ringpost import Ringpost, Sink
from harness.server_pki import ServerPki
from harness.servers.postfix import PostfixServers

ROOT = pathlib.Path(__file__).resolve().parents[3]


class World:
    def __init__(self, build):
        self.build = build
        self.ringpost_path = build / "ringpost"
        self.sink_path = build / "ringpost-sink"
        self.load_path = build / "ringpost-load"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ringpost-e2e-"))
        self.folder.chmod(0o755)  # Postfix's own users walk through it
        self._started = []
        self._numbers = itertools.count(1)
        self._proxies = {}
        self._servers = {}

    def close(self):
        for server in reversed(self._started):
            try:
                server.stop()
            except Exception as error:  # the others must end as well
                print(f"  could not stop {server}: {error}")
        shutil.rmtree(self.folder, ignore_errors=True)

    def keep(self, server):
        self._started.append(server)
        return server

    def logs(self):
        """Path → size of every log, to tell later what a case added."""
        return {path: path.stat().st_size for path in self.folder.rglob("*.log")}

    @functools.cached_property
    def certs(self):
        folder = self.folder / "certs"
        code, output, errors = run([ROOT / "tools/make-certs", folder, "mx.example.test", "localhost"])
        if code:
            raise RuntimeError(f"tools/make-certs: {output}{errors}")
        return folder

    @functools.cached_property
    def tls(self):
        """A client's TLS context that trusts the throw-away authority."""
        return smtp.context(self.certs / "ca.pem")

    @functools.cached_property
    def pki(self):
        """Client certificates of all kinds."""
        return Pki(self.folder / "pki")

    @functools.cached_property
    def server_pki(self):
        """Certificates of partners' servers, of all kinds."""
        return ServerPki(self.folder / "server-pki")

    @functools.cached_property
    def auth(self):
        return self.keep(DovecotAuth())

    @functools.cached_property
    def mx(self):
        return self.keep(Mx(self.folder / "mx", self.auth.port)).wait()

    @functools.cached_property
    def postfix_servers(self):
        return self.keep(PostfixServers(self.folder / "postfix-servers")).wait()

    def server(self, setup):
        """One of harness.servers.SETUPS, to be put behind a ringpost of the case's own."""
        if setup not in self._servers:
            try:
                self._servers[setup] = servers.start(self, setup)
            except Exception as error:  # for every case that asks: it would not start then either
                self._servers[setup] = error
        if isinstance(self._servers[setup], Exception):
            raise self._servers[setup]
        return self._servers[setup]

    @functools.cached_property
    def sender(self):
        through = self.proxy()
        routes = {"starttls.test": ("starttls", through.port), "wrapper.test": ("wrapper", through.implicit_port)}
        return self.keep(Sender(self.folder / "sender", routes, self.certs / "ca.pem")).wait()

    @functools.cached_property
    def sink(self):
        return self.keep(Sink(self, "sink"))

    def upstream(self, identity):
        if identity == "unix":
            return f"unix:{self.mx.socket}", "proxy-v2"
        if identity == "none":
            return f"127.0.0.1:{self.mx.plain_port}", identity
        port = self.mx.xclient_port if identity == "xclient" else self.mx.proxy_port
        return f"127.0.0.1:{port}", identity

    def proxy(self, identity="proxy-v2", policy="may", **flags):
        """A shared ringpost in front of the real Postfix."""
        key = (identity, policy, *sorted(flags.items()))
        if key not in self._proxies:
            upstream, spelled = self.upstream(identity)
            self._proxies[key] = self.keep(Ringpost(
                self, f"ringpost-{next(self._numbers)}-{identity}-{policy}", upstream,
                backend_identity=spelled, tls_policy=policy, **flags))
        return self._proxies[key]

    def sink_proxy(self, **flags):
        """A shared ringpost in front of the shared sink."""
        key = ("sink", *sorted(flags.items()))
        if key not in self._proxies:
            self._proxies[key] = self.keep(Ringpost(
                self, f"ringpost-{next(self._numbers)}-sink", f"127.0.0.1:{self.sink.port}", **flags))
        return self._proxies[key]

    def private(self, upstream, **flags):
        """A ringpost of the case's own; to be used with `with`."""
        if isinstance(upstream, int):
            upstream = f"127.0.0.1:{upstream}"
        return Ringpost(self, f"ringpost-{next(self._numbers)}", upstream, **flags)

    def configured(self, layout, **flags):
        """A ringpost of the case's own with a file; to be used with `with`."""
        return Configured(self, f"ringpost-{next(self._numbers)}", layout, **flags)

    def shared(self, name, make):
        """A ringpost with a file that several cases use: `make` gives its layout when it is first asked for."""
        if name not in self._proxies:
            self._proxies[name] = self.keep(Configured(self, f"ringpost-{name.replace(' ', '-')}", make()))
        return self._proxies[name]

    def private_sink(self, **flags):
        return Sink(self, f"sink-{next(self._numbers)}", **flags)

    def closed_port(self):
        """A loopback port on which nothing listens."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]
