"""Parts that are chosen by name: a frozen configuration, tagged by ``kind``, and a table of kinds.

One string a choice: the ``kind`` of a configuration is the key of the table, the name of the file
and the choice in a space.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic import ValidationError as PydanticValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from trainables.messages import one_line


class Config(BaseModel):
    """A frozen configuration that refuses keys it does not know.

    Attributes:
        later: fields that came after configurations had been recorded. Each is written only where
            it differs from its default, which is what was done before: so a recorded configuration
            keeps its digest, and with it its seeds.

    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    later: ClassVar[frozenset[str]] = frozenset()

    def __eq__(self, other: object) -> bool:
        """By the fields alone: what was computed of them and kept may be arrays."""
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in type(self).model_fields)

    @model_validator(mode="before")
    @classmethod
    def _no_flag_for_a_number(cls, given: Any) -> Any:
        """``trials: yes`` is no 1."""
        for key, value in given.items() if isinstance(given, Mapping) else ():
            if isinstance(value, bool) and key in cls.model_fields:
                kinds = set(_kinds(cls.model_fields[key].annotation))
                if kinds & {int, float} and bool not in kinds:
                    raise ValueError(f"{key}: {value} is not allowed; allowed: a number")
        return given

    @model_serializer(mode="wrap")
    def _as_recorded(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        fields = type(self).model_fields
        same = {name for name in self.later if getattr(self, name) == fields[name].default}
        return {name: value for name, value in written.items() if name not in same}


def _kinds(annotation: Any) -> Iterator[Any]:
    """What a field may be, but for what it may hold."""
    inner = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from _kinds(inner[0])
    elif isinstance(annotation, UnionType) or get_origin(annotation) is Union:
        yield from (kind for each in inner for kind in _kinds(each))
    else:
        yield annotation


class OneOf:
    """Annotation of a field: a configuration whose ``kind`` is a key of ``table``.

    The table is read when a value is validated, so that kinds added by a plugin are known.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.table = table

    def parse(self, value: Any) -> Config:
        """The configuration in ``value``: one already, or a mapping with a ``kind``."""
        if isinstance(value, Config):
            value = value.model_dump()
        if isinstance(value, str):
            value = {"kind": value}
        allowed = ", ".join(self.table)
        if not isinstance(value, Mapping) or "kind" not in value:
            raise PydanticCustomError(
                "kind", "{value} has no `kind`; allowed: {allowed}",
                {"value": repr(value), "allowed": allowed},
            )  # fmt: skip
        kind = value["kind"]
        if not isinstance(kind, str) or kind not in self.table:
            raise PydanticCustomError(
                "kind", "kind: {kind} is not known; allowed: {allowed}",
                {"kind": repr(kind), "allowed": allowed},
            )  # fmt: skip
        try:
            config: Config = self.table[kind].Config.model_validate(dict(value))
        except PydanticValidationError as error:
            raise PydanticCustomError("part", "{reason}", {"reason": one_line(error)}) from None
        return config

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda config: config.model_dump(mode="json")
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schemas = [part.Config.__pydantic_core_schema__ for part in self.table.values()]
        return {"oneOf": [handler(schema) for schema in schemas]}
