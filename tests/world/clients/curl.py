# SPDX-License-Identifier: GPL-3.0-or-later
from client import BOTH, Client

# Without --crlf a lone LF goes out as it is, and no dot behind it is doubled. One run of curl keeps its TLS sessions,
# and its connections too, but for the one that is bound to an address. 7.88 kept the session after STARTTLS
# under the name of smtps, and did not find it under that of smtp; 8.14 resumes.
SEND = r"""
url=smtp
[ $way = starttls ] || url=smtps
words=()
for one in $message; do
  words+=(--ssl-reqd --max-time 20 --crlf --mail-from $from --mail-rcpt $to --upload-file $one
          $url://$host:$port/client.example.test --next --interface 127.0.0.1)
done
curl --silent --show-error "${words[@]:0:${#words[@]}-3}"
"""
Client("curl", title="curl (OpenSSL)", packages="curl", at_once=True, resumes=("implicit",), quick=True, send=SEND,
       since=("8.14", {"resumes": BOTH}))
