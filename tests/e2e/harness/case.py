# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases and what they may say. A case is a function of the World; its name is what the report prints."""

import time

CASES = []


class Failure(AssertionError):
    """The program under test is wrong."""


class Skip(Exception):
    """This machine cannot run the case."""


def case(function=None, *, slow=False):
    """Registers a case; a slow one is left out by --quick."""
    def register(body):
        body.slow = slow
        body.title = f"{body.__module__.rsplit('.', 1)[-1]}.{body.__name__}"
        CASES.append(body)
        return body
    return register(function) if function else register


def each(*variants, slow=False, named=False):
    """Registers one case per variant: body(world, variant). With `named`, the first part of a variant, or as many
    as it says, is its name and the rest is data."""
    def register(body):
        for variant in variants:
            def bound(world, variant=variant):
                return body(world, variant)
            words = variant if isinstance(variant, tuple) else (variant,)
            words = words[:int(named)] if named else words
            bound.slow = slow
            bound.title = (f"{body.__module__.rsplit('.', 1)[-1]}.{body.__name__}"
                           f"[{','.join(str(word) for word in words)}]")
            CASES.append(bound)
        return body
    return register


def check(condition, what):
    if not condition:
        raise Failure(what)


def equal(found, wanted, what):
    if found != wanted:
        raise Failure(f"{what}: found {shorten(found)}, wanted {shorten(wanted)}")


def contains(text, part, what):
    if part not in text:
        raise Failure(f"{what}: {shorten(part)} is not in {shorten(text)}")


def eventually(condition, what, seconds=20):
    """Waits for an event that only shows by looking: a stored file, a log line. Returns what was found."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Failure(f"{what}: did not happen within {seconds} s")
        time.sleep(0.01)


def shorten(value, length=600):
    text = repr(value)
    return text if len(text) <= length else f"{text[:length // 2]} … {text[-length // 2:]}"
