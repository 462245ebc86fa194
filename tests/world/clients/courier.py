# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client, here

# Keeps its connection for a minute, in case more mail comes; it is not given it.
Client("courier", title="Courier (GnuTLS)", packages="courier-mta", users=("courier",), adds="received", rewrites="to",
       reason="client_eof quit", prepare=here("courier_prepare.sh"),
       files={"etc/courier/me": "client.example.test\n", "etc/courier/locals": "localhost\n",
              "etc/courier/defaultdomain": "client.example.test\n", "etc/courier/dsnfrom": "client.example.test\n",
              "etc/courier/aliases/system": "postmaster: root\n"},
       send="""
sendmail -f $from $to <$message
sleep 0.5
for try in {1..200}; do
  [ -n "$(find /var/lib/courier/msgs -name 'C*')" ] || exit 0
  sleep 0.1
done
exit 1
""")
