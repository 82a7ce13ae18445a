"""Builds the wheel: the program's files as they lie here, in one folder of their own, with the page and its libraries.

Everything else about the package is in pyproject.toml.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

FILES = ("*.py", "commands/*.py", "locales/*.json", "static/**/*", "package.json", "package-lock.json", "LICENSE")
LEFT_OUT = ("setup.py", "static/vendor")


class BuildProgram(build_py):
    """Puts the program beside its launcher."""

    def run(self) -> None:
        """Copy the launcher, the program and, fetched for it, the browser libraries."""
        import browser_libs

        super().run()
        program = Path(self.build_lib) / "claude_accounts" / "program"
        shutil.rmtree(program, ignore_errors=True)
        for pattern in FILES:
            for path in HERE.glob(pattern):
                name = path.relative_to(HERE)
                if path.is_file() and not any(name.is_relative_to(left_out) for left_out in LEFT_OUT):
                    (program / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, program / name)
        with tempfile.TemporaryDirectory() as folder:
            browser_libs.install_into(str(Path(folder, "fetched", "vendor")))
            shutil.copytree(Path(folder, "fetched", "vendor"), program / "static" / "vendor")


setup(cmdclass={"build_py": BuildProgram})
