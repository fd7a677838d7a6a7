"""Options structs as click options: a field becomes `--field`, its type the values it takes, its description the help."""

from __future__ import annotations

from functools import cache
from typing import Any

import click
import msgspec
from msgspec import inspect

DIGITS = 18  # of a whole number that such an option takes
RENAMED = dict(turned="exif_boxes", save_pictures="save_images", pictures="image_files")  # noqa: C408 - old field -> field, for one version


class NameOrNumber(click.ParamType):
    """One of some names, or a whole number from 0."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.name = "|".join([*names, "N"])

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """As choices are shown: in the letters that are taken."""
        return f"[{self.name}]"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> str | int:
        text = str(value)
        if text in self.names:
            return text
        if text.isascii() and text.isdigit() and len(text) <= DIGITS:
            return int(text)
        self.fail(f"{text[:100]!r}: expected {', '.join(self.names)} or a whole number from 0", param, context)


@cache
def fields_of(struct: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    """The fields with their types; msgspec takes milliseconds to look them up."""
    return inspect.type_info(struct).fields


def options_of(struct: type[msgspec.Struct]) -> list[click.Parameter]:
    """A click parameter for each field: `annotations` is the argument, all others are options."""
    parameters = [_parameter(field) for field in fields_of(struct)]
    return sorted(parameters, key=lambda each: not isinstance(each, click.Argument))


def path_fields(struct: type[msgspec.Struct]) -> list[str]:
    """The fields that hold a path."""
    return [field.name for field in fields_of(struct) if _unwrapped(field.type)[2].get("path")]


def as_given(name: str) -> str:
    """A field as the command has it."""
    return "SOURCE" if name == "annotations" else f"--{name.replace('_', '-')}"


def current_field(name: str) -> str:
    """A field by its name; an old name is reported on stderr."""
    if name not in RENAMED:
        return name
    click.echo(f"{as_given(name)} is now {as_given(RENAMED[name])}; the old name will be removed in the next version", err=True)
    return RENAMED[name]


def current_option(name: str) -> str:
    """What click calls with the name of each option that is given, without its dashes."""
    field = name.replace("-", "_")
    return current_field(field).replace("_", "-") if field in RENAMED else name


def _parameter(field: inspect.Field) -> click.Parameter:
    kind, meta, extra = _unwrapped(field.type)
    if field.name == "annotations":
        return click.Argument(["annotations"], metavar=extra.get("metavar", "SOURCE"))
    settings: dict[str, Any] = {"help": meta.get("description"), "metavar": extra.get("metavar")}
    if not field.required and field.default is not msgspec.NODEFAULT:
        settings |= {"default": field.default, "show_default": field.default is not None and field.default != ""}
    name = as_given(field.encode_name)
    if isinstance(kind, inspect.BoolType):
        return click.Option([f"{name}/--no-{name[2:]}", field.name], **settings | {"metavar": None})
    if isinstance(kind, inspect.VarTupleType):
        return click.Option([name, field.name], multiple=True, **settings | {"show_default": False})
    return click.Option([name, field.name], type=_click_type(kind), required=field.required, **settings)


def _unwrapped(kind: inspect.Type) -> tuple[inspect.Type, dict[str, Any], dict[str, Any]]:
    """The type itself, without `| None` and what describes it: (type, JSON schema of it, extra)."""
    schema: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    while isinstance(kind, (inspect.Metadata, inspect.UnionType)):
        if isinstance(kind, inspect.Metadata):
            schema, extra, kind = schema | (kind.extra_json_schema or {}), extra | (kind.extra or {}), kind.type
            continue
        others = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
        if len(others) != 1:
            break
        kind = others[0]
    return kind, schema, extra


def _click_type(kind: inspect.Type) -> click.ParamType:
    if isinstance(kind, inspect.LiteralType):
        return click.Choice(list(kind.values))
    if isinstance(kind, inspect.IntType):
        return click.IntRange(min=kind.ge) if kind.ge is not None else click.INT
    if isinstance(kind, inspect.FloatType):
        return click.FloatRange(min=kind.ge, max=kind.le)
    if isinstance(kind, inspect.UnionType):  # names, or a count
        return NameOrNumber([value for each in kind.types if isinstance(each, inspect.LiteralType) for value in each.values])
    return click.STRING
