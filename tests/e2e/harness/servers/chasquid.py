# SPDX-License-Identifier: GPL-3.0-or-later
"""chasquid, which reads version 1 of PROXY and relays for nobody who has not logged in."""

import re

from harness.documents import backend_lines
from harness.process import free_port
from harness.servers.sandbox import Sandbox
from harness.servers.server import Delivery, Server

CONFIGURATION = """
hostname: "chasquid.example.test"
{lines}
mail_delivery_agent_bin: "/bin/true"
mail_log_path: "<stderr>"
data_dir: "/run/chasquid"
"""
SETUPS = ("chasquid", "chasquid haproxy_incoming")
# It does not start without a certificate; the hook that Debian ships asks for virus scanners.
PREPARE = """
rm /etc/chasquid/hooks/post-data
mkdir -p /etc/chasquid/certs/chasquid.example.test /etc/chasquid/domains/example.test
cd /etc/chasquid/certs/chasquid.example.test
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=chasquid.example.test \
    -keyout privkey.pem -out fullchain.pem
chasquid-util user-add bob@example.test --password=secret
"""


class Chasquid(Server):
    def __init__(self, folder, setup):
        super().__init__(folder)
        lines = f'smtp_address: "{self.address}"'
        if setup == "chasquid haproxy_incoming":
            self.submission_port = free_port()
            lines = backend_lines("chasquid", {"127.0.0.1:10025": self.address})
            lines += f'submission_address: "127.0.0.1:{self.submission_port}"\n'
        text = CONFIGURATION.format(lines=lines)
        self.process = Sandbox(folder.name, "chasquid", ["chasquid"], folder,
                               files={"etc/chasquid/chasquid.conf": text}, prepare=PREPARE)
        self.wait()

    def delivered(self):
        return [Delivery(sender, recipient, client) for sender, client, recipients in
                re.findall(r" from=(\S+) queued ip=(\S+):\d+ to=\[(.*)\]$", self.log, re.MULTILINE)
                for recipient in recipients.split()]
