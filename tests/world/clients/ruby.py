# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client, here

Client("ruby", title="Ruby Net::SMTP", packages="ruby", quick=True,
       files={"etc/world/send.rb": here("ruby_send.rb")}, send="/usr/bin/ruby?.? /etc/world/send.rb")
