"""`groundswift migrate`: shell scripts written for ms-swift 2.x (and the 3.x names that 4.6 lacks) -> ms-swift 4.6.

`shell` finds words in a script, `commands` the swift commands among them, `tables` reads what 2.6.1 called its flags, models and
datasets, `rules` has the replacement of each flag, `rewrite` edits one command, `script` a whole file. A migration is a list of edits at
positions of the original text, so every other byte stays.
"""
