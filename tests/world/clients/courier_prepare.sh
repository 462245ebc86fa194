# SPDX-License-Identifier: GPL-3.0-or-later
# What Debian's package does when it is installed, in a queue of its own; then where all mail goes.
ln -s makedat.courier /usr/bin/makedat
chown -R root:courier /etc/courier
mkdir -p /run/queue /run/courier /var/lib/courier
for part in allfilters filters msgq msgs track tmp; do mkdir /run/queue/$part; done
chown -R courier:courier /run/queue
chmod 755 /run/queue /run/queue/msgs
mount --bind /run/queue /var/lib/courier
chown courier: /usr/lib/courier/courier/submitmkdir
chmod 4755 /usr/lib/courier/courier/submitmkdir
case $way in
  starttls) echo ":$host,$port" ;;
  implicit) echo ":$host,$port /SECURITY=SMTPS" ;;
esac >/etc/courier/esmtproutes
printf 'ESMTP_TLS_VERIFY_DOMAIN=1\nTLS_VERIFYPEER=PEER\nTLS_TRUSTCERTS=%s\n' $ca >>/etc/courier/courierd
makesmtpaccess
makealiases
/usr/lib/courier/courierctl.start </dev/null >$HOME/log 2>&1
