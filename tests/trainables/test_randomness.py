"""Every random stream has a root and a purpose, and no two are the same."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.measure.plain import digest
from trainables.randomness import _PURPOSES, Purpose, Streams

VALUE = {"b": [1, 2.5, None, True], "a": {"z": "longspan ≥ 2", "y": {}}}
KNOWN = "50360e5bb3f350b72818a8e5228cf09ef3c5bd1c48d2a28d72fc4e77071b4ffe"
STREAMS = Streams(3, digest("a configuration"))

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
keys = st.tuples(st.sampled_from(get_args(Purpose)), st.integers(1, 10**6), st.integers(0, 1000))


def draws(streams: Streams, *key: object) -> list[int]:
    generator = streams.generator(*key)  # type: ignore[arg-type]
    return torch.randint(2**62, (4,), generator=generator).tolist()


# The digest


def test_the_digest_is_the_same_in_every_process() -> None:
    """Written down once, and in a process whose hashes are seeded otherwise."""
    program = (
        "from trainables.measure.plain import digest;"
        "from trainables.randomness import Streams;"
        f"value = {VALUE!r};"
        "streams = Streams(3, digest(set('a') and value));"
        "print(digest(value), streams.seed_of('train', 8, 1))"
    )
    seen = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
    ).stdout.split()
    assert seen == [digest(VALUE), str(Streams(3, digest(VALUE)).seed_of("train", 8, 1))]
    assert seen[0] == KNOWN


@settings(max_examples=40)
@given(plain, plain)
def test_different_values_have_different_digests(one: object, other: object) -> None:
    """As JSON tells values apart."""
    assert (digest(one) == digest(other)) == (repr(_sorted(one)) == repr(_sorted(other)))
    assert len(digest(one)) == 64


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def test_the_order_of_keys_is_no_matter() -> None:
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})


# The streams


@given(keys, keys)
def test_two_purposes_rungs_or_members_never_share_a_stream(
    one: tuple[Purpose, int, int], other: tuple[Purpose, int, int]
) -> None:
    """Train, selection and test least of all."""
    assert (draws(STREAMS, *one) == draws(STREAMS, *other)) == (one == other)


def test_no_two_streams_of_a_large_search_are_the_same() -> None:
    """Every purpose, 20 rungs and 30 members, by what they draw."""
    seen = {
        tuple(draws(STREAMS, purpose, 2**rung, member))
        for purpose in get_args(Purpose)
        for rung in range(1, 21)
        for member in range(30)
    }
    assert len(seen) == len(get_args(Purpose)) * 20 * 30


@given(st.integers(0, 2**70), st.integers(0, 2**70))
def test_another_seed_is_another_stream(one: int, other: int) -> None:
    """However large, as `verify` draws its own."""
    identity = digest("a configuration")
    seeds = [Streams(seed, identity).seed_of("train", 8, 0) for seed in (one, other)]
    assert (seeds[0] == seeds[1]) == (one == other)


@settings(max_examples=40)
@given(plain, plain)
def test_another_configuration_is_another_stream(one: object, other: object) -> None:
    seeds = [Streams(0, digest(value)).seed_of("weights", 8, 0) for value in (one, other)]
    assert (seeds[0] == seeds[1]) == (digest(one) == digest(other))


@given(keys, st.lists(st.integers(0, 100), max_size=3), st.lists(st.integers(0, 100), max_size=3))
def test_what_is_added_to_a_key_counts(
    key: tuple[Purpose, int, int], one: list[int], other: list[int]
) -> None:
    """A zero too."""
    seeds = [STREAMS.seed_of(*key, *extra) for extra in (one, other)]
    assert (seeds[0] == seeds[1]) == (one == other)


@given(keys)
def test_a_stream_is_the_same_whenever_it_is_asked_for(key: tuple[Purpose, int, int]) -> None:
    untouched = torch.get_rng_state()
    assert draws(STREAMS, *key) == draws(Streams(3, STREAMS.identity), *key)
    assert 0 <= STREAMS.seed_of(*key) < 2**63
    assert torch.equal(torch.get_rng_state(), untouched)


def test_every_purpose_has_a_number_of_its_own() -> None:
    assert set(_PURPOSES) == set(get_args(Purpose))
    assert len(set(_PURPOSES.values())) == len(_PURPOSES)


def test_streams_are_values() -> None:
    assert Streams(1, "0" * 64) == Streams(1, "0" * 64)
    with pytest.raises(AttributeError):
        STREAMS.seed = 4  # type: ignore[misc]
