# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client, here

Client("aiosmtplib", title="Python aiosmtplib", packages="python3-aiosmtplib",
       files={"etc/world/send.py": here("aiosmtplib_send.txt")}, send="/usr/bin/python3 -I /etc/world/send.py")
