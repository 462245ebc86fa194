# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client, here

Client("pycurl", title="PycURL (libcurl, GnuTLS)", packages="python3-pycurl", quick=True,
       files={"etc/world/send.py": here("pycurl_send.txt")}, send="python3 -I /etc/world/send.py")
