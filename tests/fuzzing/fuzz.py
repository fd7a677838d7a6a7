"""Feed the parser of every family, every converter, lint, the evaluator, compare and report with inputs made to break them: `make fuzz`.

    python tests/fuzzing/fuzz.py --runs 1000000          # texts for the grammars; the commands get their share
    python tests/fuzzing/fuzz.py --target "convert coco" --runs 5000

Each target runs in a process of its own. atheris (extra `fuzz`) leads its inputs by the lines that they reach; `--plain` draws them from a
seed, for a Python that has no atheris. Ends with inputs, exceptions and speed, and with exit code 1 where something failed.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from tqdm import tqdm

import groundswift  # before the tests' folder is on the path: a folder in it has the same name

GRAMMARS = "grammars"
SHARE = 5000  # texts for the grammars that come to one run of each command
LONGEST = 400  # bytes of an input
OURS = ("groundswift", "fuzz_target", "hostile_text", "fuzz_commands", "mutations", "source_examples", "converted")


def target_of(name: str) -> Callable[[bytes], None]:
    """The target of a name; its modules load here, so that atheris can instrument them."""
    if name == GRAMMARS:
        return import_module("fuzz_target").Target()
    return import_module("fuzz_commands").CommandTarget(name)


def targets() -> list[str]:
    return [GRAMMARS, *import_module("fuzz_commands").TARGETS]


def report(name: str, target: object, seconds: float, driver: str) -> int:
    failures = target.failures
    print(f"\nfuzzing {name} with {driver}: {target.inputs} inputs, {target.inputs / seconds:.0f} a second, {seconds:.0f} s")
    if name == GRAMMARS:
        print(f"  inputs      {target.characters} characters for {len(target.families)} families that differ in their text")
        print(f"  statuses    {', '.join(f'{status} {count}' for status, count in target.statuses.most_common())}")
        print(f"  least read  {min(target.families.items(), key=lambda item: item[1], default=('none', 0))}")
        print(f"  repeated    {target.pumped} inputs to 60,000 characters; slowest {target.slowest_us_per_char:.2f} us a character")
    else:
        print(f"  exit codes  {', '.join(f'{code}: {count}' for code, count in sorted(target.codes.items()))}")
    print(f"  exceptions  {sum(count for count, _, _ in failures.values())}")
    for kind, (count, where, text) in failures.items():
        print(f"    {count} x {kind}: {where} {text[:500]!r}")
    return 1 if failures else 0


def draw_bytes(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(LONGEST) if rng.random() < 0.2 else rng.randrange(60))


def plain(name: str, runs: int, seed: int) -> int:
    target, rng = target_of(name), random.Random(seed)
    start = time.perf_counter()
    for _ in tqdm(range(runs), desc=name, unit="input", mininterval=1):
        target(draw_bytes(rng))
    if name != GRAMMARS:
        target.close()
    return report(name, target, time.perf_counter() - start, f"seed {seed}")


def guided(name: str, runs: int, seed: int) -> None:
    """Ends the process, with the exit code of the report: a run of atheris never returns."""
    import atheris

    with atheris.instrument_imports(include=["groundswift"], enable_loader_override=False):
        for module in [module for module in sys.modules if module.partition(".")[0] in OURS]:
            del sys.modules[module]
        sys.path.remove(str(TESTS))
        import_module("groundswift")
        sys.path.append(str(TESTS))
        target = target_of(name)  # a command runs once here, so that what it loads is instrumented too
        if name != GRAMMARS:
            target(b"")
    start, progress = time.perf_counter(), tqdm(total=runs, desc=name, unit="input", mininterval=1)

    def one_input(data: bytes) -> None:
        target(data)
        progress.update()
        if progress.n >= runs:
            progress.close()
            if name != GRAMMARS:
                target.close()
            code = report(name, target, time.perf_counter() - start, f"atheris {version('atheris')}, seed {seed}")
            sys.stdout.flush()
            os._exit(code)

    options = [f"-runs={runs + 1}", f"-seed={seed}", f"-max_len={LONGEST}", "-timeout=60", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options], one_input)
    atheris.Fuzz()


def all_targets(runs: int, seed: int, plainly: bool) -> int:
    """Every target in a process of its own -> 1 where one of them failed."""
    failed = []
    for name in targets():
        share = runs if name == GRAMMARS else max(1, runs // SHARE)
        words = [sys.executable, __file__, "--target", name, "--runs", str(share), "--seed", str(seed)]
        if subprocess.run([*words, *(["--plain"] if plainly else [])]).returncode:
            failed.append(name)
    print(f"\n{len(targets())} targets; failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", help="one of them alone, all its inputs its own")
    parser.add_argument("--plain", action="store_true", help="inputs from the seed alone, without atheris")
    options = parser.parse_args()
    led = not options.plain and find_spec("atheris") is not None
    if options.target is None:
        if not led and not options.plain:
            print("atheris is not installed (pip install '.[fuzz]', Python 3.11 or later): inputs from the seed alone", file=sys.stderr)
        return all_targets(options.runs, options.seed, not led)
    if options.target not in targets():
        parser.error(f"no target {options.target!r}; expected one of {', '.join(targets())}")
    if led:
        guided(options.target, options.runs, options.seed)
    return plain(options.target, options.runs, options.seed)


TESTS = Path(__file__).resolve().parents[1]
assert groundswift.__version__
sys.path += [str(TESTS), str(TESTS / "helpers")]

if __name__ == "__main__":
    sys.exit(main())
