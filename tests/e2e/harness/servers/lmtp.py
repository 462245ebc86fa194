# SPDX-License-Identifier: GPL-3.0-or-later
"""Dovecot's LMTP service: what an administrator may take for a mail server. It knows LHLO and no EHLO."""

import re

from harness.servers.sandbox import Sandbox
from harness.servers.server import Delivery, Server

SETUPS = ("dovecot lmtp",)
CONFIGURATION = """
protocols = lmtp
log_path = /dev/stderr
ssl = no
hostname = dovecot.example.test
mail_location = maildir:{mail}
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=dovecot gid=dovecot home={mail}
}}
first_valid_uid = 1
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""


class DovecotLmtp(Server):
    def __init__(self, folder, _setup):
        super().__init__(folder)
        self.mail = folder / "mail"
        self.mail.mkdir()
        self.process = Sandbox(
            folder.name, "dovecot-lmtpd", ["dovecot", "-F", "-c", "/etc/dovecot/test.conf"], folder,
            users=["dovecot", "dovenull"],
            files={"etc/dovecot/test.conf": CONFIGURATION.format(port=self.port, mail=self.mail)},
            prepare=f"chown dovecot: {self.mail}", environment={"LD_LIBRARY_PATH": "/usr/lib/dovecot"})
        self.wait()

    def delivered(self):
        found = []
        for path in self.mail.rglob("new/*"):
            text = path.read_text(encoding="utf-8", errors="replace")
            sender, recipient = (re.search(rf"^{name}: <(.*)>$", text, re.MULTILINE).group(1)
                                 for name in ("Return-Path", "Delivered-To"))
            found.append(Delivery(sender, recipient, "127.0.0.1"))
        return found
