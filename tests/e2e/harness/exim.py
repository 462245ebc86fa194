# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's Exim as a reader of MAIL commands: it decides in an access control list and delivers nothing."""

from harness.servers.sandbox import Sandbox
from harness.servers.server import Server

CONFIGURATION = """
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
primary_hostname = backend.example.test
spool_directory = {folder}/spool
log_file_path = {folder}/spool/%slog
keep_environment =
tls_advertise_hosts =
smtp_max_synprot_errors = 1000
smtp_max_unknown_commands = 1000
smtp_accept_max_nonmail = 1000
smtp_accept_max = 0
{settings}
"""


class Exim(Server):
    """`settings` are lines of the main part of the configuration, `rest` what follows it: access control lists."""

    def __init__(self, folder, settings, rest):
        super().__init__(folder)
        text = CONFIGURATION.format(port=self.port, folder=folder, settings=settings) + rest
        self.process = Sandbox(folder.name, "exim4-daemon-heavy", ["exim4", "-bdf"], folder, users=["Debian-exim"],
                               files={"etc/exim4/exim4.conf": text}, prepare=f"chown Debian-exim: {folder}")
        self.wait()
