# SPDX-License-Identifier: GPL-3.0-or-later
"""A relay that receives and sends, and nothing else: what the kernel takes for that (bench/bare_relay.cc)."""

from .base import Peer


class Bare(Peer):
    name = "bare relay"
    identity = None
    note = "receives and sends: no TLS, no SMTP, nothing else"

    def command(self):
        return [self.build / "bench" / "bare_relay", self.port, self.sink.port]

    def version(self):
        return "bench/bare_relay.cc"
