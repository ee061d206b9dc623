"""The command line: `jaxmle demo`; only subcommands import JAX. Exit status: 0, 1 not converged, 2 usage."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

PICTURES = (".png", ".svg", ".pdf", ".jpg")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is returned."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.version:
        from importlib.metadata import version

        print(f"jaxmle {version('jaxmle')}")
        return 0
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return 2
    from .demo import run

    return 0 if run(arguments.save) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jaxmle", description="Maximum likelihood on JAX: any log-density, fitted, proved and reported."
    )
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    commands = parser.add_subparsers(dest="command", metavar="command")
    demo = commands.add_parser(
        "demo",
        help="fit two data sets of NIST and compare with its certified results",
        description="Fit two data sets of NIST, compare with its certified results, and save a picture.",
    )
    demo.add_argument(
        "--save",
        metavar="FILE",
        type=_picture,
        default=Path("jaxmle-demo.png"),
        help=f"where the picture goes ({', '.join(PICTURES)}); default: %(default)s",
    )
    return parser


def _picture(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in PICTURES:
        raise argparse.ArgumentTypeError(f"a picture's name ends in one of {', '.join(PICTURES)}; got {text!r}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    return path


if __name__ == "__main__":
    sys.exit(main())
