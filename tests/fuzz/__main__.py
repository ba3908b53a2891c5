"""Fuzz one target for a while, guided by coverage: ``python -m tests.fuzz limits --seconds 600``.

Needs atheris (``pip install atheris``). What it finds is left as a file ``crash-…``, which the
same command with the file's name replays.
"""

from __future__ import annotations

import argparse
import sys

import atheris

with atheris.instrument_imports(include=["callguard", "email"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("replay", nargs="*", help="files that were left before")
    options = parser.parse_args()
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={options.seconds}",
            "-timeout=10",
            "-rss_limit_mb=2048",
            "-max_len=4096",
            *options.replay,
        ],
        TARGETS[options.target],
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
