# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client

Client("git", title="git send-email", packages="git-email libmailtools-perl libio-socket-ssl-perl", adds="x-mailer",
       rewrites="to date message-id x-folded", quick=True, send=r"""
encryption=tls
[ $way = starttls ] || encryption=ssl
git config --global user.name Alice
git config --global user.email $from
/usr/lib/git-core/git-send-email --quiet --confirm=never --no-validate --suppress-cc=all --from="Alice <$from>" --to=$to \
    --smtp-server=$host --smtp-server-port=$port --smtp-encryption=$encryption --smtp-ssl-cert-path=$ca \
    --smtp-domain=client.example.test $message
""")
