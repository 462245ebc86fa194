# SPDX-License-Identifier: GPL-3.0-or-later
"""Cyrus' lmtpd, another service that an administrator may take for a mail server. It knows LHLO and no EHLO, but takes
MAIL without either."""

import re

from harness.servers.sandbox import Sandbox
from harness.servers.server import Delivery, Server

SETUPS = ("cyrus lmtp",)
STATE, SPOOL = "/var/lib/cyrus", "/var/spool/cyrus/mail"
IMAPD = f"""
configdirectory: {STATE}
proc_path: /run/cyrus/proc
mboxname_lockpath: /run/cyrus/lock
defaultpartition: default
partition-default: {SPOOL}
virtdomains: userid
servername: cyrus.example.test
admins: cyrus
autocreate_post: yes
autocreate_quota: 0
sasl_pwcheck_method: auxprop
"""
# -a: it asks for no password, which is what it does by its socket in the file system.
CYRUS = """
START {{
  recover cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -r"
}}
SERVICES {{
  lmtp cmd="/usr/lib/cyrus/bin/lmtpd -a" listen="127.0.0.1:{port}" prefork=0
}}
"""


class CyrusLmtp(Server):
    def __init__(self, folder, _setup):
        super().__init__(folder)
        self.mail = folder / "mail"
        self.mail.mkdir()
        self.process = Sandbox(
            folder.name, "cyrus-imapd", ["/usr/lib/cyrus/bin/master", "-C", "/etc/imapd.conf", "-M", "/etc/cyrus.conf"],
            folder, users=["cyrus"],
            files={"etc/imapd.conf": IMAPD, "etc/cyrus.conf": CYRUS.format(port=self.port)},
            prepare=f"mkdir -p {STATE} {SPOOL} /run/cyrus/proc /run/cyrus/lock; mount --bind {self.mail} {SPOOL}; "
                    f"chown -R cyrus: {STATE} {SPOOL} /run/cyrus")
        self.wait()

    def delivered(self):
        found = []
        for path in self.mail.rglob("[0-9]*."):
            domain, user = re.search(rb" N (\S+)!user\.(\S+) ", (path.parent / "cyrus.header").read_bytes()).groups()
            sender = re.search(rb"^Return-Path: <(.*)>\r?$", path.read_bytes(), re.MULTILINE).group(1)
            found.append(Delivery(sender.decode(), f"{user.decode()}@{domain.decode()}", "127.0.0.1"))
        return found
