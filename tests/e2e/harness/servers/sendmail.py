# SPDX-License-Identifier: GPL-3.0-or-later
"""sendmail, which takes no address from a proxy. What it accepts stays in its queue."""

import re
import socket

from harness.servers.sandbox import Sandbox
from harness.servers.server import Delivery, Server

MACROS = """
OSTYPE(`debian')dnl
define(`confDOMAIN_NAME', `sendmail.example.test')dnl
define(`confDELIVERY_MODE', `queueonly')dnl
define(`confCONNECTION_RATE_THROTTLE', `0')dnl
define(`confTO_IDENT', `0')dnl
define(`confPRIVACY_FLAGS', `noexpn,novrfy,noetrn')dnl
define(`QUEUE_DIR', `/var/spool/mqueue')dnl
define(`confHOST_STATUS_DIRECTORY', `')dnl
define(`confPID_FILE', `/run/sendmail.pid')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`nocanonify')dnl
DAEMON_OPTIONS(`Family=inet, Name=MTA, Port={port}, Addr=127.0.0.1')dnl
LOCAL_DOMAIN(`example.test')dnl
{more}
MAILER(`local')dnl
MAILER(`smtp')dnl
"""
SETUPS = ("sendmail",)


class Sendmail(Server):
    """`macros` are added to the configuration, `files` to the machine."""

    def __init__(self, folder, _setup=None, macros="", files=None, prepare=""):
        super().__init__(folder)
        macros = MACROS.format(port=self.port, more=macros)
        self.process = Sandbox(
            folder.name, "sendmail-bin", ["/usr/libexec/sendmail/sendmail", "-bD", "-C", "/etc/mail/sendmail.cf"], folder,
            users=["smmta", "smmsp", "bob"],
            files={"etc/mail/test.mc": macros, "etc/aliases": "", "etc/mail/service.switch": "hosts files\naliases files\n",
                   "etc/mail/local-host-names": "",
                   # Or it waits a minute for its own name.
                   "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 sendmail.example.test {socket.gethostname()}\n",
                   **(files or {})},
            prepare=f"{prepare or ':'}; mkdir -p {folder}/queue /var/spool/mqueue; mount --bind {folder}/queue /var/spool/mqueue; "
                    "cd /usr/share/sendmail/cf && m4 m4/cf.m4 /etc/mail/test.mc > /etc/mail/sendmail.cf; cd /")
        self.wait()

    def delivered(self):
        found = []
        for path in (self.folder / "queue").glob("qf*"):  # written before the message is acknowledged
            text = path.read_text(encoding="utf-8", errors="replace")
            sender = re.search(r"^S<?([^>\n]*)>?$", text, re.MULTILINE).group(1)
            client = re.search(r"^\$_.*\[([^\]]+)\]", text, re.MULTILINE).group(1)
            found += [Delivery(sender, recipient, client) for recipient in
                      re.findall(r"^R[^:\n]*:<?([^>\n]*)>?$", text, re.MULTILINE)]
        return found
