# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that run on Node.js: Haraka, and an application of the library smtp-server."""

import pathlib
import platform
import re

from harness.documents import backend_lines
from harness.servers.relays import PASSWORD, USER
from harness.servers.sandbox import Sandbox
from harness.servers.server import Delivery, Server

MODULES = "/usr/lib/ringpost-test-servers/node_modules"
# Not .bin/node: npm 9 makes no link to a program of an optional package.
NODE = f"{MODULES}/node-linux-{'arm64' if platform.machine() == 'aarch64' else 'x64'}/bin/node"
APPLICATIONS = pathlib.Path(__file__).parent


class NodeServer(Server):
    """Prints what it accepts."""

    def start(self, words, **more):
        self.process = Sandbox(self.folder.name, "npm", [NODE, *words], self.folder,
                               environment={"NODE_PATH": MODULES}, **more)
        self.wait()

    def delivered(self):
        return [Delivery(*found) for found in re.findall(r"^accepted (\S+) (\S+) (\S+)$", self.log, re.MULTILINE)]


class SmtpServer(NodeServer):
    SETUPS = ("smtp-server", "smtp-server useProxy", "smtp-server useXClient")

    def __init__(self, folder, setup):
        super().__init__(folder)
        options = {}
        if setup == "smtp-server useProxy":
            options["etc/documented.js"] = f"module.exports = {{\n{backend_lines('smtp-server')}}}\n"
        self.start([APPLICATIONS / "smtp_server_application.js", self.port, *setup.split()[1:]], files=options)


class SmtpServerWithTls(NodeServer):
    """`files`: of the key, the certificate and the CA of clients' certificates."""

    def __init__(self, folder, files):
        super().__init__(folder)
        self.start([APPLICATIONS / "smtp_server_application.js", self.port, "tls", *files])


class Haraka(NodeServer):
    SETUPS = ("haraka", "haraka haproxy", "haraka xclient")
    # All of it stands there: with a [haproxy] of our own and nothing else every connection would end the server.
    CONNECTION = """
[main]
smtputf8=true
{haproxy}
[headers]
max_lines=1000
max_received=100
[max]
bytes=26214400
mime_parts=1000
line_length=512
data_line_length=992
[message]
helo=hello
close=bye
[uuid]
banner_chars=6
deny_chars=0
"""

    def __init__(self, folder, setup, plugins=(), files=None):
        super().__init__(folder)
        plugins = ("xclient", "keep") if setup == "haraka xclient" else (*plugins, "keep")
        files, haproxy = dict(files or {}), "[haproxy]\nenabled=true"
        if setup == "haraka haproxy":
            haproxy = backend_lines("haraka connection.ini")
            plugins = ("auth_behind_ringpost", *plugins)
            files["etc/haraka/plugins/auth_behind_ringpost.js"] = backend_lines("haraka plugin")
            files["etc/haraka/config/auth_flat_file.ini"] = f"[core]\nmethods=PLAIN,LOGIN\n[users]\n{USER}={PASSWORD}\n"
        self.start(
            [f"{MODULES}/Haraka/bin/haraka", "-c", "/etc/haraka"],
            files={"etc/haraka/config/smtp.ini": backend_lines("haraka smtp.ini", {"127.0.0.1:10025": self.address}),
                   "etc/haraka/config/connection.ini": self.CONNECTION.format(haproxy=haproxy),
                   "etc/haraka/config/plugins": "\n".join(plugins) + "\n",
                   "etc/haraka/config/me": "haraka.example.test\n",
                   "etc/haraka/plugins/keep.js": (APPLICATIONS / "haraka_keep.js").read_text(encoding="utf-8"),
                   **files})


KINDS = (Haraka, SmtpServer)
