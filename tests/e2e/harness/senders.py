# SPDX-License-Identifier: GPL-3.0-or-later
"""MAIL commands of all kinds: honest ones, tricks, and what is no MAIL at all. Whatever a reader might take for
a sender's domain is in them at some place: a partner's, one of the backend's own, or a stranger's."""

PARTNERS = ("contoso.example", "mail.fabrikam.example")
OWN = ("localhost", "own.example", "backend.example.test", "a.sub.own.example", "[127.0.0.1]", "[192.0.2.1]", "[IPv6:::1]")
STRANGERS = ("evil.example", "x.contoso.example", "fabrikam.example", "contoso.example.evil.example", "a", "relay.example")

COMMANDS = ("MAIL FROM:",) * 24 + ("mail from:", "MAIL FROM: ", "MAIL FROM:\t", "MAIL  FROM:", "MAIL FROM :", "MAIL FROM ",
                                   "MAIL\tFROM:", " MAIL FROM:", "MAIL FROM:  ", "Mail From:")
PARAMETERS = (
    " SIZE=10", " BODY=8BITMIME", " SMTPUTF8", " BODY=8BITMIME SMTPUTF8", " SIZE=1  BODY=7BIT ", " AUTH=<>", " RET=HDRS ENVID=x",
    " X=<{address}>", " X=y Z=<{address}>", " X=<{domain}>", " X={address}", " AUTH={address}", " AUTH=<{address}>", " <{address}>",
    " {address}", " ({address})", " (c)", " X=(c)<{address}>", " X=\"<{address}>\"", " X:<{address}>", " X=;<{address}>",
    " X=,{address}", "\tX=<{address}>", " SIZE=1 <{address}>", " SIZE=<{address}>", "<{address}>", "@{domain}", ":{address}", ",{address}",
    ";", " ", "\t", " X", " =", " ENVID=\"@{domain}")
# Places of a command where something else is put, or nothing.
PIECES = ("", "", "", "a", "@", "%", "!", '"', '"', "\\", "<", ">", " ", "\t", ":", ",", ".", "(", ")", "(c)", ";", "[", "]", "=", "\\@",
          '\\"', '""', "@evil.example:", "@contoso.example", "@contoso.example:", "@localhost", "%localhost", "localhost!", "%contoso.example",
          "contoso.example!", "@[127.0.0.1]", "@contoso.example>", '"@evil.example', "\x0b", "\x7f", "é", "。", "＠", "\u00ad", "'", "`", "/", "{", "&",
          "=40", "+40", "x" * 64)


def spelled(draw, domain):
    """The domain as somebody might write it who wants it to be read, or not to be read."""
    kind = draw.randrange(12)
    if kind == 0:
        return domain.upper()
    if kind == 1:
        return domain + "."
    if kind == 2:
        return domain + ".."
    if kind == 3:
        return domain.replace(".", "\u3002", 1)
    if kind == 4:
        return domain.replace("o", "\uff4f", 1)
    if kind == 5:
        return domain.replace(".", draw.choice((" .", ". ", "(c).", ".(c)", "\\.", '"."')), 1)
    if kind == 6:
        return draw.choice((" ", "(c)", "[", "<", "@", '"', "\\")) + domain
    if kind == 7:
        return domain + draw.choice((" ", "(c)", "]", ">", "@", '"', "/x", ":25", ";", ","))
    return domain


def domain_of(draw, plain=False):
    domain = draw.choice(draw.choice((PARTNERS, PARTNERS, OWN, OWN, STRANGERS)))
    return domain if plain or draw.random() < 0.75 else spelled(draw, domain)


def local_of(draw, quoted=False, depth=0):
    """A local part, often with further domains in it. What only a quoted string may have is rare outside."""
    kinds = ("atom", "percent", "bang", "percent", "bang", "string", "string", "string", "string")
    if quoted or draw.random() < 0.05:
        kinds = ("atom", "percent", "bang", "at", "at", "at", "route", "string", "torn")
    kind = draw.choice(kinds) if depth < 3 else "atom"
    if kind == "atom":
        return draw.choice(("a", "a", "a", "postmaster", "a.b", "a+c", "é", "a=b", "100") + (("", ".", "a b", "(c)") if quoted else ()))
    if kind == "string":
        inner = local_of(draw, True, depth + 1)
        if draw.random() < 0.2:
            inner = inner.replace("@", "\\@").replace("%", "\\%")
        elif draw.random() < 0.95:
            inner = inner.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{inner}"'
    inner, domain = local_of(draw, quoted, depth + 1), domain_of(draw, plain=not quoted and draw.random() < 0.8)
    return {"percent": f"{inner}%{domain}", "bang": f"{domain}!{inner}", "at": f"{inner}@{domain}", "route": f"@{domain}:{inner}",
            "torn": inner + draw.choice((" ", "(c)", "<", ">", ":", ",", ";", '"')) + domain}[kind]


def mailbox(draw):
    local = local_of(draw)
    if draw.random() < 0.06:
        return local
    route = f"@{domain_of(draw)}:" if draw.random() < 0.06 else ""
    if draw.random() < 0.02:
        route = f"@{domain_of(draw)},@{domain_of(draw)}:"
    return f"{route}{local}@{domain_of(draw, plain=draw.random() < 0.7)}"


def path_of(draw):
    kind = draw.randrange(20)
    address = mailbox(draw)
    if kind < 15:
        return f"<{address}>"
    if kind < 18:
        return address
    return draw.choice(("<>", "<postmaster>", "x <{0}>", '"x" <{0}>', "<{0}", "{0}>", "<<{0}>>", "< {0}>", "<{0} >", "(c)<{0}>", "<{0}>(c)", "x:{0};",
                        "<x:{0};>", "a", "x")).format(address)


def mutated(draw, text):
    for _ in range(draw.randint(1, 2)):
        begin = draw.randint(4, len(text))
        text = text[:begin] + draw.choice(PIECES) + text[begin + draw.choice((0, 0, 0, 1, 2)):]
    return text


def mail_command(draw):
    """One command without its line end, as octets."""
    path, parameters = path_of(draw), ""
    if draw.random() < (0.3 if path.startswith("<") else 0.6):  # behind a path without brackets they may be taken for its end
        parameters = draw.choice(PARAMETERS).format(address="a@" + domain_of(draw, plain=True), domain=domain_of(draw, plain=True))
    text = draw.choice(COMMANDS) + path + parameters
    if draw.random() < 0.2:
        text = mutated(draw, text)
    return text.encode().replace(b"\r", b"").replace(b"\n", b"")[:480]
