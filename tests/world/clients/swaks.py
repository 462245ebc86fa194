# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client

Client("swaks", packages="swaks libnet-ssleay-perl libnet-dns-perl", quick=True, more_lines=1, send=r"""
how=--tls
[ $way = starttls ] || how=--tls-on-connect
swaks --server $host --port $port $how --tls-verify --tls-ca-path $ca --from $from --to $to \
    --helo client.example.test --timeout 20 --data - <$message
""")
