# SPDX-License-Identifier: GPL-3.0-or-later
rm /etc/chasquid/hooks/post-data
mkdir -p /etc/chasquid/certs/client.example.test /etc/chasquid/domains/client.example.test
cd /etc/chasquid/certs/client.example.test
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=client.example.test \
    -keyout privkey.pem -out fullchain.pem
cd $HOME
chasquid-util user-add alice@client.example.test --password=secret
chasquid </dev/null >>$HOME/log 2>&1 &
