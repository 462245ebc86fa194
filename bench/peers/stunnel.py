# SPDX-License-Identifier: GPL-3.0-or-later
"""stunnel, a thread for each connection."""

from .base import Peer, TLS12_SUITES, TLS13_SUITE, output

CONFIGURATION = """\
foreground = yes
debug = 0
pid =
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[in]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{sink_port}
cert = {pem}
sslVersionMin = TLSv1.2
ciphersuites = {suite13}
ciphers = {suites12}
curves = X25519:P-256
protocol = {protocol}
"""


class Stunnel(Peer):
    name = "stunnel"
    packages = ("stunnel4",)
    note = "tells the backend nothing of the client with STARTTLS, PROXY v1 without"

    def __init__(self, mode, *arguments):
        self.identity = "PROXY v1" if mode == "implicit" else None
        self.share = 1.0 if mode == "implicit" else 0.2  # 200 ms each, whatever the load
        super().__init__(mode, *arguments)

    def command(self):
        path = self.write("stunnel.conf", CONFIGURATION.format(
            suite13=TLS13_SUITE, suites12=TLS12_SUITES, port=self.port, sink_port=self.sink_port, pem=self.pem(),
            protocol="proxy" if self.mode == "implicit" else "smtp"))
        return ["/usr/bin/stunnel4", path]

    def version(self):
        return output("/usr/bin/stunnel4", "-version")
