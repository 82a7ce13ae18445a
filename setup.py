"""Builds the wheel: the folders as they lie here, and the page's libraries, fetched for it.

Everything else about the package is in pyproject.toml.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).resolve().parent))


class BuildProgram(build_py):
    """Adds the browser libraries."""

    def run(self) -> None:
        """Copy the packages and, beside the page, what it loads."""
        import bare_names

        super().run()
        vendor = Path(self.build_lib) / "claude_accounts" / "static" / "vendor"
        shutil.rmtree(vendor, ignore_errors=True)
        with tempfile.TemporaryDirectory() as folder:
            fetched = Path(folder, "fetched", "vendor")
            bare_names.member("dashboard.browser_libs").install_into(str(fetched))
            shutil.copytree(fetched, vendor)


setup(cmdclass={"build_py": BuildProgram})
