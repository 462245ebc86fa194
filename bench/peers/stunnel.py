# SPDX-License-Identifier: GPL-3.0-or-later
"""stunnel, a thread for each connection."""

from .base import GROUPS, Peer, TLS12_SUITES, TLS13_SUITE, output

CONFIGURATION = """\
foreground = yes
debug = 0
pid =
socket = l:TCP_NODELAY=1
{remote_options}
[in]
accept = 127.0.0.1:{port}
connect = {sink}
cert = {pem}
sslVersionMin = TLSv1.2
ciphersuites = {suite13}
ciphers = {suites12}
curves = {groups}
protocol = {protocol}
"""


class Stunnel(Peer):
    name = "stunnel"
    packages = ("stunnel4",)
    programs = ("/usr/bin/stunnel4",)
    note = "tells the backend nothing of the client with STARTTLS, PROXY v1 without"

    def __init__(self, mode, *arguments):
        implicit = mode.startswith("implicit")
        self.identity = "PROXY v1" if implicit else None
        self.share = 1.0 if implicit else 0.2  # 200 ms each, whatever the load
        super().__init__(mode, *arguments)

    def command(self):
        path = self.write("stunnel.conf", CONFIGURATION.format(
            groups=GROUPS, suite13=TLS13_SUITE, suites12=TLS12_SUITES, port=self.port, pem=self.pem(),
            sink=self.sink.path if self.unix else f"127.0.0.1:{self.sink.port}",
            remote_options="" if self.unix else "socket = r:TCP_NODELAY=1",
            protocol="proxy" if self.tls == "implicit" else "smtp"))
        return ["/usr/bin/stunnel4", path]

    def version(self):
        return output("/usr/bin/stunnel4", "-version", containing="stunnel ")
