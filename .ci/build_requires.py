"""Prints what the build needs, for an environment in which pip shall not make one of its own."""

import tomllib
from pathlib import Path

with (Path(__file__).parents[1] / "pyproject.toml").open("rb") as file:
    print(*tomllib.load(file)["build-system"]["requires"], "cmake", "ninja")
