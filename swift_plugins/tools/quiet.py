"""Suppresses swift's output while it loads, so that a command's own output can be read."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

IRRELEVANT = ("`torch_dtype` is deprecated", 'pip install "decord"', "pass `strict=False`")  # warnings about nothing that is used here


@contextmanager
def quiet(trusted: bool = False) -> Iterator[None]:
    """Send what swift prints to stderr, and drop its INFO messages and deprecation warnings; other warnings stay.

    `trusted`: drop swift's warning of remote code, as there is none.
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
