"""The packages of the distribution: every folder of the rooms that holds Python files. All else is in pyproject.toml."""

from setuptools import find_packages, setup

ROOMS = {"groundswift": "groundswift"} | {f"groundswift.{name}": name for name in ("data_converters", "eval", "swift_plugins")}
setup(packages=[each for name, folder in ROOMS.items() for each in (name, *(f"{name}.{inner}" for inner in find_packages(folder)))])
