# SPDX-License-Identifier: GPL-3.0-or-later
from client import BOTH, Client, here

Client("erlang", title="Erlang ssl", packages="erlang-ssl erlang-base", at_once=True,
       resumes=BOTH, files={"etc/world/send.escript": here("erlang_send.txt")},
       send="/usr/lib/erlang/bin/escript /etc/world/send.escript")
