"""Feed `parse` of every family with a million texts: `make fuzz`, or `python tests/fuzzing/fuzz.py --runs 1000000`.

atheris (extra `fuzz`) leads its inputs by the lines that they reach; `--plain` draws them from a seed, for a Python that has no atheris.
Ends with inputs, exceptions and speed, and with exit code 1 where something failed.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from importlib.metadata import version
from importlib.util import find_spec

from tqdm import tqdm

from fuzz_target import Target

LONGEST = 400  # bytes of an input


def report(target: Target, seconds: float, driver: str) -> int:
    print(f"\nfuzzing parse with {driver}")
    print(f"  inputs      {target.inputs} of {target.characters} characters for {len(target.families)} families that differ in their text")
    print(f"  speed       {target.inputs / seconds:.0f} inputs/s, {seconds:.0f} s")
    print(f"  statuses    {', '.join(f'{status} {count}' for status, count in target.statuses.most_common())}")
    print(f"  least fed   {min(target.families.items(), key=lambda item: item[1], default=('none', 0))}")
    print(f"  repeated    {target.pumped} inputs to 60,000 characters; slowest {target.slowest_us_per_char:.2f} us a character")
    print(f"  exceptions  {sum(count for count, _, _ in target.failures.values())}")
    for kind, (count, family, text) in target.failures.items():
        print(f"    {count} x {kind}: {family} {text[:500]!r}")
    return 1 if target.failures else 0


def plain(runs: int, seed: int) -> int:
    target, rng = Target(), random.Random(seed)
    start = time.perf_counter()
    for _ in tqdm(range(runs), unit="input", mininterval=1):
        target(rng.randbytes(rng.randrange(LONGEST) if rng.random() < 0.2 else rng.randrange(40)))
    return report(target, time.perf_counter() - start, f"seed {seed}")


def guided(runs: int, seed: int) -> None:
    """Ends the process, with the exit code of the report: a run of atheris never returns."""
    import atheris

    with atheris.instrument_imports(include=["groundswift"], enable_loader_override=False):
        for name in [name for name in sys.modules if name.partition(".")[0] in ("groundswift", "fuzz_target", "hostile_text")]:
            del sys.modules[name]
        from fuzz_target import Target as InstrumentedTarget

    target, start = InstrumentedTarget(), time.perf_counter()

    def one_input(data: bytes) -> None:
        target(data)
        if target.inputs % (runs // 100 or 1) == 0:
            progress.update(runs // 100 or 1)
        if target.inputs == runs:
            progress.close()
            code = report(target, time.perf_counter() - start, f"atheris {version('atheris')}, seed {seed}")
            sys.stdout.flush()
            os._exit(code)

    options = [f"-runs={runs + 1}", f"-seed={seed}", f"-max_len={LONGEST}", "-timeout=60", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options], one_input)
    progress = tqdm(total=runs, unit="input", mininterval=1)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="inputs from the seed alone, without atheris")
    options = parser.parse_args()
    if not options.plain and find_spec("atheris") is not None:
        guided(options.runs, options.seed)
    elif not options.plain:
        print("atheris is not installed (pip install '.[fuzz]', Python 3.11 or later): inputs from the seed alone", file=sys.stderr)
    return plain(options.runs, options.seed)


if __name__ == "__main__":
    sys.exit(main())
