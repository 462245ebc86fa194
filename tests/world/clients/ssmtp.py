# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client

# It drops what it takes for the end of its input.
Client("ssmtp", title="sSMTP", packages="ssmtp", adds="received", send="""
printf 'mailhub=%s:%s\\nhostname=client.example.test\\nFromLineOverride=YES\\nUseTLS=YES\\n' $host $port >/etc/ssmtp/ssmtp.conf
[ $way = implicit ] || echo UseSTARTTLS=YES >>/etc/ssmtp/ssmtp.conf
ssmtp -f$from $to <$message
""")
