#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# sendmail 8.17.1.9 (Debian 12, 8.17.1.9-2+deb12u2, OpenSSL 3.0) agrees on keys with P-256 only, in TLS 1.3 as well.
#
# As a server it sets one curve for ECDHE (SSL_CTX_set_tmp_ecdh), which for OpenSSL since 1.1 is the list of groups. A client
# that offers X25519 or P-384 and not P-256 gets no TLS, although OpenSSL itself knows all three. One that offers P-256, but
# has sent a key share for X25519 first, as nearly all do today, gets a HelloRetryRequest, which costs it a round trip each time.
#
# Seen:   openssl s_client -starttls smtp -groups P-256          TLSv1.3, ECDH, prime256v1, 256 bits
#         openssl s_client -starttls smtp -groups X25519:P-256   the same, after a HelloRetryRequest
#         openssl s_client -starttls smtp -groups X25519         alert handshake failure
#         openssl s_client -starttls smtp -groups P-384          alert handshake failure
#
# Needs root, apt, openssl, m4, python3 and unshare; installs nothing: the packages are unpacked in a temporary folder.
# Exit code 0: still so. Any other: it behaves otherwise, or could not be run.
set -euo pipefail
version=8.17.1.9-2+deb12u2
wanted=("sendmail-base=$version" "sendmail-bin=$version" "sendmail-cf=$version")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
mkdir -p "$folder"/{debs,root,layer/etc/mail/tls}
# These, even if installed, and what they need that is not.
mapfile -t needed < <(apt-get --simulate --no-install-recommends install "${wanted[@]}" |
  sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -vxE 'sendmail-(base|bin|cf)')
(cd "$folder/debs" && apt-get -q -o APT::Sandbox::User=root download "${wanted[@]}" "${needed[@]}" >/dev/null) || exit 1
for deb in "$folder"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder/layer" --keep-directory-symlink
done
for user in smmta:61001 smmsp:61002; do
  printf '%s:x:%s:%s::/nonexistent:/usr/sbin/nologin\n' "${user%:*}" "${user#*:}" "${user#*:}"
done | cat <(grep -vE '^smm(ta|sp):' /etc/passwd) - >"$folder/layer/etc/passwd"
printf 'smmta:x:61001:\nsmmsp:x:61002:\n' | cat <(grep -vE '^smm(ta|sp):' /etc/group) - >"$folder/layer/etc/group"
# Or it waits a minute for its own name.
printf '127.0.0.1 localhost\n127.0.1.1 mx.example.test %s\n' "$(hostname)" >"$folder/layer/etc/hosts"
printf 'hosts files\naliases files\n' >"$folder/layer/etc/mail/service.switch"
: >"$folder/layer/etc/aliases"
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=mx.example.test -days 2 \
  -keyout "$folder/layer/etc/mail/tls/key.pem" -out "$folder/layer/etc/mail/tls/cert.pem" 2>/dev/null
chmod 600 "$folder/layer/etc/mail/tls/key.pem"
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$folder/layer/etc/mail/test.mc" <<MACROS
OSTYPE(\`debian')dnl
define(\`confDOMAIN_NAME', \`mx.example.test')dnl
define(\`confPID_FILE', \`/run/sendmail.pid')dnl
define(\`confHOST_STATUS_DIRECTORY', \`')dnl
define(\`confCACERT_PATH', \`/etc/mail/tls')dnl
define(\`confCACERT', \`/etc/mail/tls/cert.pem')dnl
define(\`confSERVER_CERT', \`/etc/mail/tls/cert.pem')dnl
define(\`confSERVER_KEY', \`/etc/mail/tls/key.pem')dnl
FEATURE(\`no_default_msa')dnl
DAEMON_OPTIONS(\`Family=inet, Name=MTA, Port=$port, Addr=127.0.0.1')dnl
MAILER(\`local')dnl
MAILER(\`smtp')dnl
MACROS

# With mounts and process ids of its own, so that nothing is left over; ends with this script.
cat >"$folder/run" <<RUN
set -e
mount -t tmpfs -o mode=755 tmpfs $folder/root
for part in usr etc var; do
  mkdir -p $folder/root/\$part $folder/root/work-\$part $folder/layer/\$part
  mount -t overlay -o lowerdir=$folder/layer/\$part:/\$part,upperdir=$folder/root/\$part,workdir=$folder/root/work-\$part overlay /\$part
done
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /var/spool/mqueue
cd /usr/share/sendmail/cf
m4 m4/cf.m4 /etc/mail/test.mc >/etc/mail/sendmail.cf
timeout 60 /usr/libexec/sendmail/sendmail -bD -C /etc/mail/sendmail.cf
RUN
setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child sh "$folder/run" >"$folder/log" 2>&1 &
server=$!
trap 'kill -9 $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -rf "$folder"' EXIT
for _ in $(seq 100); do # until it listens
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
  sleep 0.1
done

# offer GROUPS: what came of it, in a line.
offer() {
  local said
  said=$(echo QUIT | timeout 20 openssl s_client -connect "127.0.0.1:$port" -starttls smtp -groups "$1" -msg 2>&1) || true
  printf '%s: %s, ClientHello sent %s time(s)\n' "$1" \
    "$(grep -oE '^Server Temp Key: .*|alert handshake failure' <<<"$said" | head -n 1)" \
    "$(grep -c '^>>>.*ClientHello' <<<"$said")"
}

found=$(for groups in P-256 X25519:P-256 X25519 P-384; do offer "$groups"; done)
echo "$found"
as_seen='P-256: Server Temp Key: ECDH, prime256v1, 256 bits, ClientHello sent 1 time(s)
X25519:P-256: Server Temp Key: ECDH, prime256v1, 256 bits, ClientHello sent 2 time(s)
X25519: alert handshake failure, ClientHello sent 1 time(s)
P-384: alert handshake failure, ClientHello sent 1 time(s)'
[ "$found" = "$as_seen" ] || { cat "$folder/log"; echo "not what was seen before"; exit 1; }
echo "as before: P-256 or nothing"
