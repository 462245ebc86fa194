# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client

Client("esmtp", title="esmtp (libesmtp)", packages="esmtp", ways=("starttls",),
       trouble="libesmtp stops at a session ticket that comes before it has sent EHLO", send="""
printf 'hostname = %s:%s\\nstarttls = required\\n' $host $port >$HOME/.esmtprc
chmod 600 $HOME/.esmtprc
mkdir -p $HOME/.authenticate
ln -sf $ca $HOME/.authenticate/ca.pem
esmtp -f $from $to <$message
""")
