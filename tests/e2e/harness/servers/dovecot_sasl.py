# SPDX-License-Identifier: GPL-3.0-or-later
"""Dovecot as the password check of a Postfix, and nothing else: its authentication service, on a socket in Postfix's queue."""

from harness.case import Failure, eventually
from harness.servers import lmtp
from harness.servers.relays import PASSWORD
from harness.servers.sandbox import Sandbox

_CONFIGURATION = """
protocols =
log_path = /dev/stderr
ssl = no
first_valid_uid = 1
auth_failure_delay = 0
{accounts}
{lines}
"""


class DovecotSasl(Sandbox):
    """`lines` set up the socket, which is to be at `path`."""

    def __init__(self, folder, lines, path):
        text = lmtp.configuration("dovecot-submissiond", _CONFIGURATION, "/run/mail", PASSWORD, lines=lines)
        super().__init__(
            folder.name, "dovecot-submissiond", ["dovecot", "-F", "-c", "/etc/dovecot/test.conf"], folder,
            users=["dovecot", "dovenull"], files={"etc/dovecot/test.conf": text},
            environment={"LD_LIBRARY_PATH": "/usr/lib/dovecot"})

        def look():
            if not self.running():
                raise Failure(f"Dovecot ended: {self.log[-1000:]}")
            return path.is_socket()
        try:
            eventually(look, f"a socket at {path}")
        except BaseException:
            self.stop()
            raise
