# SPDX-License-Identifier: GPL-3.0-or-later
from client import BOTH, Client, here

Client("go", title="Go net/smtp", packages="golang-go", at_once=True, resumes=BOTH, quick=True, seconds=90,
       files={"etc/world/send.go": here("send.go.txt")},
       prepare="GOCACHE=$HOME/cache GO111MODULE=off /usr/lib/go-1.*/bin/go build -o $HOME/send /etc/world/send.go\n",
       send="$HOME/send")
