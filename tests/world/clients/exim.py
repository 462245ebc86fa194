# SPDX-License-Identifier: GPL-3.0-or-later
from client import BOTH, Client

CONFIGURATION = """
primary_hostname = client.example.test
log_file_path = /run/exim-%s.log
spool_directory = /run/exim
keep_environment =
trusted_users = root
begin routers
all:
  driver = manualroute
  route_data = mx.example.test byname
  self = send
  transport = onward
begin transports
onward:
  driver = smtp
  port = PORT
  protocol = PROTOCOL
  hosts_require_tls = *
  tls_verify_certificates = /etc/ssl/certs/ca-certificates.crt
  tls_verify_hosts = *
  tls_resumption_hosts = *
"""
Client("exim", title="Exim (GnuTLS)", packages="exim4-daemon-light", users=("Debian-exim",), adds="received", resumes=("starttls",), quick=True,
       since=("4.98", {"resumes": BOTH}),
       files={"etc/exim4/exim4.conf": CONFIGURATION}, send="""
protocol=smtp
[ $way = starttls ] || protocol=smtps
sed -i "s/PORT/$port/; s/PROTOCOL/$protocol/" /etc/exim4/exim4.conf
mkdir -p /run/exim
chown Debian-exim: /run/exim
touch /run/exim-main.log && chown Debian-exim: /run/exim-main.log
exim4 -odf -i -f $from $to <$message
cat /run/exim-main.log
[ -z "$(exim4 -bpru)" ]
""")
