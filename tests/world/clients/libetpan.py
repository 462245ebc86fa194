# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client, here

# Checks no certificate by itself.
Client("libetpan", title="libetpan (GnuTLS)", packages="libetpan-dev", at_once=True, more_lines=1, quick=True,
       files={"etc/world/send.c": here("libetpan_send.c.txt")}, prepare="cc -o $HOME/send /etc/world/send.c -letpan\n",
       send="$HOME/send $message_crlf")
