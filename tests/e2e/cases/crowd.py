# SPDX-License-Identifier: GPL-3.0-or-later
"""8,000 idle sessions, 500 that drip, one that never reads: memory as planned, and others served as if alone. What
they cost the others in time is a benchmark's to say: bench/crowd idle."""

from harness.case import case, check, equal, eventually
from harness.crowd import Deaf, Drips, Idle, Pipelining, room
from harness.meter import Plan, Witness, descriptors, recovers, resident, status
from harness.smtp import Client, mail

IDLE, DRIPPING = 8000, 500


@case(slow=True)
def a_crowd_takes_what_was_planned(world):
    count = room(IDLE, DRIPPING + 250)
    with world.private_sink(store=None) as sink, \
            world.private(sink.port, handshake_timeout="300s", sessions_per_client_max=0) as proxy:
        before = descriptors(proxy)
        plan = Plan(proxy)
        with Witness(world, proxy.address) as alone:
            eventually(lambda: len(proxy.records()) > 40, "others, before the crowd")
            alone.verdict()
        with Idle(world, proxy.address, count, 240) as idle:
            idle.complete(proxy)
            with Drips(proxy, DRIPPING) as drips, Deaf(world, proxy), \
                    Witness(world, proxy.address) as beside:
                done = len(proxy.records())
                eventually(lambda: len(proxy.records()) > done + 200, "others, beside the crowd", 60)
                found = resident(proxy)
                beside.verdict()
                check(drips.present() == DRIPPING, f"{drips.present()} of {DRIPPING} who drip are still there")
                sessions = sum(line["sessions"] for line in status(proxy).values())
                check(sessions >= count + DRIPPING, f"{sessions} sessions of {count + DRIPPING}")
                planned = plan.fixed + sessions * plan.session + drips.in_record * plan.in_record
                check(abs(found / planned - 1) < 0.1,
                      f"{sessions} sessions, {drips.in_record} of them in a record: {found} octets, {planned} planned")
                print(f"  {sessions} sessions take {found / planned:.3f} of the memory planned for them")
            idle.result()
        eventually(lambda: sum(line["sessions"] for line in status(proxy).values()) == 0, "the end of the sessions", 60)
        recovers(proxy.address)
        eventually(lambda: descriptors(proxy) <= before, "all descriptors back")


@case
def one_address_leaves_blocks_for_others(world):
    """300 connections from one address pipeline and read nothing, with a pool that they could fill. What they get is
    counted: others always find blocks, nobody has to be sent away for that, and mail passes."""
    large = 256
    with world.private_sink(store=None) as sink, \
            world.private(sink.port, sessions_max=1000, sessions_per_client_max=0, buffers_large=large) as proxy, \
            Pipelining(proxy.address, ["127.0.2.1"], count=300, rate=10_000_000) as attack:
        eventually(lambda: attack.sent.value > 300 * 40_000, "more octets than there are blocks", 60)
        for number in range(20):
            with Client(proxy.address, source="127.0.0.201") as client:
                client.open(world.tls if number % 2 else None)
                equal(client.message(mail()[1]).code, 250, "another client's message")
                client.quit()
            line = status(proxy)[0]
            free = int(line["blocks_large_free"].split("/")[0])
            check(free >= large // 4, f"{free} of {large} blocks are free")
            equal((line["starved"], line["reclaimed"]), (0, 0), "sessions that wait for blocks, and that were ended")
        equal(attack.made.value, 300, "connections of the attack: none was closed")
