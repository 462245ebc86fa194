# SPDX-License-Identifier: GPL-3.0-or-later
from client import BOTH, Client

# Its smtp client, of the Postfix that the machine has.
CONFIGURATION = """
compatibility_level = 3.6
myhostname = client.example.test
mydestination =
alias_maps =
inet_interfaces = 127.0.0.2
queue_directory = /run/postfix
data_directory = /run/postfix-data
maillog_file = /dev/stdout
relayhost = [mx.example.test]:PORT
smtp_host_lookup = native
smtp_tls_security_level = secure
smtp_tls_verify_cert_match = mx.example.test
smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt
smtp_tls_wrappermode = WRAPPED
smtp_tls_session_cache_database = btree:$data_directory/sessions
"""
Client("postfix", title="Postfix smtp", packages="postfix", adds="received", resumes=BOTH, quick=True,
       files={"etc/world/postfix/main.cf": CONFIGURATION}, send=r"""
wrapped=no
[ $way = starttls ] || wrapped=yes
sed -i "s/PORT/$port/; s/WRAPPED/$wrapped/" /etc/world/postfix/main.cf
if [ ! -d /run/postfix ]; then
  mkdir -p /run/postfix /run/postfix-data
  chown postfix /run/postfix-data
  sed 's/^\([a-z]\+ *unix *. *.\) *y/\1 n/; /^smtp  *inet/d; /^pickup/s/60/1/' /usr/share/postfix/master.cf.dist >/etc/world/postfix/master.cf
  grep -q ^postlog /etc/world/postfix/master.cf ||
    echo 'postlog unix-dgram n - n - 1 postlogd' >>/etc/world/postfix/master.cf
  postfix -c /etc/world/postfix start-fg >$HOME/log 2>&1 &
  for try in {1..300}; do
    ! grep -q 'daemon started' $HOME/log || break
    sleep 0.1
  done
fi
sendmail -C /etc/world/postfix -f $from -i $to <$message
for try in {1..200}; do
  [ -n "$(find /run/postfix/{maildrop,incoming,active,deferred} -type f)" ] || break
  sleep 0.1
done
tail -n 20 $HOME/log
[ -z "$(find /run/postfix/{maildrop,incoming,active,deferred} -type f)" ]
""")
