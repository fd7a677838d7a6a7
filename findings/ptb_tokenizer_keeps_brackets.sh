#!/usr/bin/env bash
# The tokenizer of COCO's caption evaluation keeps brackets as the words -lrb- and -rrb-
#
# Versions    pycocoevalcap 1.2
# Input       the caption `A dog (black), running!`, with Java 17
# Expected    a dog black running: the list of punctuation to drop has -LRB- and -RRB-
# Behaviour   -lrb- and -rrb- stay, and count as words in CIDEr, BLEU and ROUGE: Stanford's tokenizer runs with -lowerCase, and the list is in
#             capitals. A Chinese sentence is one word.
source "$(dirname "$0")/_run.sh"
packages pycocoevalcap==1.2
seen=$(observe <<'PYTHON'
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

captions = {1: [{"caption": "A dog (black), running!"}], 2: [{"caption": "\u4e00\u53ea\u732b\u5728\u8349\u5730\u4e0a"}]}
for words in PTBTokenizer().tokenize(captions).values():
    print(len(words[0].split()), ascii(words[0]))
PYTHON
)
verdict "6 'a dog -lrb- black -rrb- running'
1 '\\u4e00\\u53ea\\u732b\\u5728\\u8349\\u5730\\u4e0a'" "$seen"
