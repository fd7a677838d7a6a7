"""Numbers in round or square brackets, as several grammars write them."""

from __future__ import annotations

from .numbers import listed, quadrangle_in

LISTS = listed("()<>", r";\[\]")
NESTED = {"items": LISTS, "longer": quadrangle_in, "nested": True}
SPACED = {"box": "[{0}, {1}, {2}, {3}]", "point": "[{0}, {1}]", **NESTED}
TIGHT = {"box": "{0},{1},{2},{3}", "point": "{0},{1}", **NESTED, "joint": ";"}
DOUBLE = {"opening": "[", "closing": "]"}
