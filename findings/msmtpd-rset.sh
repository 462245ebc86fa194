#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# msmtpd 1.8.23 (Debian 12, msmtp-mta 1.8.23-1) ends the session at RSET and NOOP, and at QUIT within a transaction.
#
# RFC 5321 lets a client send RSET (4.1.1.5), NOOP (4.1.1.9) and QUIT (4.1.1.10) at any time; RSET and NOOP are
# answered 250, QUIT 221. Here only the commands that come next in turn are known, and anything else gets 500 and the
# end of the session. A client or proxy that clears a transaction with RSET before the next message, or asks with NOOP
# whether the server is still there, loses the connection by it.
#
# Seen:   C: EHLO, RSET          S: 500 Expected MAIL FROM:<addr> or QUIT    and closes
#         C: EHLO, NOOP          S: 500 Expected MAIL FROM:<addr> or QUIT    and closes
#         C: EHLO, MAIL, RSET    S: 500 Expected RCPT TO:<addr>              and closes
#         C: EHLO, MAIL, QUIT    S: 500 Expected RCPT TO:<addr>              and closes
#         C: EHLO, QUIT          S: 221 Bye                                  and closes
#
# Needs root, apt, python3 and unshare; installs nothing: the packages are unpacked in a temporary folder.
# Exit code 0: still so. Any other: it behaves otherwise, or could not be run.
set -euo pipefail
wanted=(msmtp-mta=1.8.23-1)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder"/{debs,root,layer}
# It, even if installed, and what it needs that is not.
mapfile -t needed < <(apt-get --simulate --no-install-recommends install "${wanted[@]}" |
  sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -vx msmtp-mta)
(cd "$folder/debs" && apt-get -q -o APT::Sandbox::User=root download "${wanted[@]}" "${needed[@]}" >/dev/null) || exit 1
for deb in "$folder"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder/layer" --keep-directory-symlink
done
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')

# With mounts and process ids of its own, so that nothing is left over; ends with this script.
cat >"$folder/run" <<RUN
set -e
mount -t tmpfs -o mode=755 tmpfs $folder/root
for part in usr etc var; do
  mkdir -p $folder/root/\$part $folder/root/work-\$part
  mkdir -p $folder/layer/\$part
  mount -t overlay -o lowerdir=$folder/layer/\$part:/\$part,upperdir=$folder/root/\$part,workdir=$folder/root/work-\$part overlay /\$part
done
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
timeout 30 msmtpd --interface=127.0.0.1 --port=$port --log=/dev/stderr --command=/bin/false
RUN
setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child sh "$folder/run" >"$folder/log" 2>&1 &
server=$!
trap 'kill -9 $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -rf "$folder"' EXIT

python3 - "$port" <<'CLIENT' || { cat "$folder/log"; exit 1; }
import socket
import sys
import time

EHLO, MAIL = "EHLO client.example", "MAIL FROM:<alice@example.com>"


def connect():
    for _ in range(100):  # until it listens
        try:
            return socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
        except ConnectionRefusedError:
            time.sleep(0.1)
    sys.exit("it does not listen")


def last_reply(*commands):
    """All others must be taken, and it must close after the last."""
    with connect() as connection:
        stream = connection.makefile("rwb")
        replies = [stream.readline().decode().strip()]
        for command in commands:
            stream.write(command.encode() + b"\r\n")
            stream.flush()
            replies.append(stream.readline().decode().strip())
        if any(reply[:4] not in ("220 ", "250 ") for reply in replies[:-1]):
            sys.exit(f"refused already: {replies}")
        closes = stream.read() == b""  # waits for it
        print("C:", ", ".join(commands), " S:", replies[-1], "and closes" if closes else "and more")
        return replies[-1] if closes else ""


as_seen = (last_reply(EHLO, "RSET") == "500 Expected MAIL FROM:<addr> or QUIT"
           and last_reply(EHLO, "NOOP") == "500 Expected MAIL FROM:<addr> or QUIT"
           and last_reply(EHLO, MAIL, "RSET") == "500 Expected RCPT TO:<addr>"
           and last_reply(EHLO, MAIL, "QUIT") == "500 Expected RCPT TO:<addr>"
           and last_reply(EHLO, "QUIT").startswith("221 "))
sys.exit(0 if as_seen else "not what was seen before")
CLIENT
echo "as before: RSET ends the session"
