# SPDX-License-Identifier: GPL-3.0-or-later
"""msmtpd, which hands to a program whatever is sent by whoever reaches it."""

import re

from harness.servers.sandbox import Sandbox
from harness.servers.server import Delivery, Server

SETUPS = ("msmtpd",)
KEEP = """#!/bin/sh
cat >/dev/null
sender=$1
shift 2
for recipient; do echo "accepted $sender $recipient"; done >>{folder}/accepted
"""


class Msmtpd(Server):
    def __init__(self, folder, _setup):
        super().__init__(folder)
        self.process = Sandbox(
            folder.name, "msmtp-mta",
            ["msmtpd", "--interface=127.0.0.1", f"--port={self.port}", "--log=/dev/stderr", "--command=/etc/keep %F --"],
            folder, files={"etc/keep": KEEP.format(folder=folder)}, prepare="chmod 755 /etc/keep")
        self.wait()

    def delivered(self):
        path = self.folder / "accepted"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return [Delivery(*found, "127.0.0.1") for found in re.findall(r"^accepted (\S+) (\S+)$", text, re.MULTILINE)]
