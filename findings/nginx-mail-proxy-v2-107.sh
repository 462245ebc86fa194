#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The mail proxy of nginx 1.22.1 (Debian 12, 1.22.1-9+deb12u11) takes a PROXY header of version 2 up to 107 bytes.
#
# 107 bytes is the longest line of version 1. A header of version 2 has a length of 16 bits; the receiver must skip as
# many bytes as it says (specification, section 2.2), and the sample in section 9 has room for 232, since addresses of
# AF_UNIX alone take 216. TLVs (client's TLS, server name) come on top. A proxy that tells of TLS gets through by IPv4
# and with short names, and is cut off by IPv6 or with longer ones.
#
# Seen:   107 bytes (IPv4 addresses, padding in a PP2_TYPE_NOOP TLV)   S: 220 ...
#         108 bytes (the same, one byte more)                          S: nothing, it closes
#         232 bytes (AF_UNIX addresses, no TLV)                        S: nothing, it closes
#         In its log: header is too large while reading PROXY protocol
#
# Needs root, apt, python3 and unshare; installs nothing: the packages are unpacked in a temporary folder.
# Exit code 0: still so. Any other: it behaves otherwise, or could not be run.
set -euo pipefail
version=1.22.1-9+deb12u11
wanted=("nginx=$version" "nginx-common=$version" "libnginx-mod-mail=$version")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder"/{debs,root,layer/etc/nginx}
# These, even if installed, and what they need that is not.
mapfile -t needed < <(apt-get --simulate --no-install-recommends install "${wanted[@]}" |
  sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -vxE 'nginx|nginx-common|libnginx-mod-mail')
(cd "$folder/debs" && apt-get -q -o APT::Sandbox::User=root download "${wanted[@]}" "${needed[@]}" >/dev/null) || exit 1
for deb in "$folder"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder/layer" --keep-directory-symlink
done
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
# It greets without asking anybody where to send the mail.
cat >"$folder/layer/etc/nginx/test.conf" <<CONFIGURATION
daemon off;
master_process off;
error_log stderr info;
pid /run/nginx.pid;
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
events {}
mail {
  server_name mx.example.test;
  auth_http 127.0.0.1:9/;
  server {
    listen 127.0.0.1:$port proxy_protocol;
    protocol smtp;
    smtp_auth none;
  }
}
CONFIGURATION

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
mkdir -p /var/lib/nginx
timeout 30 nginx -c /etc/nginx/test.conf -e stderr
RUN
setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child sh "$folder/run" >"$folder/log" 2>&1 &
server=$!
trap 'kill -9 $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -rf "$folder"' EXIT

python3 - "$port" <<'CLIENT' || { cat "$folder/log"; exit 1; }
import socket
import struct
import sys
import time

TCP4, UNIX = 0x11, 0x31
FROM_TO = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2") + struct.pack("!HH", 40000, 25)


def header(family, block):
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x21, family, len(block)) + block


def padded(size):
    """For IPv4, with a PP2_TYPE_NOOP that makes it so long."""
    padding = bytes(size - 16 - len(FROM_TO) - 3)
    return header(TCP4, FROM_TO + struct.pack("!BH", 0x04, len(padding)) + padding)


def connect():
    for _ in range(100):  # until it listens
        try:
            return socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
        except ConnectionRefusedError:
            time.sleep(0.1)
    sys.exit("it does not listen")


def greeting(what, data):
    with connect() as connection:
        connection.sendall(data)
        try:
            line = connection.makefile("rb").readline()
        except ConnectionResetError:
            line = b""
        print(f"{len(data)} bytes, {what}: S:", line.decode().strip() or "nothing, it closes")
        return line


as_seen = (greeting("IPv4 and a NOOP", padded(107)).startswith(b"220 ")
           and greeting("IPv4 and a NOOP", padded(108)) == b""
           and greeting("AF_UNIX addresses", header(UNIX, b"/run/client".ljust(108, b"\0") * 2)) == b"")
sys.exit(0 if as_seen else "not what was seen before")
CLIENT
said="header is too large while reading PROXY protocol"
[ "$(grep -c "$said" "$folder/log")" = 2 ] || { cat "$folder/log"; exit 1; }
echo "its log, twice: $said"
echo "as before: a header over 107 bytes is refused"
