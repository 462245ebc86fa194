# SPDX-License-Identifier: GPL-3.0-or-later
from client import BOTH, Client, here

Client("mbedtls", title="Mbed TLS", packages="libmbedtls-dev", at_once=True, tls="TLSv1.2", resumes=BOTH, quick=True,
       since=("3", {"tls": "TLSv1.3"}),
       files={"etc/world/send.c": here("mbedtls_send.c.txt")},
       prepare="cc -o $HOME/send /etc/world/send.c -lmbedtls -lmbedx509 -lmbedcrypto\n", send="$HOME/send $message_crlf")
