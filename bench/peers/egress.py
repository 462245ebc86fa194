# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes mail in clear and brings it to a partner by TLS, verifying the partner's certificate and its name."""

import os
import pathlib
import pwd
import subprocess
import time

from . import postfix, ringpost, stunnel
from .base import GROUPS, Peer, TLS12_SUITES, TLS13_SUITE, Unavailable, cpu_clock, family, output


class EgressPeer(Peer):
    """Each workload has a partner of its own."""

    identity = None
    resumes = False
    verifies = True

    def __init__(self, mode, folder, certificate, sinks, build):
        self.partners, self.partner = sinks["partners"], sinks["partners"]["openssl"]
        self.ca = pathlib.Path(certificate).parent / "ca.pem"
        super().__init__(mode, folder, certificate, sinks, build)

    def call(self, kind, resumes):
        """Whether it had to be started anew, because it had another partner, or because this workload is about tickets."""
        if self.partner is self.partners[kind] and self.resumes == resumes:
            return False
        self.partner, self.resumes = self.partners[kind], resumes
        self.restart()
        return True


class RingpostEgress(EgressPeer):
    name = "ringpost"

    def command(self):
        return [self.build / "ringpost", "--shards=1", f"--egress_listen=127.0.0.1:{self.port}",
                f"--egress_upstream=127.0.0.1:{self.partner.port}", "--egress_tls=verify", f"--egress_ca={self.ca}",
                "--hostname=bench.example.test", "--log_level=error"]

    version = ringpost.Ringpost.version


STUNNEL = """\
foreground = yes
debug = 0
pid =
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[out]
client = yes
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{partner}
protocol = smtp
verifyChain = yes
CAfile = {ca}
checkIP = 127.0.0.1
sessionResume = {resumes}
sslVersionMin = TLSv1.2
ciphersuites = {suite13}
ciphers = {suites12}
curves = {groups}
"""


class StunnelEgress(EgressPeer):
    name = "stunnel"
    packages = stunnel.Stunnel.packages
    programs = stunnel.Stunnel.programs
    note = stunnel.Stunnel.note

    def command(self):
        path = self.write("stunnel.conf", STUNNEL.format(
            port=self.port, partner=self.partner.port, ca=self.ca, resumes="yes" if self.resumes else "no", groups=GROUPS,
            suite13=TLS13_SUITE, suites12=TLS12_SUITES))
        return [self.programs[0], path]

    version = stunnel.Stunnel.version


# As in postfix.py no process ends. smtpd and the queue manager are there to give the smtp processes their work.
POSTFIX = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = /dev/stdout
inet_protocols = ipv4
myhostname = bench.example.test
mydestination =
local_recipient_maps =
alias_maps =
disable_dns_lookups = yes
smtp_host_lookup = native
max_use = 1000000000
max_idle = 86400s
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_tls_security_level = none
smtpd_relay_restrictions = permit_mynetworks, reject
default_process_limit = 100
qmgr_message_active_limit = 20000
in_flow_delay = 0
relayhost = [127.0.0.1]:{partner}
initial_destination_concurrency = {workers}
default_destination_concurrency_limit = {workers}
smtp_connection_cache_on_demand = no
smtp_tls_security_level = {level}
smtp_tls_secure_cert_match = mx.example.test
smtp_tls_CAfile = {ca}
smtp_tls_mandatory_protocols = >=TLSv1.2
smtp_tls_mandatory_ciphers = high
smtp_tls_session_cache_database = {cache}
tls_high_cipherlist = {suites12}
{groups}
"""

SERVICES = """\
127.0.0.1:{port} inet n - n - {workers} smtpd
tlsmgr unix - - n - 1 tlsmgr
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
qmgr unix n - n 300 1 qmgr
smtp unix - - n - {workers} smtp
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
retry unix - - n - - error
error unix - - n - - error
"""


QUEUE_SECONDS = 30  # from one delivery to the next


def program_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:  # ended meanwhile, as the smtp processes do not
        return ""


class PostfixEgress(EgressPeer):
    name = "Postfix smtp"
    packages = postfix.Postfix.packages
    programs = postfix.Postfix.programs
    workers = 16
    share = 0.25  # its queue is on a disk
    level = "secure"
    note = (f"its own client: the CPU of its {workers} smtp processes, which never end, so reading the queue file and the "
            "queue manager's requests are in it, and its smtpd, cleanup and queue manager are not")
    needs_message = "connects only when it has a message"
    one_message = "has a connection for each message, which comes from its queue on the disk"

    def command(self):
        settings = self.folder / "etc"
        for part in (settings, self.folder / "queue", self.folder / "data"):
            part.mkdir(exist_ok=True)
        os.chown(self.folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
        self.write("etc/main.cf", POSTFIX.format(
            folder=self.folder, partner=self.partner.port, workers=self.workers, level=self.level, ca=self.ca,
            cache=f"btree:{self.folder}/data/smtp_scache" if self.resumes else "", suites12=TLS12_SUITES, groups=postfix.GROUPS))
        self.write("etc/master.cf", SERVICES.format(port=self.port, workers=self.workers))
        subprocess.run(["/usr/sbin/postfix", "-c", settings, "check"], capture_output=True, check=False)  # makes the queue
        return [output("/usr/sbin/postconf", "-c", settings, "-h", "daemon_directory") + "/master", "-s", "-c", settings]

    def queued(self, queue):
        return [path for path in (self.folder / "queue" / queue).rglob("*") if path.is_file()]

    def settle(self):
        """Until the queue is empty. What Postfix keeps for later has not been delivered, and the reason is in a file."""
        left, deadline = None, time.monotonic() + QUEUE_SECONDS
        while left != 0:
            before, left = left, len(self.queued("incoming")) + len(self.queued("active"))
            if before is not None and left < before:
                deadline = time.monotonic() + QUEUE_SECONDS
            reasons = self.queued("defer")
            if reasons:
                reason = next((line for line in reasons[0].read_text(errors="replace").splitlines() if line.startswith("reason=")), "")
                raise Unavailable(f"did not deliver everything: {reason}")
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"{left} messages stay in its queue")
            time.sleep(0.02)

    def cpu_ns(self):
        return sum(time.clock_gettime_ns(cpu_clock(pid)) for pid in family(self.process.pid) if program_of(pid) == "smtp")

    version = postfix.Postfix.version


class PostfixClear(PostfixEgress):
    """What of it is not TLS."""

    name = "Postfix smtp without TLS"
    level = "none"
    verifies = False
    note = "the same, in clear"
