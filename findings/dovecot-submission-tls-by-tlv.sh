#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Dovecot 2.3.19.1 submission (Debian 12, 1:2.3.19.1+dfsg1-2.1+deb12u7) lets nobody log in behind a TLS proxy that
# sends PROXY headers, unless they are of version 2 and say in a TLV that the client has TLS.
#
# With disable_plaintext_auth=yes, its default, a password is taken in secured sessions only. Of a connection with
# haproxy=yes it believes the header: PP2_TYPE_SSL (specification, section 2.2.6) with the bit PP2_CLIENT_SSL is TLS.
# Version 1 has no room for that, and HAProxy's send-proxy-v2 leaves it out (send-proxy-v2-ssl has it). That the proxy
# is trusted (haproxy_trusted_networks) and comes over the loopback interface does not count. The address in the header
# is taken, and EHLO has the word AUTH, but with no mechanism, so all looks well until somebody logs in.
#
# Seen (client 192.0.2.1, server 192.0.2.2 in the header):
#         version 1                                  EHLO: "250-AUTH "        C: AUTH PLAIN   S: 523 5.7.10 ...
#         version 2                                  EHLO: "250-AUTH "        C: AUTH PLAIN   S: 523 5.7.10 ...
#         version 2, PP2_TYPE_SSL with client=0      EHLO: "250-AUTH "        C: AUTH PLAIN   S: 523 5.7.10 ...
#         version 2, PP2_TYPE_SSL, PP2_CLIENT_SSL    EHLO: "250-AUTH PLAIN"   C: AUTH PLAIN   S: 334
#
# Needs root, apt, python3 and unshare; installs nothing: the packages are unpacked in a temporary folder.
# Exit code 0: still so. Any other: it behaves otherwise, or could not be run.
set -euo pipefail
version=1:2.3.19.1+dfsg1-2.1+deb12u7
wanted=("dovecot-core=$version" "dovecot-submissiond=$version")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder"/{debs,root,layer/etc/dovecot}
# These, even if installed, and what they need that is not.
mapfile -t needed < <(apt-get --simulate --no-install-recommends install "${wanted[@]}" |
  sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -vxE 'dovecot-core|dovecot-submissiond')
(cd "$folder/debs" && apt-get -q -o APT::Sandbox::User=root download "${wanted[@]}" "${needed[@]}" >/dev/null) || exit 1
for deb in "$folder"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder/layer" --keep-directory-symlink
done
for user in dovecot:61001 dovenull:61002; do
  printf '%s:x:%s:%s::/nonexistent:/usr/sbin/nologin\n' "${user%:*}" "${user#*:}" "${user#*:}"
done | cat <(grep -vE '^dove(cot|null):' /etc/passwd) - >"$folder/layer/etc/passwd"
printf 'dovecot:x:61001:\ndovenull:x:61002:\n' |
  cat <(grep -vE '^dove(cot|null):' /etc/group) - >"$folder/layer/etc/group"
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$folder/layer/etc/dovecot/dovecot.conf" <<CONFIGURATION
protocols = submission
log_path = /dev/stderr
ssl = no
hostname = mx.example.test
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=dovecot gid=dovecot home=/run/mail
}
service submission-login {
  inet_listener submission {
    address = 127.0.0.1
    port = $port
    haproxy = yes
  }
}
haproxy_trusted_networks = 127.0.0.1/32
submission_relay_host = 127.0.0.1
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
export LD_LIBRARY_PATH=/usr/lib/dovecot
timeout 30 dovecot -F
RUN
setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child sh "$folder/run" >"$folder/log" 2>&1 &
server=$!
trap 'kill -9 $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -rf "$folder"' EXIT

python3 - "$port" <<'CLIENT' || { cat "$folder/log"; exit 1; }
import socket
import struct
import sys
import time

TCP4, PP2_TYPE_SSL, PP2_SUBTYPE_SSL_VERSION, PP2_CLIENT_SSL = 0x11, 0x20, 0x21, 0x01
FROM_TO = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2") + struct.pack("!HH", 40000, 587)


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def version2(more=b""):
    block = FROM_TO + more
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x21, TCP4, len(block)) + block


NOT_VERIFIED = struct.pack("!I", 1)  # no client certificate
NO_TLS = tlv(PP2_TYPE_SSL, bytes([0]) + NOT_VERIFIED)
TLS = tlv(PP2_TYPE_SSL, bytes([PP2_CLIENT_SSL]) + NOT_VERIFIED + tlv(PP2_SUBTYPE_SSL_VERSION, b"TLSv1.3"))


def connect():
    for _ in range(100):  # until it listens
        try:
            return socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
        except ConnectionRefusedError:
            time.sleep(0.1)
    sys.exit("it does not listen")


def offers_and_reply(what, header):
    """What the EHLO reply has of AUTH, and the code of the reply to AUTH."""
    with connect() as connection:
        stream = connection.makefile("rwb")

        def say(data):
            stream.write(data)
            stream.flush()
            lines = [stream.readline().decode().rstrip("\r\n")]
            while lines[-1][3:4] == "-":
                lines.append(stream.readline().decode().rstrip("\r\n"))
            return lines

        if not say(header)[0].startswith("220 "):
            sys.exit("no greeting")
        capabilities = say(b"EHLO client.example\r\n")
        if not capabilities[-1].startswith("250 "):
            sys.exit("no EHLO")
        offers = [line for line in capabilities if line[4:8] == "AUTH"]
        reply = say(b"AUTH PLAIN\r\n")[-1]
        print(f"{what}: EHLO: {offers}  C: AUTH PLAIN  S: {reply}")
        return [line[4:].split() for line in offers], reply[:4]


REFUSED, TAKEN = ([["AUTH"]], "523 "), ([["AUTH", "PLAIN"]], "334 ")
as_seen = (offers_and_reply("version 1", b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 587\r\n") == REFUSED
           and offers_and_reply("version 2", version2()) == REFUSED
           and offers_and_reply("version 2, PP2_TYPE_SSL with client=0", version2(NO_TLS)) == REFUSED
           and offers_and_reply("version 2, PP2_TYPE_SSL, PP2_CLIENT_SSL", version2(TLS)) == TAKEN)
sys.exit(0 if as_seen else "not what was seen before")
CLIENT
echo "as before: a password is taken only if a TLV tells of TLS"
