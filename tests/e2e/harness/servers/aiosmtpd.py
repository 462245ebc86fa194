# SPDX-License-Identifier: GPL-3.0-or-later
"""A server on Python's aiosmtpd, which an application completes: this one reads the address of a PROXY header."""

import pathlib
import re

from harness.documents import backend_lines
from harness.servers.sandbox import Sandbox
from harness.servers.server import Delivery, Server

APPLICATION = pathlib.Path(__file__).with_name("aiosmtpd_application.py")
SETUPS = ("aiosmtpd", "aiosmtpd handle_PROXY")


class Aiosmtpd(Server):
    def __init__(self, folder, setup):
        super().__init__(folder)
        lines = []
        if setup == "aiosmtpd handle_PROXY":
            lines = [folder / "documented.py"]
            lines[0].write_text(backend_lines("aiosmtpd", {"timeout=5.0": "timeout=2.0"}), encoding="utf-8")
        self.process = Sandbox(folder.name, "python3-aiosmtpd",
                               ["/usr/bin/python3", "-I", APPLICATION, self.port, *lines], folder)
        self.wait()

    def delivered(self):
        return [Delivery(*found) for found in re.findall(r"^accepted (\S+) (\S+) (\S+)$", self.log, re.MULTILINE)]
