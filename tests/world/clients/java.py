# SPDX-License-Identifier: GPL-3.0-or-later
from client import BOTH, Client, here

JAVAMAIL = ("libmail-java", "/usr/share/java/javax.mail.jar:/usr/share/java/javax.activation.jar", "javax")
JAKARTA = ("libjakarta-mail-java libjakarta-activation-java",
           "/usr/share/java/jakarta-mail.jar:/usr/share/java/jakarta-activation.jar", "jakarta")


# All read the same program; only the names of their packages differ.
def java(name, title, library, before="", after="", **more):
    package, jars, prefix = library
    Client(name, title=title, packages=f"{package} default-jdk-headless", at_once=True, resumes=BOTH, seconds=90,
           files={"etc/world/Send.java": here("Send.java.txt").replace("PREFIX", prefix)},
           prepare="/usr/lib/jvm/default-java/bin/keytool -importcert -noprompt -alias ca -file $ca "
                   "-storepass changeit -keystore $HOME/trust >/dev/null 2>&1\n",
           send=f"{before} /usr/lib/jvm/default-java/bin/java -cp {jars} -Djavax.net.ssl.trustStore=$HOME/trust "
                f"-Djavax.net.ssl.trustStorePassword=changeit /etc/world/Send.java {after}",
           **more)


java("javamail", "JavaMail", JAVAMAIL)
java("javamail-bdat", "JavaMail with BDAT", JAVAMAIL, before="chunksize=20000", shares="javamail", dots=False,
     after=">$HOME/log; [ $(grep -ac 'BDAT [0-9]* LAST$' $HOME/log) = 2 ]",
     note="doubles dots at the start of lines")
java("jakartamail", "Jakarta Mail", JAKARTA)
