# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client, here

# Both read the same program; only the names of their packages differ.
def java(name, title, jar, package, prefix):
    Client(name, title=title, packages=f"{package} default-jdk-headless", resumes=False, seconds=90,
           files={"etc/world/Send.java": here("Send.java.txt").replace("PREFIX", prefix)},
           prepare="/usr/lib/jvm/default-java/bin/keytool -importcert -noprompt -alias ca -file $ca "
                   "-storepass changeit -keystore $HOME/trust >/dev/null 2>&1\n",
           send=f"/usr/lib/jvm/default-java/bin/java -cp {jar} "
                "-Djavax.net.ssl.trustStore=$HOME/trust -Djavax.net.ssl.trustStorePassword=changeit /etc/world/Send.java")


java("javamail", "JavaMail", "/usr/share/java/javax.mail.jar:/usr/share/java/javax.activation.jar", "libmail-java", "javax")
java("jakartamail", "Jakarta Mail", "/usr/share/java/jakarta-mail.jar:/usr/share/java/jakarta-activation.jar",
     "libjakarta-mail-java libjakarta-activation-java", "jakarta")
