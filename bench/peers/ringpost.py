# SPDX-License-Identifier: GPL-3.0-or-later
"""ringpost, one shard."""

from .base import Peer, output


class Ringpost(Peer):
    name = "ringpost"

    def command(self):
        listen = "listen_tls" if self.mode == "implicit" else "listen"
        return [self.build / "ringpost", "--shards=1", f"--{listen}=127.0.0.1:{self.port}", "--hostname=bench.example.test",
                f"--upstream=127.0.0.1:{self.sink_port}", f"--cert={self.certificate}.pem", f"--key={self.certificate}.key",
                "--log_level=error", "--sessions_per_client_max=0"]

    def version(self):
        return output(self.build / "ringpost", "--version")
