# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy in TCP mode, one thread. It has no STARTTLS."""

from .base import GROUPS, Peer, TLS12_SUITES, TLS13_SUITE, output

CONFIGURATION = """\
global
    nbthread 1
    maxconn 9500
    ssl-default-bind-ciphersuites {suite13}
    ssl-default-bind-ciphers {suites12}
    ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
    mode tcp
    timeout connect 5s
    timeout client 5m
    timeout server 5m
frontend in
    bind 127.0.0.1:{port} ssl crt {pem} curves {groups}
    default_backend out
backend out
    server sink {sink} send-proxy-v2
"""


class Haproxy(Peer):
    name = "HAProxy"
    packages = ("haproxy",)
    programs = ("/usr/sbin/haproxy",)

    def command(self):
        sink = f"unix@{self.sink.path}" if self.unix else f"127.0.0.1:{self.sink.port}"
        path = self.write("haproxy.cfg", CONFIGURATION.format(groups=GROUPS, suite13=TLS13_SUITE, suites12=TLS12_SUITES, port=self.port,
                                                              sink=sink, pem=self.pem()))
        return ["/usr/sbin/haproxy", "-db", "-q", "-f", path]

    def version(self):
        return output("/usr/sbin/haproxy", "-v")
