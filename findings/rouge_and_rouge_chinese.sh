#!/usr/bin/env bash
# rouge-chinese 1.0.3 overwrites the module `rouge` of rouge 1.0.1: the same import then gives other scores and other errors
#
# Versions    rouge 1.0.1, rouge-chinese 1.0.3, six 1.17.0
# Input       a caption of two sentences in another order, and answers without a word, as an untrained model gives them
# Expected    a package with another name leaves `from rouge import Rouge` as it is: rouge-chinese has its own import, rouge_chinese
# Behaviour   its wheel also holds rouge/__init__.py and rouge/rouge.py, which pip writes over those of rouge without a word. Sentences are
#             then no longer split at full stops, so ROUGE-L of the same captions changes, and other answers raise ValueError.
#             ms-swift's text metric imports rouge; evalscope brings rouge-chinese.
source "$(dirname "$0")/_run.sh"
packages rouge==1.0.1 six==1.17.0
cat > "$FOLDER/score.py" <<'PYTHON'
from rouge import Rouge


def score(answer, truth):
    try:
        return round(Rouge().get_scores(answer, truth)[0]["rouge-l"]["f"], 3)
    except ValueError as error:
        return str(error)


print("two sentences:", score("a cat sits . a dog runs", "a dog runs . a cat sits"))
print("dots:", score("...", "a dog"))
print("a line break:", score("\n", "a dog"))
PYTHON
seen="rouge
$(observe < "$FOLDER/score.py")"
packages rouge-chinese==1.0.3
seen="$seen
rouge, and then rouge-chinese
$(observe < "$FOLDER/score.py")"
verdict "rouge
two sentences: 1.0
dots: Hypothesis is empty.
a line break: 0.0
rouge, and then rouge-chinese
two sentences: 0.429
dots: 0.0
a line break: Hypothesis is empty." "$seen"
