# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenSMTPD."""

import re

from harness.servers.sandbox import Sandbox
from harness.servers.server import Delivery, Server

CONFIGURATION = """
listen on 127.0.0.1 port {port} {more}
action "discard" mda "cat >/dev/null" virtual {{ "@" = nobody }}
match from any for domain "example.test" action "discard"
match from src 127.0.0.1 for any action "discard"
"""
SETUPS = {
    "opensmtpd": "",
    "opensmtpd proxy-v2": "proxy-v2",
}


class OpenSmtpd(Server):
    def __init__(self, folder, setup):
        super().__init__(folder)
        text = CONFIGURATION.format(port=self.port, more=SETUPS[setup])
        self.process = Sandbox(
            folder.name, "opensmtpd", ["smtpd", "-d", "-T", "smtp", "-T", "lookup"], folder,
            users=["opensmtpd", "opensmtpq"], files={"etc/smtpd.conf": text, "etc/mailname": "opensmtpd.example.test\n"})
        self.wait()

    def delivered(self):
        clients = dict(re.findall(r"^(\w+) smtp connected address=(\S+)", self.log, re.MULTILINE))
        return [Delivery(sender, recipient, clients.get(session)) for session, sender, recipient in
                re.findall(r"^(\w+) smtp envelope .*?from=<([^>]*)> to=<([^>]*)>", self.log, re.MULTILINE)]
