# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client

Client("msmtp", packages="msmtp", quick=True, send="""
starttls=on
[ $way = starttls ] || starttls=off
msmtp --host=$host --port=$port --tls=on --tls-starttls=$starttls --tls-trust-file=$ca --timeout=20 \
    --from=$from --domain=client.example.test $to <$message
""")
