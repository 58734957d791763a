"""Snapshots, and names compared code point by code point."""

from __future__ import annotations

import pytest

from lease_actors.core.model import ClaimId, Key, LeaseState, Need, Offer
from lease_actors.core.operations import Claim, Pin
from lease_actors.stores.base import Store
from lease_actors.testing.cases.starts import DURATION, KEY, Start, named

ALIKE = {
    "case": ("A", "a"),
    "accent": ("caf\u00e9", "cafe"),
    "normal form": ("caf\u00e9", "cafe\u0301"),
    "sharp s": ("stra\u00dfe", "strasse"),
    "width": ("\uff41", "a"),
    "ligature": ("\ufb01", "fi"),
    "trailing space": ("a ", "a"),
    "beyond the BMP": ("\U0001f512", "\U0001f513"),
    "ignorable": ("a\u00ad", "a"),
}
"""Pairs that some database's default collation takes for one."""

AWKWARD = ["'; DROP TABLE lease_leases; --", '"', "\\", "%s", "%(x)s", ":x", "?", "{}", "--", "\\'"]


class ReadCases:
    """``get`` and ``leases``."""

    def test_leases_are_those_of_one_namespace_and_model(self, store: Store) -> None:
        start = Start(store)
        keys = [Key("ns", "m", "a"), Key("ns", "m2", "a"), Key("ns2", "m", "a"), Key("ns", "", "a")]
        start.ask(*(Claim(key, f"{key}", DURATION) for key in keys))
        for key in keys:
            states, now = store.leases(key.namespace, key.model_uuid)
            assert [s.key for s in states] == [key]
            assert states[0] == store.get(key)[0]
            assert now <= store.now()
        assert store.leases("ns", "m3")[0] == []

    def test_leases_of_every_namespace_and_model(self, store: Store) -> None:
        start = Start(store)
        keys = [Key("ns", "m", "a"), Key("ns", "m2", "a"), Key("ns2", "m", "a"), Key("ns", "", "b")]
        start.ask(*(Claim(key, f"{key}", DURATION) for key in keys), Pin(keys[0], "p"))
        start.release(start.claim(named("free")), named("free"))
        states, now = store.leases(None, None)
        assert sorted(states, key=lambda s: s.key) == [store.get(key)[0] for key in sorted(keys)]
        assert now <= store.now()

    def test_leases_are_those_on_which_something_stands(self, store: Store) -> None:
        start = Start(store)
        start.claim(named("held"))
        start.release(start.claim(named("free")), named("free"))
        start.ask(Pin(named("pinned"), "p"), Pin(named("held"), "q"), Pin(named("held"), "r"))
        offer = Offer(ClaimId(start.name, 1), "w", 1, 2, 3)
        start.write(LeaseState(named("offered"), 1, offer=offer))
        states = {s.key.lease: s for s in store.leases("ns", "model")[0]}
        assert sorted(states) == ["held", "offered", "pinned"]
        assert sorted(states["held"].pins) == ["q", "r"]
        assert states["offered"].offer == offer

    def test_a_snapshot_has_no_queue_but_its_length(self, store: Store) -> None:
        start = Start(store)
        start.claim()
        start.queue(1, 2)
        for state in (store.get(KEY)[0], store.leases("ns", "model")[0][0]):
            assert (state.queue, state.queued, state.horizon) == ((), 2, None)

    def test_what_is_not_changed_is_not_recorded(self, store: Store) -> None:
        start = Start(store)
        start.look()
        start.edit(KEY, lambda state: LeaseState(KEY), Need())
        assert store.leases("ns", "model")[0] == []
        assert store.prune(0) == 0


class NameCases:
    """Names are what they are, of any length up to 255 and of any character."""

    @pytest.mark.parametrize("alike", ALIKE.values(), ids=ALIKE)
    @pytest.mark.parametrize("part", Key._fields)
    def test_names_alike_are_two_names(
        self, store: Store, part: str, alike: tuple[str, str]
    ) -> None:
        start = Start(store)
        for name in alike:
            start.claim(KEY._replace(**{part: name}), holder=f"holder of {name}")
        for name in alike:
            tenure = store.get(KEY._replace(**{part: name}))[0].tenure
            assert tenure is not None
            assert tenure.holder == f"holder of {name}"

    @pytest.mark.parametrize("alike", ALIKE.values(), ids=ALIKE)
    def test_entities_alike_are_two_entities(self, store: Store, alike: tuple[str, str]) -> None:
        start = Start(store)
        start.ask(*(Pin(KEY, entity) for entity in alike))
        assert set(store.get(KEY)[0].pins) == set(alike)

    def test_names_do_not_run_together(self, store: Store) -> None:
        start = Start(store)
        keys = [Key("ab", "c", "d"), Key("a", "bc", "d"), Key("a", "b", "cd"), Key("abc", "", "d")]
        assert [start.claim(key, holder=f"{key}").term for key in keys] == [1] * 4

    @pytest.mark.parametrize("letter", ["x", "\u00e9", "\U0001f512"])
    def test_names_of_255_characters(self, store: Store, letter: str) -> None:
        long = letter * 255
        key = Key(long, long, long)
        start = Start(store)
        start.claim(key, holder=long)
        start.ask(Pin(key, long), Claim(key, long[:254] + "y", DURATION, start.claim_id(1)))
        [state], _ = store.leases(long, long)
        assert (state.key, state.pins) == (key, (long,))
        assert state.tenure is not None
        assert state.tenure.holder == long
        assert [w.holder for w in store.waiting(key)] == [long[:254] + "y"]

    @pytest.mark.parametrize("name", AWKWARD)
    def test_names_are_never_part_of_a_statement(self, store: Store, name: str) -> None:
        start, key = Start(store), Key(name, name, name)
        start.claim(key, holder=name)
        start.ask(Pin(key, name), Claim(key, name + name, DURATION, start.claim_id(1)))
        [state], _ = store.leases(name, name)
        assert (state.key, state.pins) == (key, (name,))
        assert [w.holder for w in store.waiting(key)] == [name + name]
