# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client, here

MODULES = "/usr/lib/ringpost-test-servers/node_modules"
NODE = f"{MODULES}/node-linux-*/bin/node"  # npm 9 makes no link to a program of an optional package
# STARTTLS only: it has no way to say TLS from the start.
Client("haraka", title="Haraka outbound", packages="servers:npm:Haraka", ways=("starttls",), adds="received", quick=True,
       files={"etc/haraka/config/smtp.ini": "listen=127.0.0.1:2525\n",
              "etc/haraka/config/me": "client.example.test\n",
              "etc/haraka/config/plugins": "onward\n",
              "etc/haraka/config/outbound.ini": "local_mx_ok=true\n",
              "etc/haraka/config/tls.ini": "[outbound]\nrejectUnauthorized=true\n",
              "etc/haraka/plugins/onward.js": here("haraka_onward.js"),
              "etc/world/inject.py": here("inject.txt")},
       prepare=f"""
cp {MODULES}/Haraka/config/connection.ini /etc/haraka/config/
NODE_EXTRA_CA_CERTS=$ca {NODE} {MODULES}/Haraka/bin/haraka -c /etc/haraka </dev/null >$HOME/log 2>&1 &
""", send="""
python3 -I /etc/world/inject.py 2525 || { tail -n 20 $HOME/log; exit 1; }
for try in {1..200}; do
  ! grep -q '^delivered' $HOME/log || break
  sleep 0.1
done
tail -n 20 $HOME/log
grep -q '^delivered in TLS' $HOME/log
: >$HOME/log
""")
