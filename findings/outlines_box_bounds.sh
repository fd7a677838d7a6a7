#!/usr/bin/env bash
# A JSON schema with bounds for the numbers of a box, compiled by outlines-core, lets any number through
#
# Versions    outlines-core 0.2.14, jsonschema 4.26.0
# Input       the schema of an answer: bbox_2d, four integers from 0 to 999; texts that it allows and forbids
# Expected    the regular expression that steers decoding accepts what the schema accepts, or compiling it refuses 'maximum'
# Behaviour   minItems and maxItems are kept, minimum and maximum are dropped silently: 123456 and -5 pass as coordinates.
source "$(dirname "$0")/_run.sh"
packages outlines-core==0.2.14 jsonschema==4.26.0
seen=$(observe <<'PYTHON'
import json
import re

from jsonschema import Draft202012Validator
from outlines_core.json_schema import build_regex_from_schema

number = {"type": "integer", "minimum": 0, "maximum": 999}
schema = {
    "type": "object",
    "properties": {"bbox_2d": {"type": "array", "items": number, "minItems": 4, "maxItems": 4}},
    "required": ["bbox_2d"],
}
pattern = re.compile(build_regex_from_schema(json.dumps(schema)))
for box in ([12, 34, 560, 999], [12, 34, 560], [12, 34, 560, 123456], [-5, 34, 560, 780]):
    answer = {"bbox_2d": box}
    allowed = Draft202012Validator(schema).is_valid(answer)
    print(box, "schema", allowed, "outlines-core", pattern.fullmatch(json.dumps(answer)) is not None)
PYTHON
)
verdict "[12, 34, 560, 999] schema True outlines-core True
[12, 34, 560] schema False outlines-core False
[12, 34, 560, 123456] schema False outlines-core True
[-5, 34, 560, 780] schema False outlines-core True" "$seen"
