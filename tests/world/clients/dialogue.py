# SPDX-License-Identifier: GPL-3.0-or-later
from client import BOTH, Client, here

# TLS clients that know nothing of mail: a small program speaks SMTP through them.
SPEAK = "python3 -I /etc/world/dialogue.py"
FILES = {"etc/world/dialogue.py": here("dialogue.txt")}

Client("openssl", title="openssl s_client", packages="openssl", resumes=BOTH, quick=True, files=FILES, send=f"""
how="-starttls smtp"
[ $way = starttls ] || how=
[ ! -f $HOME/session ] || how="$how -sess_in $HOME/session"
{SPEAK} openssl s_client -connect $host:$port $how -servername $host -CAfile $ca -verify_return_error \\
    -verify_hostname $host -quiet -nocommands -sess_out $HOME/session
""")
# With --resume it has a connection before, in which it says nothing: a ticket comes with the greeting, but with no reply.
Client("gnutls-cli", title="gnutls-cli", packages="gnutls-bin", resumes=("implicit",), quick=True, files=FILES, send=f"""
how="--starttls-proto=smtp"
[ $way = starttls ] || how=
{SPEAK} gnutls-cli --resume --port=$port $how --x509cafile=$ca --logfile=$HOME/log $host
""")
# Its sessions are kept for the connections of one run, each of which lasts until its input ends.
Client("tstclnt", title="NSS tstclnt", packages="libnss3-tools", files=FILES, ways=("implicit",),
       prepare="mkdir $HOME/db; certutil -N -d sql:$HOME/db --empty-password; "
               "certutil -A -d sql:$HOME/db -n ca -t C,, -i $ca\n",
       at_once=True, resumes=("implicit",),
       send=f"{SPEAK} --terminal tstclnt -h $host -p $port -d sql:$HOME/db -V tls1.2:tls1.3 -u -L 2")
botan = Client("botan", title="Botan tls_client", packages="botan", files=FILES, ways=("implicit",), resumes=BOTH,
               send=f"{SPEAK} stdbuf -o0 botan tls_client $host --port=$port --skip-system-cert-store --trusted-cas=$ca "
                    "--session-db=$HOME/sessions --session-db-pass=secret")
if botan.version().startswith("2."):
    botan.tls = "TLSv1.2"  # it has nothing later
