# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client, here

# It asks GnuTLS for the session right after the handshake, when no ticket of TLS 1.3 has come yet.
Client("pycurl", title="PycURL (libcurl, GnuTLS)", packages="python3-pycurl", at_once=True, quick=True,
       files={"etc/world/send.py": here("pycurl_send.txt")}, send="python3 -I /etc/world/send.py")
