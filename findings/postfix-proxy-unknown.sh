#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Postfix 3.7.11 (Debian 12, 3.7.11-0+deb12u1) refuses the line "PROXY UNKNOWN", and so does chasquid 1.11 (1.11-2+b2).
#
# The PROXY protocol's specification, section 2.1, has it for a sender that cannot fill in the addresses; the receiver
# SHOULD accept the connection and use its own addresses, as for LOCAL of version 2. Postfix does that for LOCAL, but
# not here. Older editions told proxies to send the line as a health check; newer ones say that some receivers refuse
# it, and these are two. A proxy that still sends it takes such a server for dead, although mail passes. The line with
# the connection's own addresses is taken by both.
#
# Seen:   to Postfix:   PROXY UNKNOWN                       S: 421 4.3.0 mx.example.test Server local error
#                       PROXY TCP4 127.0.0.1 127.0.0.1 ...  S: 220 ...
#                       version 2, LOCAL                    S: 220 ...
#         to chasquid:  PROXY UNKNOWN                       S: nothing, it closes
#                       PROXY TCP4 127.0.0.1 127.0.0.1 ...  S: 220 ...
#
# Needs root, apt, openssl, python3 and unshare; installs nothing: the packages are unpacked in a temporary folder.
# Exit code 0: still so. Any other: it behaves otherwise, or could not be run.
set -euo pipefail
wanted=(postfix=3.7.11-0+deb12u1 chasquid=1.11-2+b2)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder"/{debs,root,layer/etc/postfix,layer/etc/chasquid}
# Both, even if installed, and what they need that is not.
mapfile -t needed < <(apt-get --simulate --no-install-recommends install "${wanted[@]}" |
  sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -vxE 'postfix|chasquid')
(cd "$folder/debs" && apt-get -q -o APT::Sandbox::User=root download "${wanted[@]}" "${needed[@]}" >/dev/null) || exit 1
for deb in "$folder"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder/layer" --keep-directory-symlink
done
{ grep -v '^postfix:' /etc/passwd; echo 'postfix:x:61001:61001::/var/empty:/usr/sbin/nologin'; } >"$folder/layer/etc/passwd"
{ grep -vE '^(postfix|postdrop):' /etc/group; printf 'postfix:x:61001:\npostdrop:x:61002:\n'; } >"$folder/layer/etc/group"
read -r postfix_port chasquid_port < <(python3 -c '
import socket
both = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(each.getsockname()[1] for each in both))')
cat >"$folder/layer/etc/postfix/main.cf" <<MAIN
compatibility_level = 3.6
queue_directory = /run/queue
data_directory = /run/data
maillog_file = /dev/stdout
myhostname = mx.example.test
inet_interfaces = loopback-only
mydestination =
alias_maps =
local_recipient_maps =
smtpd_peername_lookup = no
disable_dns_lookups = yes
MAIN
cat >"$folder/layer/etc/postfix/master.cf" <<MASTER
127.0.0.1:$postfix_port inet n - n - - smtpd
  -o smtpd_upstream_proxy_protocol=haproxy
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
MASTER
cat >"$folder/layer/etc/chasquid/chasquid.conf" <<CHASQUID
hostname: "mx.example.test"
smtp_address: "127.0.0.1:$chasquid_port"
submission_address: ""
submission_over_tls_address: ""
mail_delivery_agent_bin: "/bin/true"
mail_log_path: "<stderr>"
data_dir: "/run/chasquid"
haproxy_incoming: true
CHASQUID

# With mounts and process ids of their own, so that nothing is left over; ends with this script.
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
mkdir -p /run/queue /run/data /etc/chasquid/certs/mx.example.test /etc/chasquid/domains/example.test
chown postfix /run/data
cd /etc/chasquid/certs/mx.example.test  # it does not start without a certificate
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=mx.example.test \\
  -keyout privkey.pem -out fullchain.pem
cd /
timeout 30 chasquid &
timeout 30 postfix start-fg &
wait
RUN
setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child sh "$folder/run" >"$folder/log" 2>&1 &
servers=$!
trap 'kill -9 $servers 2>/dev/null || true; wait $servers 2>/dev/null || true; rm -rf "$folder"' EXIT

python3 - "$postfix_port" "$chasquid_port" <<'CLIENT' || { cat "$folder/log"; exit 1; }
import socket
import sys
import time

UNKNOWN = b"PROXY UNKNOWN\r\n"
LOCAL = b"\r\n\r\n\0\r\nQUIT\n" + b"\x20\0\0\0"


def connect(port):
    for _ in range(100):  # until it listens
        try:
            return socket.create_connection(("127.0.0.1", port), 10)
        except ConnectionRefusedError:
            time.sleep(0.1)
    sys.exit("it does not listen")


def greeting(name, port, header=None):
    with connect(port) as connection:
        if header is None:
            header = b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n" % (connection.getsockname()[1], port)
        connection.sendall(header)
        try:
            line = connection.makefile("rb").readline()
        except ConnectionResetError:
            line = b""
        print(f"to {name}: {header}\nS:", line.decode().strip() or "nothing, it closes")
        return line


postfix, chasquid = ("Postfix", int(sys.argv[1])), ("chasquid", int(sys.argv[2]))
as_seen = (greeting(*postfix, UNKNOWN).startswith(b"421 4.3.0 ")
           and greeting(*postfix).startswith(b"220 ")
           and greeting(*postfix, LOCAL).startswith(b"220 ")
           and greeting(*chasquid, UNKNOWN) == b""
           and greeting(*chasquid).startswith(b"220 "))
sys.exit(0 if as_seen else "not what was seen before")
CLIENT
echo "as before: PROXY UNKNOWN is refused"
