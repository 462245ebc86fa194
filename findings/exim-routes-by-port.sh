#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Exim 4.96 (Debian 12, 4.96-15+deb12u11) hands mail to the wrong server if two servers have one host name or address and
# differ by their ports.
#
# A message that could not be delivered waits under the name of its host (the wait-TRANSPORT hints database). When another
# message has been delivered to a host of that name, the connection is passed on to those that wait for it (specification,
# "Multiple messages on a single connection"). The port, which route_list sets for each host, is not part of the name:
# mail for two.example goes over the connection to the server of one.example, which here takes it. Exim logs it with an
# asterisk, as delivered. Each server would have got its own mail had none of it had to wait.
#
# Seen (two messages for each domain that found nobody there at first; then both servers were there):
#         at the server of one.example: one.example one.example two.example two.example
#         at the server of two.example:
#         log:   => bob@two.example R=all T=onward H=127.0.0.1 [127.0.0.1]* C="250 stored"
# With two.example at 127.0.0.2 and nothing else changed, each server gets its own two.
#
# Needs root, apt, python3 and unshare; installs nothing: the package is unpacked in a temporary folder.
# Exit code 0: still so. Any other: it behaves otherwise, or could not be run.
set -euo pipefail
version=4.96-15+deb12u11
wanted=("exim4-base=$version" "exim4-config=$version" "exim4-daemon-light=$version")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder"/{debs,root,layer/etc/exim4}
chmod 755 "$folder"
# These, even if installed, and what they need that is not.
mapfile -t needed < <(apt-get --simulate --no-install-recommends install "${wanted[@]}" |
  sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -vxE 'exim4-(base|config|daemon-light)')
(cd "$folder/debs" && apt-get -q -o APT::Sandbox::User=root download "${wanted[@]}" "${needed[@]}" >/dev/null) || exit 1
for deb in "$folder"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder/layer" --keep-directory-symlink
done
printf 'Debian-exim:x:61001:61001::/nonexistent:/usr/sbin/nologin\n' |
  cat <(grep -v '^Debian-exim:' /etc/passwd) - >"$folder/layer/etc/passwd"
printf 'Debian-exim:x:61001:\n' | cat <(grep -v '^Debian-exim:' /etc/group) - >"$folder/layer/etc/group"

# run SECOND: two servers, the second one at this address. Prints what came to each of them.
run() {
  local second=$1 ports here
  here=$folder/$second
  mkdir -p "$here/spool" "$folder/root"
  read -ra ports < <(python3 -c '
import socket
found = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(one.getsockname()[1] for one in found))')
  cat >"$folder/layer/etc/exim4/exim4.conf" <<CONFIGURATION
primary_hostname = sender.example
spool_directory = $here/spool
log_file_path = $here/%slog
keep_environment =
daemon_smtp_ports =
never_users =
begin routers
all:
  driver = manualroute
  route_list = one.example 127.0.0.1::${ports[0]} byname ; two.example $second::${ports[1]} byname
  self = send
  transport = onward
begin transports
onward:
  driver = smtp
  allow_localhost
  hosts_avoid_tls = *
begin retry
* * F,1h,1s
CONFIGURATION
  # With mounts and process ids of its own, so that nothing is left over.
  cat >"$here/run" <<RUN
set -e
mount -t tmpfs -o mode=755 tmpfs $folder/root
for part in usr etc var; do
  mkdir -p $folder/root/\$part $folder/root/work-\$part $folder/layer/\$part
  mount -t overlay -o lowerdir=$folder/layer/\$part:/\$part,upperdir=$folder/root/\$part,workdir=$folder/root/work-\$part overlay /\$part
done
mount -t proc proc /proc
chown -R Debian-exim: $here
exec python3 $folder/servers.py $second ${ports[*]}
RUN
  setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child sh "$here/run" || { cat "$here/mainlog" >&2; return 1; }
  grep -E ' [=-]> .*\*' "$here/mainlog" | sed 's/^[^=]*/    log: /' >&2 || true
}

cat >"$folder/servers.py" <<'SERVERS'
import socketserver
import subprocess
import sys
import threading
import time

second, *ports = sys.argv[1:]
DOMAINS = {int(ports[0]): "one.example", int(ports[1]): "two.example"}
came = {domain: [] for domain in DOMAINS.values()}


class Server(socketserver.StreamRequestHandler):
    """Takes all mail."""

    def handle(self):
        mine = came[DOMAINS[self.server.server_address[1]]]
        self.wfile.write(b"220 mx.example ESMTP\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"RCPT":
                mine.append(line[line.index(b"@") + 1:line.index(b">")].decode())
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                self.wfile.write(b"250 stored\r\n")
            elif verb == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")


def exim(*words, text=""):
    subprocess.run(["exim4", *words], input=text, text=True, check=True, timeout=60)


for domain in ("one.example", "two.example") * 2:  # nobody is there yet
    exim("-odf", "-f", "alice@sender.example", f"bob@{domain}", text="Subject: test\n\nHello.\n")
time.sleep(2)  # until it tries again
for address, port in zip(("127.0.0.1", second), DOMAINS):
    server = socketserver.ThreadingTCPServer((address, port), Server, bind_and_activate=False)
    server.allow_reuse_address = server.daemon_threads = True
    server.server_bind()
    server.server_activate()
    threading.Thread(target=server.serve_forever, daemon=True).start()
deadline = time.monotonic() + 30
while sum(map(len, came.values())) < 4 and time.monotonic() < deadline:
    exim("-q")
    time.sleep(1)
for domain, recipients in came.items():
    print(" ".join((f"at the server of {domain}:", *sorted(recipients))))
SERVERS

apart=$(run 127.0.0.2)
together=$(run 127.0.0.1)
printf 'two addresses:\n%s\none address, two ports:\n%s\n' "$apart" "$together"
own=$'at the server of one.example: one.example one.example\nat the server of two.example: two.example two.example'
[ "$apart" = "$own" ] || { echo "not even with two addresses does each get its own" >&2; exit 1; }
[ "$together" != "$own" ] || { echo "each server got its own mail" >&2; exit 1; }
[ "$(grep -o ' \(one\|two\)\.example\>' <<<"$together" | wc -l)" = 6 ] || { echo "not all messages came" >&2; exit 1; }
echo "as before: with one address mail comes to the server of another domain"
