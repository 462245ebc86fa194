# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client

Client("nullmailer", packages="nullmailer", users=("nullmail",), adds="received", send=r"""
how="--starttls"
[ $way = starttls ] || how="--tls"
mkdir -p /etc/nullmailer /var/spool/nullmailer/{queue,tmp,failed}
echo "$host smtp --port=$port $how --x509cafile=$ca" >/etc/nullmailer/remotes
echo client.example.test >/etc/nullmailer/me
[ -p /var/spool/nullmailer/trigger ] || mkfifo /var/spool/nullmailer/trigger
chown -R nullmail: /var/spool/nullmailer
NULLMAILER_USER= nullmailer-inject -f $from $to <$message
timeout 30 nullmailer-send >$HOME/log 2>&1 &
for try in {1..200}; do
  [ -n "$(ls /var/spool/nullmailer/queue)" ] || break
  sleep 0.1
done
cat $HOME/log
[ -z "$(ls /var/spool/nullmailer/queue)" ]
kill %1
""")
