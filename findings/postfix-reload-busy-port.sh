#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Postfix 3.7.11 (Debian 12, 3.7.11-0+deb12u1): "postfix reload" with a new service on a port that another program has ends
# all of Postfix, says that all is well, and with maillog_file no log has a word about it.
#
# "postfix reload" only sends a signal. The master process then cannot bind the new service's port, and ends; no mail moves any
# more. It does say "fatal: bind ...". But with maillog_file (Postfix 3.4) all programs log through a socket
# that the master process itself keeps, for the postlogd that it starts. With the master the last line is gone, the one with
# the reason. The log ends as after a reload that worked. Without maillog_file syslog has the reason.
#
# Seen:   maillog_file = /var/log/maillog     postfix reload: exit code 0; then postfix status: not running; no line with "fatal"
#         syslog                              the same, and: fatal: bind 127.0.0.1 port 43309: Address already in use
#         maillog_file, and the port is free  postfix reload: exit code 0; Postfix runs and listens there
#
# Needs root, apt, python3 and unshare; installs nothing: the package is unpacked in a temporary folder.
# Exit code 0: still so. Any other: it behaves otherwise, or could not be run.
set -euo pipefail
wanted=(postfix=3.7.11-0+deb12u1)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder"/{debs,root,dev,layer/etc/postfix}
# It, even if installed, and what it needs that is not.
mapfile -t needed < <(apt-get --simulate --no-install-recommends install "${wanted[@]}" |
  sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -vx postfix)
(cd "$folder/debs" && apt-get -q -o APT::Sandbox::User=root download "${wanted[@]}" "${needed[@]}" >/dev/null) || exit 1
for deb in "$folder"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder/layer" --keep-directory-symlink
done
{ grep -v '^postfix:' /etc/passwd; echo 'postfix:x:61001:61001::/var/empty:/usr/sbin/nologin'; } >"$folder/layer/etc/passwd"
{ grep -vE '^(postfix|postdrop):' /etc/group; printf 'postfix:x:61001:\npostdrop:x:61002:\n'; } >"$folder/layer/etc/group"
cat >"$folder/layer/etc/postfix/main.cf" <<MAIN
compatibility_level = 3.6
queue_directory = /run/queue
data_directory = /run/data
myhostname = mx.example.test
inet_interfaces = loopback-only
mydestination =
alias_maps =
local_recipient_maps =
MAIN
cat >"$folder/layer/etc/postfix/master.cf" <<MASTER
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
postlog unix-dgram n - n - 1 postlogd
MASTER

cat >"$folder/trial.py" <<'TRIAL'
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

master = pathlib.Path("/etc/postfix/master.cf")
before = master.read_text()
syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
syslog.bind("/dev/log")
os.chmod("/dev/log", 0o666)
heard = []


def listen():
    while True:
        heard.append(syslog.recv(65536).decode().rstrip("\n\0"))


threading.Thread(target=listen, daemon=True).start()


def postfix(word):
    return subprocess.run(["postfix", word], capture_output=True, timeout=60, check=False).returncode


def trial(log, busy):
    """(exit code of the reload, whether Postfix still runs, what the log has of a fatal error)"""
    subprocess.run(["postconf", f"maillog_file={log}"], check=True)
    master.write_text(before)
    if postfix("start") != 0:
        sys.exit(f"Postfix does not start: {heard}")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        if not busy:
            other.close()
        master.write_text(before + f"127.0.0.1:{port} inet n - n - - smtpd\n")
        code = postfix("reload")
        for _ in range(100):  # a reload takes effect some time later
            time.sleep(0.1)
            with socket.socket() as probe:
                if postfix("status") != 0 or not busy and probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
    runs = postfix("status") == 0
    if runs:
        postfix("stop")
    time.sleep(1)
    lines = pathlib.Path(log).read_text().splitlines() if log else heard
    reasons = [line.split(": ", 1)[1] for line in lines if "fatal" in line]
    print(f"port is {'busy' if busy else 'free'}, {log or 'syslog'}: reload {code}, {'runs' if runs else 'not running'}; {reasons}")
    return code, runs, reasons


free, silent, told = trial("/var/log/maillog", False), trial("/var/log/maillog", True), trial("", True)
as_seen = free == (0, True, []) and silent == (0, False, []) and told[:2] == (0, False)
as_seen = as_seen and [reason.startswith("fatal: bind 127.0.0.1 port ") for reason in told[2]] == [True]
sys.exit(0 if as_seen else "not what was seen before")
TRIAL

# With mounts and process ids of their own, so that nothing is left over.
cat >"$folder/run" <<RUN
set -e
mount -t tmpfs -o mode=755 tmpfs $folder/root
for part in usr etc var; do
  mkdir -p $folder/root/\$part $folder/root/work-\$part $folder/layer/\$part
  mount -t overlay -o lowerdir=$folder/layer/\$part:/\$part,upperdir=$folder/root/\$part,workdir=$folder/root/work-\$part overlay /\$part
done
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs $folder/dev
for device in null zero random urandom; do
  : >$folder/dev/\$device
  mount --bind /dev/\$device $folder/dev/\$device
done
mount --rbind $folder/dev /dev
mkdir -p /run/queue /run/data
chown postfix /run/data
exec python3 $folder/trial.py
RUN
setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child sh "$folder/run" || exit 1
echo "as before: the reload ends Postfix, and with maillog_file the log does not say why"
