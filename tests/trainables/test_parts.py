"""Parts chosen by name; every refusal is one line that names key, value and what is allowed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from trainables.messages import one_line
from trainables.parts import Config, OneOf


class ToolConfig(Config):
    kind: str


class Hammer:
    class Config(ToolConfig):
        """``weight`` in kilograms."""

        kind: Literal["hammer"] = "hammer"
        weight: float = Field(default=1.0, gt=0)


class Saw:
    class Config(ToolConfig):
        """A saw has teeth."""

        kind: Literal["saw"] = "saw"
        teeth: int = Field(ge=1)
        handle: Literal["wood", "steel"] = "wood"


class Spoon:
    class Config(ToolConfig):
        """Of another table."""

        kind: Literal["spoon"] = "spoon"


TOOLS: dict[str, type[Any]] = {"hammer": Hammer, "saw": Saw}


class Grip(Config):
    """Holds a tool."""

    tool: Annotated[Config, OneOf(TOOLS)]
    force: float = 1.0


class Box(Config):
    """Tools, and one at hand."""

    tools: list[Annotated[Config, OneOf(TOOLS)]] = []
    grip: Grip = Grip(tool=Hammer.Config())


def held(tool: Any) -> Grip:
    return Grip.model_validate({"tool": tool})


def refusal(value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Grip.model_validate(value)
    return one_line(caught.value)


@pytest.mark.parametrize(
    "value", ["hammer", {"kind": "hammer"}, {"kind": "hammer", "weight": 1}, Hammer.Config()]
)
def test_a_part_is_given_by_its_kind_a_mapping_or_itself(value: Any) -> None:
    assert held(value).tool == Hammer.Config(weight=1.0)


def test_a_configuration_goes_out_and_comes_back() -> None:
    tools = ["hammer", {"kind": "saw", "teeth": 9}]
    box = Box.model_validate({"tools": tools, "grip": {"tool": "hammer", "force": 0.25}})
    plain = box.model_dump(mode="json")
    assert plain["tools"][1] == {"kind": "saw", "teeth": 9, "handle": "wood"}
    assert Box.model_validate(plain) == box
    assert Box.model_validate_json(box.model_dump_json()) == box
    assert Box.model_validate(box.model_dump()) == box


def test_configurations_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        held("hammer").force = 2.0
    with pytest.raises(ValidationError, match="frozen"):
        held("hammer").tool.weight = 2.0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({}, "tool: this key is required"),
        ({"tool": "fork"}, "tool: kind: 'fork' is not known; allowed: hammer, saw"),
        ({"tool": {"kind": "fork"}}, "tool: kind: 'fork' is not known; allowed: hammer, saw"),
        ({"tool": {"kind": ["saw"]}}, "tool: kind: ['saw'] is not known; allowed: hammer, saw"),
        ({"tool": {"teeth": 3}}, "tool: {'teeth': 3} has no `kind`; allowed: hammer, saw"),
        ({"tool": None}, "tool: None has no `kind`; allowed: hammer, saw"),
        ({"tool": 7}, "tool: 7 has no `kind`; allowed: hammer, saw"),
        ({"tool": "saw"}, "tool: teeth: this key is required"),
        ({"tool": {"kind": "hammer", "teeth": 3}}, "tool: teeth: this key is not known"),
        (
            {"tool": {"kind": "hammer", "weight": 0}},
            "tool: weight: 0 is not allowed: input should be greater than 0",
        ),
        (
            {"tool": {"kind": "saw", "teeth": 3, "handle": "glass"}},
            "tool: handle: 'glass' is not allowed: input should be 'wood' or 'steel'",
        ),
        ({"tool": "hammer", "force": "much"}, "force: 'much' is not allowed: input should be a"),
        (
            {"tool": "hammer", "force": float("nan")},
            "force: nan is not allowed: input should be a finite number",
        ),
        ({"tool": "hammer", "farce": 1}, "farce: this key is not known"),
        ({"tool": Spoon.Config()}, "tool: kind: 'spoon' is not known; allowed: hammer, saw"),
        ({"tool": Box()}, "tool: {'tools': [], 'grip': "),
        ("grip", "'grip' is not allowed: input should be a valid dictionary"),
        (None, "None is not allowed: input should be a valid dictionary"),
    ],
)
def test_a_refusal_names_key_value_and_what_is_allowed(value: Any, line: str) -> None:
    assert refusal(value).startswith(line)


def test_the_path_to_a_key_is_named() -> None:
    with pytest.raises(ValidationError) as caught:
        Box.model_validate({"tools": ["hammer", {"kind": "saw", "teeth": 0}]})
    assert one_line(caught.value) == (
        "tools.1: teeth: 0 is not allowed: input should be greater than or equal to 1"
    )


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["kind", "teeth", "weight"]) | st.text(), inner)
    ),
    max_leaves=10,
)


@given(anything, st.dictionaries(st.text(), anything, max_size=2))
def test_whatever_is_given_the_answer_is_one_line(tool: Any, others: dict[str, Any]) -> None:
    """Line ends in keys and values included."""
    lines = ["accepted"]
    try:
        Grip.model_validate({"tool": tool, **others})
    except ValidationError as error:
        lines = one_line(error).splitlines()
    assert len(lines) == 1


@pytest.mark.parametrize(
    "value", [{"tool": "hammer", "a\nb": 1}, {"tool": {"kind": "saw", "\r": 1}}]
)
def test_a_line_end_in_a_key_does_not_break_the_line(value: dict[str, Any]) -> None:
    assert len(refusal(value).splitlines()) == 1


def test_braces_in_a_value_are_shown_as_they_are() -> None:
    assert refusal({"tool": "{x}"}).startswith("tool: kind: '{x}' is not known")
    assert "{allowed}" in refusal({"tool": {"kind": "hammer", "weight": "{allowed}"}})


def test_a_kind_that_comes_later_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a plugin's does: the table is read when a value is checked."""
    monkeypatch.setitem(TOOLS, "spoon", Spoon)
    assert held("spoon").tool == Spoon.Config()


def test_the_schema_lists_every_kind() -> None:
    (hammer, saw) = Grip.model_json_schema()["properties"]["tool"]["oneOf"]
    assert hammer["properties"]["kind"]["const"] == "hammer"
    assert saw["properties"]["teeth"]["minimum"] == 1
