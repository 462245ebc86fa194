# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client

# Without --crlf a lone LF goes out as it is, and no dot behind it is doubled.
SEND = r"""
url=smtp
[ $way = starttls ] || url=smtps
curl --silent --show-error --ssl-reqd --max-time 20 --crlf --mail-from $from --mail-rcpt $to --upload-file $message \
    $url://$host:$port/client.example.test
"""
Client("curl", title="curl (OpenSSL)", packages="curl", quick=True, send=SEND)
