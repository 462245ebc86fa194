# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables and plots of what bench/compare has measured."""

import html
import json
import statistics

# What ringpost wants to need of what the best peer needs, and who is left out because it does less: without a message nginx
# has no connection to the backend, and Postfix is the backend.
GOALS = [
    ("full handshake, TLS 1.3, ECDSA P-256", 0.45, ("nginx", "Postfix")),
    ("full handshake, TLS 1.3, ECDSA P-256, 64 at a time", 0.45, ("nginx", "Postfix")),
    ("10 KB message, 20 per connection", 0.50, ()),
    ("10 KB message, 20 per connection, 32 at a time", 0.50, ()),
    ("25 MB messages, per octet", 0.55, ()),
    ("memory per idle TLS session, 8000 open", 0.34, ("nginx",)),
    ("mail that leaves: full handshake, TLS 1.3, X25519", 0.40, ()),
    ("mail that leaves: 1 KB message and full handshake, TLS 1.3, X25519", 0.40, ("Postfix smtp without TLS",)),
]
# Mail that leaves beside mail that arrives, and what it may take in any case.
EGRESS, INGRESS = "ringpost, egress", "ringpost, starttls"
EGRESS_RATIO_GOAL = 1.15
EGRESS_IDLE, EGRESS_IDLE_GOAL = "mail that leaves: memory per idle TLS session, 8000 open", 4
BARE = "bare relay, plain"
READY = "one quiet client is ready after, p50"
STARTTLS_READY_GOAL = 1.2  # ms
PLOTTED = {
    "full handshake, TLS 1.3, ECDSA P-256": "handshake",
    "10 KB message, 20 per connection": "message",
    "25 MB messages, per octet": "bulk",
    "memory per idle TLS session, 8000 open": "idle",
    READY: "ready",
}
STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 } .bar { fill: #8c959f } .ours { fill: #0969da } .title { font-weight: 600 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .bar { fill: #6e7681 } .ours { fill: #4493f8 } }
</style>"""


def mode_of(peer):
    """How TLS begins, and the kind of socket towards the backend where it is not TCP."""
    return peer.partition(", ")[2]


def by_unix_socket(peer):
    return mode_of(peer).endswith(", unix")


def ratio(figure, peer):
    """ringpost's median beside this peer's, both in the same mode."""
    ours = figure["values"].get(f"ringpost, {mode_of(peer)}")
    theirs = statistics.median(figure["values"][peer])
    return statistics.median(ours) / theirs if ours and theirs else None


def best_peer(figure, without, unix):
    """The peer with this kind of socket that comes nearest to ringpost, as two cells: the ratio and who it is."""
    ratios = [(ratio(figure, peer), peer) for peer in figure["values"]
              if by_unix_socket(peer) == unix and not peer.startswith(("ringpost", BARE, *without))]
    best = max((pair for pair in ratios if pair[0] is not None), default=None)
    return f"{best[0]:.2f} | {best[1].removesuffix(', unix')}" if best else "– | "


def table(title, figure):
    lines = [f"### {title}", "", f"| | {figure['unit']}, median (minimum – maximum) | ringpost needs |", "|---|---|---|"]
    for peer, values in figure["values"].items():
        beside = "" if peer.startswith("ringpost") or ratio(figure, peer) is None else f"{ratio(figure, peer):.2f} of it"
        if peer == INGRESS and EGRESS in figure["values"]:
            beside = f"{beside_ingress(figure):.2f} of it for mail that leaves"
        lines.append(f"| {peer} | {statistics.median(values):.2f} ({min(values):.2f} – {max(values):.2f}) | {beside} |")
    for peer, why in figure["missing"].items():
        lines.append(f"| {peer} | – | {cell(why)} |")
    return lines + [""]


def cell(text):
    """The first line, which must not end its cell."""
    return next(iter(text.splitlines()), "").replace("|", "/")


def goals(figures):
    lines = ["| | goal | ringpost needs | of what this needs | with unix sockets | of what this needs |",
             "|---|---|---|---|---|---|"]
    for title, goal, without in GOALS:
        if title in figures:
            cells = " | ".join(best_peer(figures[title], without, unix) for unix in (False, True))
            lines.append(f"| {title} | ≤ {goal:.2f} | {cells} |")
    return [*lines, ""] if len(lines) > 2 else []


def beside_ingress(figure):
    return statistics.median(figure["values"][EGRESS]) / statistics.median(figure["values"][INGRESS])


def egress_goals(figures):
    """ringpost's two directions."""
    lines = ["| mail that leaves | goal | ringpost needs |", "|---|---|---|"]
    for title, figure in figures.items():
        if {EGRESS, INGRESS} <= figure["values"].keys():
            lines.append(f"| {title.partition(': ')[2]} | ≤ {EGRESS_RATIO_GOAL} of what mail that arrives needs "
                         f"| {beside_ingress(figure):.2f} |")
    if EGRESS in figures.get(EGRESS_IDLE, {"values": {}})["values"]:
        lines.append(f"| {EGRESS_IDLE.partition(': ')[2]} | ≤ {EGRESS_IDLE_GOAL} KB "
                     f"| {statistics.median(figures[EGRESS_IDLE]['values'][EGRESS]):.2f} KB |")
    return [*lines, ""] if len(lines) > 2 else []


def starttls_ready(figures):
    """How soon a client may send mail, in milliseconds: ringpost against its goal, the others beside."""
    medians = {peer.partition(", ")[0]: f"{statistics.median(values):.2f}"
               for peer, values in figures.get(READY, {"values": {}})["values"].items() if mode_of(peer) == "starttls"}
    if not medians:
        return []
    return [f"| STARTTLS ready, p50 in ms | goal | {' | '.join(medians)} |", "|---" * (2 + len(medians)) + "|",
            f"| one quiet client | ≤ {STARTTLS_READY_GOAL} | {' | '.join(medians.values())} |", ""]


def rounds_of(results):
    rounds = results["rounds"]
    fewer = ", ".join(f"{name} {number}" for name, number in results["fewer_rounds"].items())
    return (f"{rounds} rounds in turn" if rounds > 1 else "1 round") + (f" ({fewer})" if fewer else "")


def floor(figures, crypto):
    """The plain relay and the cryptography alone, added: what TLS in front of this relay cannot be cheaper than. Beside it a
    relay that does nothing else."""
    message = 10.24 * crypto["message_octet"]
    parts = [  # what is measured, and what cryptography there is in it
        ("full handshake, TLS 1.3, ECDSA P-256", crypto["handshake"]),
        ("full handshake, TLS 1.3, ECDSA P-256, 64 at a time", crypto["handshake"]),
        ("one 10 KB message per connection", crypto["handshake"] + message),
        ("10 KB message, 20 per connection", crypto["handshake"] / 20 + message),
        ("10 KB message, 20 per connection, 32 at a time", crypto["handshake"] / 20 + message),
        ("25 MB messages, per octet", crypto["bulk_octet"]),
    ]
    lines = ["| | bare relay | ringpost without TLS | cryptography in memory | floor | ringpost, implicit TLS | floor / ringpost |",
             "|---|---|---|---|---|---|---|"]
    for title, alone in parts:
        values = figures.get(title, {"values": {}})["values"]
        if "ringpost, plain" in values and "ringpost, implicit" in values:
            plain, ours = (statistics.median(values[f"ringpost, {mode}"]) for mode in ("plain", "implicit"))
            bare = f"{statistics.median(values[BARE]):.2f}" if BARE in values else "–"
            lines.append(f"| {title} ({figures[title]['unit']}) | {bare} | {plain:.2f} | {alone:.2f} | {plain + alone:.2f} "
                         f"| {ours:.2f} | {(plain + alone) / ours:.2f} |")
    return ["## The floor", "", *lines, ""] if len(lines) > 2 else []


def plot(title, figure):
    """Horizontal bars of the medians; ringpost's are coloured."""
    rows = [(peer, statistics.median(values)) for peer, values in figure["values"].items()]
    longest = max(value for _, value in rows)
    height = 40 + 24 * len(rows)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{height}" role="img">', STYLE,
             f'<text class="title" x="8" y="20">{html.escape(title)} ({figure["unit"]}, less is better)</text>']
    for index, (peer, value) in enumerate(rows):
        y = 34 + 24 * index
        kind = "ours" if peer.startswith("ringpost") else "bar"
        width = max(1, 460 * value / longest)
        parts += [f'<text x="190" y="{y + 13}" text-anchor="end">{html.escape(peer)}</text>',
                  f'<rect class="{kind}" x="200" y="{y}" width="{width:.0f}" height="17" rx="2"/>',
                  f'<text x="{208 + width:.0f}" y="{y + 13}">{value:.3g}</text>']
    return "\n".join([*parts, "</svg>", ""])


