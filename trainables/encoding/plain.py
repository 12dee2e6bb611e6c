"""Arrow's many ways to hold numbers and lists as the few that are read; nothing is lost on the way.

Views, dictionaries, 8-bit booleans, decimals, tensors of a fixed shape and records become lists of
numbers, or lists of lists of them. What has no such form is handed back as it is, and refused by
its type where it is read.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

WHOLE_DIGITS = 18
"""Decimals of so many digits, none behind the point, are 64-bit integers."""


def plain(column: pa.Array) -> pa.Array:
    """The same values in the same rows: nulls stay, and so does what is not known.

    Records in lists are numbers in the order of their fields' names: {b: 2, a: 1} is [1, 2].
    """
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _of_extension(column)
    if pa.types.is_dictionary(kind):
        return plain(column.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return plain(pc.run_end_decode(column))
    if pa.types.is_string_view(kind):
        return column.cast(pa.string())
    if pa.types.is_decimal(kind):
        whole = kind.scale == 0 and kind.precision <= WHOLE_DIGITS
        return column.cast(pa.int64() if whole else pa.float64())
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        return _of_lists(column, _within(pc.list_flatten(column)))
    if is_list(kind):
        inner = pc.list_flatten(column)
        converted = _within(inner)
        return column if converted is inner else _of_lists(column, converted)
    return column


def _within(values: pa.Array) -> pa.Array:
    """What lists hold: records count here alone, as steps."""
    return _of_record(values) if pa.types.is_struct(values.type) else plain(values)


def fields(kind: pa.DataType) -> tuple[str, ...]:
    """The names of the values of a step that is a record, in the order of `plain`; else none."""
    while is_list(kind) or pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        kind = kind.value_type
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return fields(kind.value_type)
    return tuple(sorted(field.name for field in kind)) if pa.types.is_struct(kind) else ()


def is_list(kind: pa.DataType) -> bool:
    """Whether it holds lists by offsets, or of one size."""
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _of_lists(column: pa.Array, values: pa.Array) -> pa.Array:
    """Lists as long as those of ``column``, null where they are, of all the ``values`` in order."""
    lengths = pc.list_value_length(column).cast(pa.int64())
    known = lengths.fill_null(0).to_numpy()
    offsets = pa.array(np.concatenate([[0], np.cumsum(known)]), pa.int64())
    mask = column.is_null() if column.null_count else None
    return pa.LargeListArray.from_arrays(offsets, values, mask=mask)


def _of_extension(column: pa.ExtensionArray) -> pa.Array:
    kind = column.type
    if kind.extension_name == "arrow.bool8":
        return column.cast(pa.bool_())
    if kind.extension_name != "arrow.fixed_shape_tensor":
        return column
    if len(kind.shape) == 1:
        return column.storage
    if len(kind.shape) != 2 or 0 in kind.shape:
        return column
    steps, features = kind.shape
    numbers = pc.list_flatten(column.storage)  # of rows that are not null
    if list(kind.permutation or [0, 1]) == [1, 0]:  # it lies with its features first
        if numbers.null_count:
            return column
        lying = numbers.to_numpy(zero_copy_only=False).reshape(-1, steps, features)
        numbers = pa.array(lying.transpose(0, 2, 1).reshape(-1), numbers.type)
        steps, features = features, steps
    inner = pa.FixedSizeListArray.from_arrays(numbers, features)
    rows = np.where(column.is_valid().to_numpy(zero_copy_only=False), steps, 0)
    offsets = pa.array(np.concatenate([[0], np.cumsum(rows)]), pa.int64())
    mask = column.is_null() if column.null_count else None
    return pa.LargeListArray.from_arrays(offsets, inner, mask=mask)


def _of_record(column: pa.StructArray) -> pa.Array:
    names = sorted(field.name for field in column.type)
    if not names or len(set(names)) < len(names):
        return column
    fields = [plain(pc.struct_field(column, name)) for name in names]
    found = record(fields, column.is_null() if column.null_count else None)
    return column if found is None else found


def record(fields: list[pa.Array], is_null: pa.Array | None = None) -> pa.Array | None:
    """Lists of the numbers that stand in the same place of each of ``fields``.

    None if they are no numbers, or no one type holds them all without loss.
    """
    common = _common([field.type for field in fields])
    if common is None:
        return None
    try:
        fields = [field.cast(common) for field in fields]
    except pa.ArrowInvalid:  # an integer that the common type does not hold
        return None
    rows = len(fields[0])
    together = pa.concat_arrays(fields)
    order = np.arange(len(together)).reshape(len(fields), rows).T.ravel()
    numbers = together.take(pa.array(order))
    offsets = pa.array(np.arange(rows + 1) * len(fields), pa.int64())
    return pa.LargeListArray.from_arrays(offsets, numbers, mask=is_null)


def _common(kinds: list[pa.DataType]) -> pa.DataType | None:
    """A type of numbers that holds all of these; None if there is none."""
    if all(kind == kinds[0] for kind in kinds):
        return kinds[0] if _is_number(kinds[0]) else None
    if not all(_is_number(kind) for kind in kinds):
        return None
    whole = all(not pa.types.is_floating(kind) for kind in kinds)
    return pa.int64() if whole else pa.float64()


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    )
