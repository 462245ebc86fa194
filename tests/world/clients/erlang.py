# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client, here

Client("erlang", title="Erlang ssl", packages="erlang-ssl erlang-base", files={"etc/world/send.escript": here("erlang_send.txt")},
       send="/usr/lib/erlang/bin/escript /etc/world/send.escript")
