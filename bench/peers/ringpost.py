# SPDX-License-Identifier: GPL-3.0-or-later
"""ringpost, one shard."""

from .base import Peer, output


class Ringpost(Peer):
    name = "ringpost"

    def command(self):
        listen = "listen_tls" if self.tls == "implicit" else "listen"
        upstream = f"unix:{self.sink.path}" if self.unix else f"127.0.0.1:{self.sink.port}"
        return [self.build / "ringpost", "--shards=1", f"--{listen}=127.0.0.1:{self.port}", "--hostname=bench.example.test",
                f"--upstream={upstream}", f"--cert={self.certificate}.pem", f"--key={self.certificate}.key",
                "--log_level=error", "--sessions_per_client_max=0"]

    def version(self):
        return output(self.build / "ringpost", "--version")
