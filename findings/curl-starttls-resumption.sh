#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# curl 7.88.1 (Debian 12, 7.88.1-10+deb12u15, OpenSSL) does not resume TLS 1.3 sessions after STARTTLS.
#
# One run keeps the TLS sessions of its transfers (--no-sessionid turns that off) and offers them again to the same
# server. With smtps:// it does, and with smtp:// and STARTTLS in TLS 1.2. In TLS 1.3 the ticket comes behind the
# handshake; by then the connection has become one of smtps, and the session is kept under that name. The next transfer
# looks for it under smtp, and finds none. Each then has a full handshake.
#
# Seen (two transfers in one run, on two connections; whether the second was resumed):
#         smtps://                 TLS 1.2: yes   TLS 1.3: yes
#         smtp:// and STARTTLS     TLS 1.2: yes   TLS 1.3: no
#
# Needs apt, openssl and python3; installs nothing: the packages are unpacked in a temporary folder.
# Exit code 0: still so. Any other: it behaves otherwise, or could not be run.
set -euo pipefail
version=7.88.1-10+deb12u15
wanted=("curl=$version" "libcurl4=$version")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder"/{debs,layer}
# These, even if installed, and what they need that is not.
mapfile -t needed < <(apt-get --simulate --no-install-recommends install "${wanted[@]}" |
  sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -vxE 'curl|libcurl4')
(cd "$folder/debs" && apt-get -q -o APT::Sandbox::User=root download "${wanted[@]}" "${needed[@]}" >/dev/null) || exit 1
for deb in "$folder"/debs/*.deb; do dpkg-deb -x "$deb" "$folder/layer"; done
libraries=$(dirname "$(find "$folder/layer/usr/lib" -name libcurl.so.4)")
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost -keyout "$folder/key" -out "$folder/certificate" 2>/dev/null
printf 'Subject: hello\r\n\r\nHello.\r\n' >"$folder/message"

cat >"$folder/run.py" <<'SERVER'
import os
import socket
import ssl
import subprocess
import sys
import threading

folder, curl, libraries = sys.argv[1:]


def serve(connection, context, implicit, resumed):
    """One session; notes whether its TLS session was resumed."""
    def seal():
        sealed = context.wrap_socket(connection, server_side=True)
        resumed.append(sealed.session_reused)
        return sealed.makefile("rwb")

    stream = seal() if implicit else connection.makefile("rwb")

    def say(text):
        stream.write(text + b"\r\n")
        stream.flush()

    say(b"220 mx.example.test ESMTP")
    while line := stream.readline():
        verb = line.split()[0].upper()
        if verb == b"EHLO":
            say(b"250-mx.example.test\r\n250 STARTTLS")
        elif verb == b"STARTTLS":
            say(b"220 go ahead")
            stream = seal()
        elif verb == b"DATA":
            say(b"354 go ahead")
            while stream.readline() not in (b".\r\n", b""):
                pass
            say(b"250 stored")
        elif verb == b"QUIT":
            say(b"221 bye")
            return
        else:
            say(b"250 ok")


def accept(listener, *more):
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0], *more), daemon=True).start()


def two_transfers(implicit, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/certificate", f"{folder}/key")
    context.minimum_version = context.maximum_version = version
    resumed, listener = [], socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=accept, args=(listener, context, implicit, resumed), daemon=True).start()
    url = f"{'smtps' if implicit else 'smtp'}://localhost:{listener.getsockname()[1]}"
    transfer = ["--ipv4", "--ssl-reqd", "--cacert", f"{folder}/certificate", "--mail-from", "alice@example.com",
                "--mail-rcpt", "bob@example.test", "--upload-file", f"{folder}/message", url]
    # Bound to an address, the second does not use the first one's connection.
    subprocess.run(["timeout", "20", curl, "-sS", *transfer, "--next", "--interface", "127.0.0.1", *transfer], check=True,
                   env={**os.environ, "LD_LIBRARY_PATH": libraries})
    print("smtps://" if implicit else "smtp:// and STARTTLS", version.name, "resumed:", resumed)
    return resumed


NO, YES = [False, False], [False, True]
as_seen = (two_transfers(True, ssl.TLSVersion.TLSv1_2) == YES and two_transfers(True, ssl.TLSVersion.TLSv1_3) == YES
           and two_transfers(False, ssl.TLSVersion.TLSv1_2) == YES and two_transfers(False, ssl.TLSVersion.TLSv1_3) == NO)
sys.exit(0 if as_seen else "not what was seen before")
SERVER
LD_LIBRARY_PATH=$libraries "$folder/layer/usr/bin/curl" --version | head -n 1
python3 "$folder/run.py" "$folder" "$folder/layer/usr/bin/curl" "$libraries"
echo "as before: no TLS 1.3 session is resumed after STARTTLS"
