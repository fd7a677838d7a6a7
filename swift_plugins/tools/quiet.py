"""Silence for what swift says while it loads, so that a command's own words can be read."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

IRRELEVANT = ("`torch_dtype` is deprecated", 'pip install "decord"', "pass `strict=False`")  # warnings that concern nothing done here


@contextmanager
def quiet(trusted: bool = False) -> Iterator[None]:
    """What swift prints goes to stderr, and its notes (INFO) and announced changes of libraries nowhere; warnings stay.

    `trusted`: swift warns of a model's own code; here there is none.
    """
    before = logging.root.manager.disable
    irrelevant = (*IRRELEVANT, "trust_remote_code=True") if trusted else IRRELEVANT
    handlers = [handler for name in ("swift", "transformers") for handler in logging.getLogger(name).handlers]

    def is_relevant(record: logging.LogRecord) -> bool:
        return not any(text in record.getMessage() for text in irrelevant)

    logging.disable(max(before, logging.INFO))
    for handler in handlers:
        handler.addFilter(is_relevant)
    try:
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logging.disable(before)
        for handler in handlers:
            handler.removeFilter(is_relevant)
