# SPDX-License-Identifier: GPL-3.0-or-later
"""Courier's esmtpd, which takes no address from a proxy and lets a client wait for each error. What it accepts
stays in its queue: the part that delivers is not started."""

import re

from harness.servers.sandbox import Sandbox, version_of
from harness.servers.server import Delivery, Server

SETUPS = ("courier",)
QUEUE = "/var/lib/courier"


class Courier(Server):
    settled_seconds = 90  # the wait after an error does not end with the connection

    def __init__(self, folder, _setup):
        super().__init__(folder)
        queue = folder / "queue"
        prepare = f"""
ln -s makedat.courier /usr/bin/makedat
chown -R root:courier /etc/courier
mkdir {queue}
for part in allfilters filters msgq msgs track tmp; do mkdir {queue}/$part; done
chown -R courier:courier {queue}
chmod 755 {queue} {queue}/msgs
mkdir -p {QUEUE} /run/courier
mount --bind {queue} {QUEUE}
chown courier: /usr/lib/courier/courier/submitmkdir
chmod 4755 /usr/lib/courier/courier/submitmkdir
cd /etc/courier
makesmtpaccess
makeacceptmailfor
makealiases
set -a
. /etc/courier/esmtpd
BOFHCHECKDNS=0
"""
        no_ident = [] if version_of("courier-mta") >= (1, 4) else ["-noidentlookup"]
        self.process = Sandbox(
            folder.name, "courier-mta",
            ["/usr/sbin/couriertcpd", *no_ident, "-nodnslookup", "-user=courier", "-group=courier",
             "-address=127.0.0.1", "-access=/etc/courier/smtpaccess.dat", "-maxprocs=40", "-maxperc=40", "-maxperip=40",
             self.port, "/usr/sbin/courieresmtpd"],
            folder, users=["courier", "bob"], prepare=prepare,
            files={"etc/courier/me": "courier.example.test\n", "etc/courier/locals": "localhost\n",
                   "etc/courier/defaultdomain": "example.test\n", "etc/courier/dsnfrom": "courier.example.test\n",
                   "etc/courier/smtpaccess/default": "127.0.0.1\tallow,RELAYCLIENT\n",
                   "etc/courier/esmtpacceptmailfor": "example.test\n", "etc/courier/aliases/system": "postmaster: root\n"})
        self.wait()

    def delivered(self):
        found = []
        for path in (self.folder / "queue").rglob("C*"):
            text = path.read_text(encoding="utf-8", errors="replace")
            sender = re.search(r"^s(.*)$", text, re.MULTILINE).group(1)
            client = re.search(r"^f.*\[([^\]]+)\]", text, re.MULTILINE).group(1).removeprefix("::ffff:")
            found += [Delivery(sender, recipient, client) for recipient in re.findall(r"^r(.*)$", text, re.MULTILINE)]
        return found
