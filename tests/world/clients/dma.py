# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client

Client("dma", packages="dma", users=("dma",), adds="received", send="""
printf 'SMARTHOST %s\\nPORT %s\\nSECURETRANSFER\\nMAILNAME client.example.test\\n' $host $port >/etc/dma/dma.conf
[ $way = implicit ] || echo STARTTLS >>/etc/dma/dma.conf
mkdir -p /var/spool/dma
dma -D -i -f $from $to <$message
[ -z "$(ls /var/spool/dma)" ]
""")
