# SPDX-License-Identifier: GPL-3.0-or-later
"""chasquid, which reads version 1 of PROXY and relays for nobody who has not logged in."""

import re

from harness.servers.sandbox import Sandbox
from harness.servers.server import Delivery, Server

CONFIGURATION = """
hostname: "chasquid.example.test"
smtp_address: "127.0.0.1:{port}"
mail_delivery_agent_bin: "/bin/true"
mail_log_path: "<stderr>"
data_dir: "/run/chasquid"
haproxy_incoming: {proxied}
"""
SETUPS = {"chasquid": "false", "chasquid haproxy_incoming": "true"}
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
        text = CONFIGURATION.format(port=self.port, proxied=SETUPS[setup])
        self.process = Sandbox(folder.name, "chasquid", ["chasquid"], folder,
                               files={"etc/chasquid/chasquid.conf": text}, prepare=PREPARE)
        self.wait()

    def delivered(self):
        return [Delivery(sender, recipient, client) for sender, client, recipients in
                re.findall(r" from=(\S+) queued ip=(\S+):\d+ to=\[(.*)\]$", self.log, re.MULTILINE)
                for recipient in recipients.split()]
