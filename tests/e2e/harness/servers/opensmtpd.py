# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenSMTPD."""

import re

from harness.documents import backend_lines
from harness.servers.sandbox import Sandbox
from harness.servers.server import Delivery, Server

CONFIGURATION = """
{listen}
action "discard" mda "cat >/dev/null" virtual {{ "@" = nobody }}
match from any for domain "example.test" action "discard"
match from src 127.0.0.1 for any action "discard"
"""
SETUPS = ("opensmtpd", "opensmtpd proxy-v2")


def program(folder, command, listen):
    return Sandbox(folder.name, "opensmtpd", command, folder, users=["opensmtpd", "opensmtpq"], files={
        "etc/smtpd.conf": CONFIGURATION.format(listen=listen), "etc/mailname": "opensmtpd.example.test\n"})


class OpenSmtpd(Server):
    def __init__(self, folder, setup):
        super().__init__(folder)
        listen = f"listen on 127.0.0.1 port {self.port}"
        if setup == "opensmtpd proxy-v2":
            listen = backend_lines("opensmtpd", {"10025": self.port})
        self.process = program(folder, ["smtpd", "-d", "-T", "smtp", "-T", "lookup"], listen)
        self.wait()

    def delivered(self):
        clients = dict(re.findall(r"^(\w+) smtp connected address=(\S+)", self.log, re.MULTILINE))
        return [Delivery(sender, recipient, clients.get(session)) for session, sender, recipient in
                re.findall(r"^(\w+) smtp envelope .*?from=<([^>]*)> to=<([^>]*)>", self.log, re.MULTILINE)]
