# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client

Client("s-nail", packages="s-nail", quick=True, composes=True, send="""
url=smtp
[ $way = starttls ] || url=smtps
s-nail -:/ -Sv15-compat -Smta=$url://$host:$port -Ssmtp-use-starttls -Ssmtp-auth=none -Stls-ca-file=$ca \
    -Stls-verify=strict -Shostname=client.example.test -Sfrom=$from -Sttycharset=utf-8 -s "$subject" $to <$body
""")
