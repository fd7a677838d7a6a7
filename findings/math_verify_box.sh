#!/usr/bin/env bash
# math-verify, a usual accuracy reward, compares two boxes by their last number
#
# Versions    math-verify 0.9.0
# Input       boxes of four numbers as text, the way vision-language models answer; truth [64, 48, 320, 240]
# Expected    the same box is right, another box is wrong, whatever the brackets
# Behaviour   outside $...$ the last number is taken for the answer: every box that ends in 240 is right. A box of two pairs is wrong even
#             when it is the same text, since nothing is extracted from it. Inside $...$ boxes are compared whole.
source "$(dirname "$0")/_run.sh"
packages "math-verify[antlr4_13_2]==0.9.0"
seen=$(observe <<'PYTHON'
from math_verify import parse, verify

for truth, answer in (
    ("[64, 48, 320, 240]", "[64, 48, 320, 240]"),
    ("[64, 48, 320, 240]", "[1, 2, 3, 240]"),
    ("[64, 48, 320, 240]", '{"bbox_2d": [9, 9, 9, 240]}'),
    ("(64,48),(320,240)", "(64,48),(320,240)"),
    ("$[64, 48, 320, 240]$", "$[1, 2, 3, 240]$"),
):
    print(truth, "|", answer, "|", verify(parse(truth), parse(answer)))
PYTHON
)
verdict '[64, 48, 320, 240] | [64, 48, 320, 240] | True
[64, 48, 320, 240] | [1, 2, 3, 240] | True
[64, 48, 320, 240] | {"bbox_2d": [9, 9, 9, 240]} | True
(64,48),(320,240) | (64,48),(320,240) | False
$[64, 48, 320, 240]$ | $[1, 2, 3, 240]$ | False' "$seen"
