# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client, here

ACCOUNT = """
[Account: 1]
account_name=alice
is_default=1
name=Alice
address=alice@client.example.test
protocol=4
smtp_server=mx.example.test
set_smtpport=1
smtp_port=PORT
ssl_smtp=KIND
set_domain=1
domain=client.example.test
ssl_certs_auto_accept=1
"""
FOLDERS = """<?xml version="1.0"?>
<folderlist>
<folder type="mh" name="Mail" path="Mail">
<folderitem type="inbox" name="inbox" path="inbox" />
<folderitem type="outbox" name="sent" path="sent" />
<folderitem type="draft" name="draft" path="draft" />
<folderitem type="queue" name="queue" path="queue" />
<folderitem type="trash" name="trash" path="trash" />
</folder>
</folderlist>
"""
# It opens a window whatever it is told to do, here on a display that nobody sees. A file in its folder "queue" is what
# its editor leaves there; --send takes it from there. It asks about each certificate unless it is told to accept all.
Client("claws-mail", title="Claws Mail (libetpan, GnuTLS)", packages="claws-mail xvfb xauth", seconds=90,
       files={"etc/world/accountrc": ACCOUNT, "etc/world/folderlist.xml": FOLDERS,
              "etc/world/clawsrc": "[Common]\nask_send_queued_messages=0\nconfirm_on_exit=0\n",
              "etc/world/queue": here("claws_queue.txt")},
       prepare="""
mount -t tmpfs -o mode=1777 tmpfs /tmp
Xvfb :77 -screen 0 800x600x8 -nolisten tcp </dev/null >$HOME/display 2>&1 &
""", send="""
export DISPLAY=:77
kind=2
[ $way = starttls ] || kind=1
mkdir -p $HOME/.claws-mail $HOME/Mail/{inbox,sent,draft,queue,trash}
cp /etc/world/{folderlist.xml,clawsrc} $HOME/.claws-mail
sed "s/PORT/$port/; s/KIND/$kind/" /etc/world/accountrc >$HOME/.claws-mail/accountrc
cat /etc/world/queue $message >$HOME/Mail/queue/1
for try in {1..50}; do
  [ ! -S /tmp/.X11-unix/X77 ] || break
  sleep 0.1
done
cat $HOME/display
claws-mail --debug --send </dev/null >$HOME/log 2>&1 &
for try in {1..250}; do
  [ -e $HOME/Mail/queue/1 ] || break
  sleep 0.1
done
tail -n 25 $HOME/log
kill %1
[ ! -e $HOME/Mail/queue/1 ]
""")
