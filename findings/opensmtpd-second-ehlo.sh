#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# OpenSMTPD 6.8.0p2 (Debian 12, 6.8.0p2-4+b4) refuses a second EHLO.
#
# RFC 5321 4.1.4 lets a client send EHLO again later in a session: the server then clears its state, as for RSET.
# A proxy that ends TLS in front of OpenSMTPD and keeps its connection through STARTTLS passes the client's second
# EHLO on (RFC 3207 4.2 wants one), and gets no further.
#
# Seen:   S: 220 ...   C: EHLO client.example   S: 250-... 250 HELP
#         C: EHLO client.example                S: 503 5.5.1 Invalid command: Already identified
#
# Needs root, apt, python3 and unshare; installs nothing: the package is unpacked in a temporary folder.
# Exit code 0: still so. Any other: it behaves otherwise, or could not be run.
set -euo pipefail
version=6.8.0p2-4+b4
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder"/{debs,root,layer/etc}
mapfile -t packages < <(apt-get --simulate --no-install-recommends install "opensmtpd=$version" | sed -n 's/^Inst \([^ ]*\) .*/\1/p')
(cd "$folder/debs" && apt-get -q -o APT::Sandbox::User=root download "${packages[@]/#opensmtpd/opensmtpd=$version}" >/dev/null)
for deb in "$folder"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder/layer" --keep-directory-symlink
done
for user in opensmtpd:61001 opensmtpq:61002; do
  printf '%s:x:%s:%s::/var/empty:/usr/sbin/nologin\n' "${user%:*}" "${user#*:}" "${user#*:}"
done | cat /etc/passwd - >"$folder/layer/etc/passwd"
printf 'opensmtpd:x:61001:\nopensmtpq:x:61002:\n' | cat /etc/group - >"$folder/layer/etc/group"
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'listen on 127.0.0.1 port %s hostname mx.example.test\naction "local" mbox\nmatch from any for any action "local"\n' "$port" >"$folder/smtpd.conf"

# With mounts and process ids of its own, so that nothing is left over; ends with this script.
cat >"$folder/run" <<RUN
set -e
mount -t tmpfs tmpfs $folder/root
for part in usr etc var; do
  mkdir -p $folder/root/\$part $folder/root/work-\$part
  mkdir -p $folder/layer/\$part
  mount -t overlay -o lowerdir=$folder/layer/\$part:/\$part,upperdir=$folder/root/\$part,workdir=$folder/root/work-\$part overlay /\$part
done
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /var/empty /var/spool/smtpd /run/opensmtpd
chmod 711 /var/spool/smtpd
timeout 30 smtpd -d -f $folder/smtpd.conf
RUN
setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child sh "$folder/run" >"$folder/log" 2>&1 &
server=$!
trap 'kill -9 $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -rf "$folder"' EXIT

python3 - "$port" <<'CLIENT' || { cat "$folder/log"; exit 1; }
import socket
import sys
import time

for _ in range(100):  # until it listens
    try:
        connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
        break
    except ConnectionRefusedError:
        time.sleep(0.1)
else:
    sys.exit("it does not listen")
stream = connection.makefile("rwb")


def reply():
    lines = [stream.readline()]
    while lines[-1][3:4] == b"-":
        lines.append(stream.readline())
    print("S:", b" | ".join(line.strip() for line in lines).decode())
    return lines[-1]


def say(text):
    print("C:", text)
    stream.write(text.encode() + b"\r\n")
    stream.flush()
    return reply()


greeting = reply()
first = say("EHLO client.example")
second = say("EHLO client.example")
say("QUIT")
as_seen = greeting.startswith(b"220 ") and first.startswith(b"250 ") and second.startswith(b"503 5.5.1 ")
sys.exit(0 if as_seen else "not what was seen before")
CLIENT
echo "as before: the second EHLO is refused"
