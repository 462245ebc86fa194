# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Exim, Debian's, run from the folder in which tools/fetch-servers unpacked it.

Nothing is installed, because Exim conflicts with Postfix. It wants a user of its own and takes only
configurations that are root's, so it runs as root in a mount namespace in which /etc/passwd and /etc/group
have that user.
"""

import os
import pathlib
import socket

from harness.case import Failure, Skip, eventually
from harness.process import Process, free_port

UNPACKED = pathlib.Path(__file__).resolve().parents[3] / ".cache/servers/exim4-daemon-heavy"
USER, NUMBER = "Debian-exim", 64999

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


class Exim:
    """An SMTP listener. `settings` are lines of the main part of the configuration, `rest` what follows it:
    access control lists."""

    def __init__(self, name, folder, settings, rest):
        if os.geteuid() != 0:
            raise Skip("Exim changes users, which wants root")
        program = UNPACKED / "usr/sbin/exim4"
        if not program.exists():
            raise Skip("Exim is not there; tools/fetch-servers unpacks it")
        self.port = free_port()
        folder.mkdir(mode=0o755)
        (folder / "spool").mkdir()
        os.chown(folder / "spool", NUMBER, NUMBER)
        for table, line in (("passwd", f"{USER}:x:{NUMBER}:{NUMBER}::/nonexistent:/usr/sbin/nologin\n"),
                            ("group", f"{USER}:x:{NUMBER}:\n")):
            (folder / table).write_text(pathlib.Path("/etc", table).read_text() + line)
        path = folder / "exim.conf"
        path.write_text(CONFIGURATION.format(port=self.port, folder=folder, settings=settings) + rest)
        libraries = ":".join(str(path) for path in (UNPACKED / "usr/lib", *(UNPACKED / "usr/lib").glob("*-linux-gnu*")))
        script = (f"mount --bind {folder}/passwd /etc/passwd && mount --bind {folder}/group /etc/group && "
                  f"exec {program} -C {path} -bdf")
        self.process = Process(name, ["unshare", "--mount", "sh", "-c", script], folder,
                               environment={"LD_LIBRARY_PATH": libraries})

    def wait(self):
        def listening():
            if not self.process.running():
                raise Failure(f"Exim ended: {self.process.log[-1000:]}")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        eventually(listening, "Exim listening")
        return self

    def stop(self):
        self.process.stop()