def remarks(results):
    """What a reader has to know before the figures."""
    lines = []
    if results["quick"]:
        lines += ["**A quick run: each workload once, with small totals. It shows that everything works; its figures say nothing.**",
                  ""]
    if results["unfinished"]:
        lines += [f"**Not finished: {', '.join(results['unfinished'])} {'is' if len(results['unfinished']) == 1 else 'are'} "
                  "missing.**", ""]
    if results["crypto"] is None:
        lines += ["The cryptography alone could not be measured, and without it there is no floor.", ""]
    if results["absent"]:
        lines += [f"- {name}: left out, {why}" for name, why in results["absent"].items()] + [""]
    return lines


def replace(path, text):
    """A reader, or the next run after one that was stopped, finds all of it."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.rename(path)


def write_results(folder, name, results):
    """Returns the path of the page that was written."""
    folder.mkdir(parents=True, exist_ok=True)
    replace(folder / f"{name}.json", json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    figures = results["figures"]
    lines = [f"# ringpost beside others, {results['date']}", "",
             f"{results['machine']}. {rounds_of(results)}; one worker of each on CPU 0, load and backend on CPU 1. "
             "`bench/compare` runs it again.", "", *remarks(results),
             *(f"- {name}: {version}{'; ' + results['notes'][name] if results['notes'][name] else ''}"
               for name, version in results["versions"].items()), "", *goals(figures), *egress_goals(figures),
             *starttls_ready(figures), *(floor(figures, results["crypto"]) if results["crypto"] else [])]
    for title, plotted in PLOTTED.items():
        if figures.get(title, {}).get("values"):
            replace(folder / f"{name}-{plotted}.svg", plot(title, figures[title]))
            lines += [f"![{title}]({name}-{plotted}.svg)", ""]
    for title, figure in figures.items():
        lines += table(title, figure)
    page = folder / f"{name}.md"
    replace(page, "\n".join(lines))
    return page
