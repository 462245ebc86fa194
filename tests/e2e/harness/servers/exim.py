# SPDX-License-Identifier: GPL-3.0-or-later
"""Exim, as Debian builds it. What it needs behind ringpost is in docs/BACKENDS.md."""

import re

from harness.documents import backend_lines
from harness.servers.sandbox import Sandbox
from harness.servers.server import Delivery, Server

CONFIGURATION = """
{lines}
primary_hostname = exim.example.test
log_file_path = {folder}/exim-%s.log
spool_directory = {folder}/spool
acl_smtp_rcpt = recipient
keep_environment =
begin acl
recipient:
  accept domains = example.test
  accept hosts = 127.0.0.1
  deny message = relay not permitted
begin routers
all:
  driver = redirect
  data = :blackhole:
{passwords}
"""
LOGGED = "+proxy +received_recipients"
PLAIN = f"""
local_interfaces = 127.0.0.1
daemon_smtp_ports = {{port}}
tls_advertise_hosts =
log_selector = {LOGGED}
"""
SETUPS = ("exim", "exim hosts_proxy")


class Exim(Server):
    def __init__(self, folder, setup):
        super().__init__(folder)
        lines, passwords = PLAIN.format(port=self.port), ""
        if setup == "exim hosts_proxy":
            lines = backend_lines("exim", {"10025": self.port, "+proxy": LOGGED})
            passwords = backend_lines("exim passwords")
        text = CONFIGURATION.format(folder=folder, lines=lines, passwords=passwords)
        self.process = Sandbox(
            folder.name, "exim4-daemon-heavy", ["exim4", "-bdf"], folder, users=["Debian-exim"],
            files={"etc/exim4/exim4.conf": text}, prepare=f"chown Debian-exim: {folder}")
        self.wait()

    @property
    def log(self):
        path = self.folder / "exim-main.log"
        return self.process.log + (path.read_text(encoding="utf-8", errors="replace") if path.exists() else "")

    def delivered(self):
        found = []
        for sender, host, recipients in re.findall(r" <= (\S+) H=(.*?) P=.* for (.*)$", self.log, re.MULTILINE):
            client = re.search(r"\[([^\]]+)\](?::\d+)?(?: |$)", re.sub(r"\(\[?[^)]*\)", "", host))
            found += [Delivery(sender, recipient, client.group(1)) for recipient in recipients.split()]
        return found
