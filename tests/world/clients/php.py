# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client, here

# The class that talks SMTP; the one above it would compose the message anew.
Client("phpmailer", title="PHPMailer", packages="libphp-phpmailer php-cli", quick=True, more_lines=1,
       files={"etc/world/send.php": here("php_send.php")}, send="/usr/bin/php?.? /etc/world/send.php")
