# SPDX-License-Identifier: GPL-3.0-or-later
"""Examples of the documentation: what stands there is what runs, but for ports, paths and addresses."""

import functools
import pathlib
import re

from harness.case import check, equal

ROOT = pathlib.Path(__file__).resolve().parents[3]
_FENCE = re.compile(r"^( *)```[a-z]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def _unindented(match):
    return "".join(line.removeprefix(match[1]) for line in match[2].splitlines(keepends=True))


class Document:
    """`blocks`: by the HTML comment in front of them."""

    def __init__(self, name):
        self.name = name
        self.text = (ROOT / name).read_text(encoding="utf-8")
        self.blocks = {}
        for mark in re.finditer(r"^<!-- (.*) -->\n(?= *```)", self.text, re.MULTILINE):
            fence = _FENCE.match(self.text, mark.end())
            check(fence and mark[1] not in self.blocks, f"one block with the mark {mark[1]!r} in {name}")
            self.blocks[mark[1]] = _unindented(fence)

    def examples(self, section):
        """The blocks of a section, in their order."""
        parts = re.split(rf"^## {re.escape(section)}\n", self.text, flags=re.MULTILINE)
        equal(len(parts), 2, f"sections {section!r} in {self.name}")
        return [_unindented(match) for match in _FENCE.finditer(parts[1].split("\n## ")[0])]


def replaced(text, changes):
    """`text` with all `changes` (old: new) at once. Each must be needed: a word that is gone is a word that nobody tests."""
    pattern = "|".join(re.escape(old) for old in sorted(changes, key=len, reverse=True))
    found = set()

    def change(match):
        found.add(match[0])
        return str(changes[match[0]])
    text = re.sub(pattern, change, text)
    equal(sorted(set(changes) - found), [], "words that are not in the example")
    return text


@functools.cache
def _backends():
    return Document("docs/BACKENDS.md")


def backend_lines(mark, changes=None):
    """A block of docs/BACKENDS.md, with the ports and the like of this run."""
    block = _backends().blocks[mark]
    return replaced(block, changes) if changes else block
