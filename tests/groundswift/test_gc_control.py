"""What is said to Python's collector and to the C library about memory."""

import platform
import subprocess
import sys

import pytest

CHILD = """
import resource, sys
import numpy as np
from groundswift.gc_control import keep_freed
if "keep" in sys.argv:
    keep_freed()
for _ in range(30):
    _ = [np.ones(400_000) for _ in range(4)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.process
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_that_is_kept_costs_no_page_faults():
    faults = [int(subprocess.check_output([sys.executable, "-c", CHILD, *words])) for words in ([], ["keep"])]
    assert faults[1] < faults[0] / 2, faults
