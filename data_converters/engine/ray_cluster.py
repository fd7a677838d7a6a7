"""A Ray cluster for the time of a command: that of RAY_ADDRESS, or processes that Ray starts on this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from groundswift.errors import GroundswiftError, Interrupted, error_at


def ray_package(option: str) -> ModuleType:
    """The package ray. `option`: what asks for it. Raises GroundswiftError where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError:
        raise GroundswiftError(f"{option} needs the package ray: pip install 'groundswift[ray]'") from None
    return ray


@contextmanager
def cluster(option: str, cpus: int) -> Iterator[None]:
    """Connect to the cluster, or start one of `cpus` CPUs that ends with the block.

    Raises GroundswiftError where it does not begin, and Interrupted where it fails in the block.
    """
    ray = ray_package(option)
    ours = not ray.is_initialized()
    if ours:
        alone = {"address": "local", "num_cpus": cpus, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        elsewhere = {} if os.environ.get("RAY_ADDRESS") else alone  # without "local" Ray looks for what an ended cluster left behind
        try:
            ray.init(log_to_driver=False, logging_level="error", **elsewhere)
        except (OSError, RuntimeError, ValueError) as error:
            where = f"RAY_ADDRESS={os.environ['RAY_ADDRESS']}" if not elsewhere else option
            raise error_at(where, f"cannot start ({str(error).strip().partition('. ')[0][:240]})", "a running cluster") from None
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what fails is raised
    try:
        yield
    except ray.exceptions.RayTaskError:  # an error of the code itself, with its traceback
        raise
    except ray.exceptions.RayError as error:
        what = f"the cluster failed ({type(error).__name__}: {str(error).strip().splitlines()[0][:240]})"
        raise Interrupted(f"{option}: {what}") from None
    finally:
        if ours:
            ray.shutdown()
