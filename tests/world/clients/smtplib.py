# SPDX-License-Identifier: GPL-3.0-or-later
from client import BOTH, Client, here

Client("smtplib", title="Python smtplib", packages="python3", at_once=True, resumes=BOTH, quick=True,
       files={"etc/world/send.py": here("smtplib_send.txt")}, send="python3 -I /etc/world/send.py")
