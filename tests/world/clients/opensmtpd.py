# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client, here

CONFIGURATION = """
listen on 127.0.0.1 port 2525 hostname client.example.test
action onward relay host SCHEME://mx.example.test:PORT tls helo client.example.test
match from any for any action onward
"""
# Keeps its connection for ten seconds, in case more mail comes; it is not given them.
Client("opensmtpd", title="OpenSMTPD", packages="opensmtpd", users=("opensmtpd", "opensmtpq"), adds="received", reason="client_eof quit",
       files={"etc/world/smtpd.conf": CONFIGURATION, "etc/world/inject.py": here("inject.txt")}, send=r"""
scheme=smtp+tls
[ $way = starttls ] || scheme=smtps
sed -i "s/SCHEME/$scheme/; s/PORT/$port/" /etc/world/smtpd.conf
mkdir -p /var/spool/smtpd
chmod 711 /var/spool/smtpd
smtpd -d -f /etc/world/smtpd.conf >$HOME/log 2>&1 &
python3 -I /etc/world/inject.py 2525
for try in {1..200}; do
  ! grep -q 'result="Ok"' $HOME/log || break
  sleep 0.1
done
cat $HOME/log
grep -q 'result="Ok"' $HOME/log
kill %1
""")
