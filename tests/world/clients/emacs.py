# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client, here

Client("emacs", title="Emacs smtpmail", packages="emacs-nox", rewrites="to x-folded", adds="user-agent lines",
       files={"etc/world/send.el": here("emacs_send.el")}, send="""
mkdir -p $HOME/.emacs.d
emacs-nox --batch --quick --load /etc/world/send.el
""")
