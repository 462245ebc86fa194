# SPDX-License-Identifier: GPL-3.0-or-later
"""hitch, one worker. It has no STARTTLS."""

from .base import GROUPS, Peer, TLS12_SUITES, TLS13_SUITE, output

CONFIGURATION = """\
frontend = "[127.0.0.1]:{port}"
backend = "{sink}"
pem-file = "{pem}"
workers = 1
backlog = 1000
tls-protos = TLSv1.2 TLSv1.3
ciphersuites = "{suite13}"
ciphers = "{suites12}"
ecdh-curve = "{groups}"
write-proxy-v2 = on
daemon = off
quiet = on
user = "nobody"
"""


class Hitch(Peer):
    name = "hitch"
    packages = ("hitch",)
    programs = ("/usr/sbin/hitch",)

    def command(self):
        sink = self.sink.path if self.unix else f"[127.0.0.1]:{self.sink.port}"
        path = self.write("hitch.conf", CONFIGURATION.format(groups=GROUPS, suite13=TLS13_SUITE, suites12=TLS12_SUITES, port=self.port,
                                                             sink=sink, pem=self.pem()))
        return ["/usr/sbin/hitch", f"--config={path}"]

    def version(self):
        return output("/usr/sbin/hitch", "--version")
