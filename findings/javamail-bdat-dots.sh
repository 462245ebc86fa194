#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# JavaMail 1.6.5 (Debian 12, libmail-java 1.6.5-2) and Jakarta Mail 2.0.0 (libjakarta-mail-java 2.0.0-2) double the dot
# at the start of a line in BDAT chunks, too. The message that is stored has a dot too many.
#
# RFC 5321 4.5.2 has the dot doubled for DATA, whose end is a line with a dot alone; the receiver takes it away again.
# A chunk of BDAT has a length in place of that (RFC 3030, section 2), so the receiver keeps all of it. With the property
# mail.smtp.chunksize, and a server that offers CHUNKING, both send BDAT with what they made for DATA.
#
# Seen (message of 58 bytes, whose lines are: "one", ".two", ".", "..four"):
#         C: BDAT 61 LAST     and the lines ".two", ".", "..four" come as "..two", "..", "...four"
#         the same without mail.smtp.chunksize, by DATA: right
#
# Needs root, apt, python3 and unshare; installs nothing: the packages are unpacked in a temporary folder.
# Exit code 0: still so. Any other: it behaves otherwise, or could not be run.
set -euo pipefail
wanted=(libmail-java=1.6.5-2 libjakarta-mail-java=2.0.0-2)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder"/{debs,root,layer/etc/send}
# Both, even if installed, and what they need that is not. Any Java will do that runs them.
others=(libjakarta-activation-java openjdk-17-jdk-headless)
mapfile -t needed < <(apt-get --simulate --no-install-recommends install "${wanted[@]}" "${others[@]}" |
  sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -vxE 'libmail-java|libjakarta-mail-java')
(cd "$folder/debs" && apt-get -q -o APT::Sandbox::User=root download "${wanted[@]}" "${needed[@]}" >/dev/null) || exit 1
for deb in "$folder"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder/layer" --keep-directory-symlink
done
printf 'Subject: dots\r\nMIME-Version: 1.0\r\n\r\none\r\n.two\r\n.\r\n..four\r\n' >"$folder/layer/etc/send/message"
for prefix in javax jakarta; do
  mkdir "$folder/layer/etc/send/$prefix"
  sed "s/PREFIX/$prefix/" >"$folder/layer/etc/send/$prefix/Send.java" <<'JAVA'
import PREFIX.mail.Session;
import PREFIX.mail.Transport;
import PREFIX.mail.internet.InternetAddress;
import PREFIX.mail.internet.MimeMessage;
import java.io.FileInputStream;
import java.util.Properties;

public class Send {
  public static void main(String[] words) throws Exception {
    Properties settings = new Properties();
    settings.put("mail.smtp.host", "127.0.0.1");
    settings.put("mail.smtp.port", words[0]);
    settings.put("mail.smtp.localhost", "client.example");
    settings.put("mail.smtp.from", "alice@example.com");
    if (words.length > 1) {
      settings.put("mail.smtp.chunksize", words[1]);
    }
    Session session = Session.getInstance(settings);
    Transport transport = session.getTransport("smtp");
    transport.connect();
    MimeMessage message = new MimeMessage(session, new FileInputStream("/etc/send/message"));
    transport.sendMessage(message, InternetAddress.parse("bob@example.test"));
    transport.close();
  }
}
JAVA
done

cat >"$folder/server.py" <<'SERVER'
import socket
import subprocess
import sys

JARS = {"javax": "/usr/share/java/javax.mail.jar:/usr/share/java/javax.activation.jar",
        "jakarta": "/usr/share/java/jakarta-mail.jar:/usr/share/java/jakarta-activation.jar"}
BODY = [b"one", b".two", b".", b"..four"]
DOUBLED = [b"one", b"..two", b"..", b"...four"]


def receive(connection):
    """(how the message came, its body's lines as the server reads them)"""
    stream, found = connection.makefile("rwb"), None

    def say(text):
        stream.write(text + b"\r\n")
        stream.flush()

    say(b"220 mx.example.test ESMTP")
    while line := stream.readline():
        words = line.upper().split()
        if words[0] == b"EHLO":
            say(b"250-mx.example.test\r\n250 CHUNKING")
        elif words[0] == b"BDAT":
            text = stream.read(int(words[1]))
            found = line.strip().decode(), text
            say(b"250 stored")
        elif words[0] == b"DATA":
            say(b"354 go ahead")
            text = b""
            while (part := stream.readline()) != b".\r\n":
                text += part.removeprefix(b".")
            found = "DATA", text
            say(b"250 stored")
        elif words[0] == b"QUIT":
            say(b"221 bye")
            break
        else:
            say(b"250 ok")
    how, text = found
    return how, text.partition(b"\r\n\r\n")[2].split(b"\r\n")[:-1], len(text)


def send(prefix, *chunk):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        client = subprocess.Popen(["/usr/lib/jvm/java-17-openjdk-amd64/bin/java", "-cp", JARS[prefix],
                                   f"/etc/send/{prefix}/Send.java", str(listener.getsockname()[1]), *chunk])
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(20)
            how, lines, size = receive(connection)
        client.wait(20)
    print(f"{prefix}.mail, C: {how}  {size} bytes, body:", lines)
    return how, lines


as_seen = True
for prefix in JARS:
    as_seen = send(prefix) == ("DATA", BODY) and as_seen
    how, lines = send(prefix, "65536")
    as_seen = how.startswith("BDAT ") and how.endswith(" LAST") and lines == DOUBLED and as_seen
sys.exit(0 if as_seen else "not what was seen before")
SERVER

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
timeout 120 python3 $folder/server.py
RUN
setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child sh "$folder/run"
echo "as before: BDAT chunks have doubled dots"
