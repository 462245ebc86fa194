# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client

Client("mailutils", title="GNU mailutils", packages="mailutils", composes=True, send="""
url=smtp
[ $way = starttls ] || url=smtps
printf 'tls { ssl-ca-file %s; }\\n' $ca >$HOME/.mailutils
mail.mailutils -E "set sendmail=$url://$host:$port" -r $from \\
    -a 'Content-Type: text/plain; charset=utf-8' -a 'Content-Transfer-Encoding: 8bit' \\
    -s "$subject" $to <$body
""")
