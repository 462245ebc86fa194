# SPDX-License-Identifier: GPL-3.0-or-later
"""Dovecot's LMTP service: what an administrator may take for a mail server. It knows LHLO and no EHLO."""

import re

from harness.servers.sandbox import Sandbox, version_of
from harness.servers.server import Delivery, Server

SETUPS = ("dovecot lmtp",)
_CONFIGURATION = """
protocols = lmtp
log_path = /dev/stderr
ssl = no
hostname = dovecot.example.test
first_valid_uid = 1
{accounts}
service lmtp {{
  inet_listener lmtp {{
    {listen} = 127.0.0.1
    port = {port}
  }}
}}
"""
# Those up to 2.3 and those from 2.4 on do not take each other's.
_ACCOUNTS_2_3 = """
mail_location = maildir:{mail}
passdb {{
  driver = static
  args = {password}
}}
userdb {{
  driver = static
  args = uid=dovecot gid=dovecot home={mail}
}}
"""
_ACCOUNTS_2_4 = """
mail_driver = maildir
mail_path = {mail}
passdb static {{
  {password}
}}
userdb static {{
  fields {{
    uid = dovecot
    gid = dovecot
    home = {mail}
  }}
}}
"""
_FIRST_2_4 = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"


def configuration(package, template, mail, password=None, **more):
    """A configuration that this version of Dovecot takes. `password` is that of all accounts; None: any."""
    if version_of("dovecot-core", package) >= (2, 4):
        word = f"password = {password}" if password else "fields {\n    nopassword = yes\n  }"
        accounts = _ACCOUNTS_2_4.format(mail=mail, password=word)
        return _FIRST_2_4 + template.format(accounts=accounts, listen="listen", **more)
    word = f"password={password}" if password else "nopassword=y"
    return template.format(accounts=_ACCOUNTS_2_3.format(mail=mail, password=word), listen="address", **more)


class DovecotLmtp(Server):
    def __init__(self, folder, _setup):
        super().__init__(folder)
        self.mail = folder / "mail"
        self.mail.mkdir()
        self.process = Sandbox(
            folder.name, "dovecot-lmtpd", ["dovecot", "-F", "-c", "/etc/dovecot/test.conf"], folder,
            users=["dovecot", "dovenull"],
            files={"etc/dovecot/test.conf": configuration("dovecot-lmtpd", _CONFIGURATION, self.mail, port=self.port)},
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
