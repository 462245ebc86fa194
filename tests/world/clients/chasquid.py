# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client, here

CONFIGURATION = """
hostname: "client.example.test"
smtp_address: "127.0.0.2:2525"
mail_log_path: "<stderr>"
data_dir: "/run/chasquid"
"""
# Finds the server by its MX record, on port 25. Only who has logged in may send.
Client("chasquid", title="chasquid (Go crypto/tls)", packages="chasquid", ways=("starttls",), adds="received",
       files={"etc/chasquid/chasquid.conf": CONFIGURATION, "etc/world/inject.py": here("chasquid_inject.txt")},
       prepare=here("chasquid_prepare.sh"), send="""
python3 -I /etc/world/inject.py
for try in {1..200}; do
  ! grep -q 'all done' $HOME/log || break
  sleep 0.1
done
tail -n 20 $HOME/log
grep -q 'to=bob@example.test sent' $HOME/log
: >$HOME/log
""")
