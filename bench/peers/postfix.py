# SPDX-License-Identifier: GPL-3.0-or-later
"""Postfix's own TLS, without a proxy: one smtpd for each session, in a private folder with its own queue."""

import os
import pwd
import subprocess

from .base import PEERS_HAVE_HYBRID, Peer, TLS12_SUITES, output

# A worker ends after 100 sessions by default, and what it used is then in no clock of the processes that are left. So none
# ends here, and there are as many as the load has connections: started by the warm-up, before anything is measured. Postfix
# is spared what starting them anew costs. TLS 1.3's suite is the load's choice: it offers only one.
MAIN = """\
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
max_use = 1000000000
max_idle = 86400s
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_tls_cert_file = {certificate}.pem
smtpd_tls_key_file = {certificate}.key
smtpd_tls_security_level = may
smtpd_tls_wrappermode = {wrappermode}
smtpd_tls_protocols = >=TLSv1.2
smtpd_tls_mandatory_protocols = >=TLSv1.2
smtpd_tls_ciphers = high
smtpd_tls_mandatory_ciphers = high
tls_high_cipherlist = {suites12}
{groups}
default_transport = discard
smtpd_relay_restrictions = permit_mynetworks, reject
"""

# Where both are empty, Postfix leaves the choice to OpenSSL. It knows no hybrid group by name.
GROUPS = ("tls_eecdh_auto_curves =\ntls_ffdhe_auto_groups =" if PEERS_HAVE_HYBRID
          else "tls_eecdh_auto_curves = X25519 prime256v1")

# Without the postlog service only master writes to maillog_file: why it does not start. The others have no logs.
SERVICES = """\
127.0.0.1:{port} inet n - n - {workers} smtpd
tlsmgr unix - - n - 1 tlsmgr
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
qmgr unix n - n 300 1 qmgr
discard unix - - n - - discard
bounce unix - - n - 0 bounce
"""


class Postfix(Peer):
    name = "Postfix"
    packages = ("postfix",)
    programs = ("/usr/sbin/postfix",)
    identity = None  # it is the backend
    workers = 16
    note = (f"no proxy but smtpd with its own TLS, without a backend; {workers} processes, which never end. Real clients' "
            "mail is queued and then discarded")
    no_messages = "is the MTA itself: it would queue the message, which is other work"

    def command(self):
        settings = self.folder / "etc"
        for part in (settings, self.folder / "queue", self.folder / "data"):
            part.mkdir(exist_ok=True)
        os.chown(self.folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
        self.write("etc/main.cf", MAIN.format(folder=self.folder, groups=GROUPS, certificate=self.certificate, suites12=TLS12_SUITES,
                                              wrappermode="yes" if self.tls == "implicit" else "no"))
        self.write("etc/master.cf", SERVICES.format(port=self.port, workers=self.workers))
        subprocess.run(["/usr/sbin/postfix", "-c", settings, "check"], capture_output=True, check=False)  # makes the queue
        return [output("/usr/sbin/postconf", "-c", settings, "-h", "daemon_directory") + "/master", "-s", "-c", settings]

    def version(self):
        return "Postfix " + output("/usr/sbin/postconf", "-c", self.folder / "etc", "-h", "mail_version")
