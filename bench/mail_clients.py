# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail clients as people have them, as a load: what each takes for a session, from its start to its end.

They are those of tests/world, unpacked by tools/fetch-clients. Most write twice before they read, so that they show
what a server does about delayed ACKs, which ringpost-load does not.
"""

import importlib
import itertools
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "world"), str(ROOT / "tests" / "e2e")]

from client import CLIENTS  # noqa: E402
from harness.case import Failure  # noqa: E402
from message import Message  # noqa: E402
from trial import start_client  # noqa: E402

NAMES = ("msmtp", "mutt", "perl", "php", "ruby", "smtplib")  # files of tests/world/clients
SECONDS = 60
# The first session warms the caches up.
TIMED = """
export message=/etc/world/message{number} message_crlf=/etc/world/message{number}.crlf body=/etc/world/body{number} \
subject='{subject}'
for session in $(seq 0 $SESSIONS); do
  begin=$(date +%s%N)
  bash -euo pipefail /etc/world/send >/dev/null
  end=$(date +%s%N)
  [ "$session" = 0 ] || echo "took $((end - begin)) ns"
done
"""


class MailClients:
    """`folder`: for what the clients write. `authority`: the file of the certificate that they trust. `cpu`: theirs."""

    def __init__(self, folder, authority, cpu):
        self.folder, self.authority, self.cpu = folder, authority, cpu
        self._numbers = itertools.count(1)
        for name in NAMES:
            importlib.import_module(f"clients.{name}")
        self.clients = [client for client in CLIENTS if client.version()]

    def sessions(self, client, way, port, count):
        """What each of so many sessions took, in nanoseconds. Failure if one of them did not end well."""
        folder = self.folder / f"{client.name}-{way}-{next(self._numbers)}"
        process = start_client(client, way, port, [Message(client, way, 1)], self.authority, folder,
                               one=f"SESSIONS={count}\n{TIMED}", prefix=["taskset", "-c", self.cpu])
        try:
            code = process.wait(SECONDS)
        finally:
            process.stop()
        took = [int(ns) for ns in re.findall(r"^took (\d+) ns$", process.log, re.MULTILINE)]
        if code != 0 or len(took) != count:
            raise Failure(f"{client.title}: {process.log[-300:].strip() or f'exit code {code}'}")
        return took
