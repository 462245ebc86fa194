#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# libunbound 1.17.1 (Debian 12, 1.17.1-2+deb12u4) does not ask the name server that it was told to forward to about names
# below test.: it says by itself that there are none.
#
# A library that is given one forwarder looks like a stub resolver, and getaddrinfo() with the same server in resolv.conf
# finds such names. But ub_ctx has the default zones of the server unbound (RFC 6761 among them), and these are answered
# before anything is forwarded. The setting unblock-lan-zones does not help; ub_ctx_zone_add(ctx, "test.", "transparent")
# does, and must come behind all other settings, because it ends them.
#
# Seen (dnsmasq 2.90 as the name server, which has an address for all of these; rcode 0: found, 3: no such name):
#         mail.corp.example       default 0   unblock-lan-zones 0   zone added 0
#         mail.corp.test          default 3   unblock-lan-zones 3   zone added 0
#
# Needs apt and python3; installs nothing: the packages are unpacked in a temporary folder.
# Exit code 0: still so. Any other: it behaves otherwise, or could not be run.
set -euo pipefail
version=1.17.1-2+deb12u4
wanted=("python3-unbound=$version" "libunbound8=$version" "dnsmasq-base=2.90-4~deb12u2")
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
mkdir -p "$folder"/{debs,layer}
# These, even if installed, and what they need that is not.
mapfile -t needed < <(apt-get --simulate --no-install-recommends install "${wanted[@]}" |
  sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -vxE 'python3-unbound|libunbound8|dnsmasq-base')
(cd "$folder/debs" && apt-get -q -o APT::Sandbox::User=root download "${wanted[@]}" "${needed[@]}" >/dev/null) || exit 1
for deb in "$folder"/debs/*.deb; do dpkg-deb -x "$deb" "$folder/layer"; done
LD_LIBRARY_PATH=$(find "$folder/layer/usr/lib" -name '*.so.*' -printf '%h\n' | sort -u | paste -sd :)
export LD_LIBRARY_PATH

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/layer/usr/sbin/dnsmasq" --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --user= --group= --pid-file= \
  --listen-address=127.0.0.1 --bind-interfaces --port="$port" \
  --address=/mail.corp.example/192.0.2.1 --address=/mail.corp.test/192.0.2.1 >"$folder/log" 2>&1 &
server=$!

cat >"$folder/ask.py" <<'ASK'
import socket
import struct
import sys
import time

import unbound

port = sys.argv[1]


def by_library(name, *settings):
    context = unbound.ub_ctx()
    context.set_fwd(f"127.0.0.1@{port}")
    context.set_option("do-not-query-localhost:", "no")
    if "unblock-lan-zones" in settings:
        context.set_option("unblock-lan-zones:", "yes")
    if "zone" in settings:
        context.zone_add("test.", "transparent")
    status, result = context.resolve(name, unbound.RR_TYPE_A, unbound.RR_CLASS_IN)
    assert status == 0, status
    return result.rcode


def by_hand(name):
    """The name server's own answer: its rcode."""
    query = struct.pack("!6H", 1, 0x100, 1, 0, 0, 0)
    query += b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0" + struct.pack("!2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(query, ("127.0.0.1", int(port)))
        return client.recv(512)[3] & 15


for _ in range(50):
    try:
        by_hand("mail.corp.test")
        break
    except OSError:
        time.sleep(0.1)
seen = {}
for name in ("mail.corp.example", "mail.corp.test"):
    seen[name] = (by_hand(name), by_library(name), by_library(name, "unblock-lan-zones"), by_library(name, "zone"))
    print(f"{name:20} name server {seen[name][0]}   default {seen[name][1]}   unblock-lan-zones {seen[name][2]}"
          f"   zone added {seen[name][3]}")
sys.exit(seen != {"mail.corp.example": (0, 0, 0, 0), "mail.corp.test": (0, 3, 3, 0)})
ASK
PYTHONPATH=$(dirname "$(find "$folder/layer/usr/lib/python3" -name unbound.py)") /usr/bin/python3 "$folder/ask.py" "$port"
echo "libunbound still answers names below test. by itself"
