# SPDX-License-Identifier: GPL-3.0-or-later
from client import BOTH, Client, here

# libcurl 7.88 (Debian 12) asks GnuTLS for the session right after the handshake, when no ticket of TLS 1.3 has come yet;
# 8.14 (Debian 13) resumes.
Client("pycurl", title="PycURL (libcurl, GnuTLS)", packages="python3-pycurl", at_once=True, quick=True,
       files={"etc/world/send.py": here("pycurl_send.txt")}, send="python3 -I /etc/world/send.py",
       since=("7.45.6", {"resumes": BOTH}))
