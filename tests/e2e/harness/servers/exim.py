# SPDX-License-Identifier: GPL-3.0-or-later
"""Exim, as Debian builds it."""

import re

from harness.servers.sandbox import Sandbox
from harness.servers.server import Delivery, Server

CONFIGURATION = """
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
primary_hostname = exim.example.test
log_file_path = {folder}/exim-%s.log
log_selector = +proxy +received_recipients
spool_directory = {folder}/spool
acl_smtp_rcpt = recipient
keep_environment =
tls_advertise_hosts =
{more}
begin acl
recipient:
  accept domains = example.test
  accept hosts = 127.0.0.1
  deny message = relay not permitted
begin routers
all:
  driver = redirect
  data = :blackhole:
"""
SETUPS = {
    "exim": "",
    "exim hosts_proxy": "hosts_proxy = 127.0.0.1 : ::::1",
}


class Exim(Server):
    def __init__(self, folder, setup):
        super().__init__(folder)
        text = CONFIGURATION.format(port=self.port, folder=folder, more=SETUPS[setup])
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
