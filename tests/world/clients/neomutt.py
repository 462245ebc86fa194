# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client

Client("neomutt", packages="neomutt", composes=True, send="""
url=smtp
[ $way = starttls ] || url=smtps
neomutt -F /dev/null -e "set smtp_url=$url://$host:$port ssl_ca_certificates_file=$ca ssl_force_tls=yes" \\
    -e "set from=$from hostname=client.example.test use_envelope_from=yes copy=no charset=utf-8" \\
    -s "$subject" -- $to <$body
""")
