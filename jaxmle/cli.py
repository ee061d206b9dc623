"""The command line: `jaxmle demo | fit | predict | families`. Exit status: 0, 1 not converged, 2 usage or bad input."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    if arguments.command == "demo":
        from .demos import DEMOS, run

        if arguments.list:
            print("\n".join(f"{name:12} {what}" for name, what in DEMOS.items()))
            return 0
        if arguments.name not in DEMOS:
            print(f"jaxmle: there is no demo {arguments.name!r}; see: jaxmle demo --list", file=sys.stderr)
            return 2
        return 0 if run(arguments.name, arguments.save) else 1
    from . import commands
    from .errors import DataError, ModelError

    try:
        return getattr(commands, f"run_{arguments.command}")(arguments)
    except (DataError, ModelError) as error:
        print(f"jaxmle: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # the reader has seen enough
            sys.stderr.close()
            return 0
        print(f"jaxmle: {error.strerror}: {error.filename}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jaxmle", description="Maximum likelihood on JAX: any log-density, fitted, proved and reported."
    )
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    commands = parser.add_subparsers(dest="command", metavar="command")
    demo = commands.add_parser(
        "demo",
        help="programs that show what maximum likelihood does, with the numbers that prove it",
        description="Run a demo, compare its numbers with what they should be, and save a picture.",
    )
    demo.add_argument("name", nargs="?", default="certified", help="which; default: %(default)s")
    demo.add_argument("--list", action="store_true", help="list the demos")
    demo.add_argument(
        "--save",
        metavar="FILE",
        type=_picture,
        default=Path("jaxmle-demo.png"),
        help=f"where the picture goes ({', '.join(PICTURES)}); default: %(default)s",
    )
    _add_fit(commands)
    _add_predict(commands)
    families = commands.add_parser("families", help="list the families, or tell all about one")
    families.add_argument("name", nargs="?", help="a family")
    return parser


def _add_fit(commands: Any) -> None:
    fit = commands.add_parser(
        "fit",
        help="fit a family to a CSV, Parquet or Arrow file",
        description="Fit a family to a CSV, Parquet or Arrow file. A formula is read, never run: it cannot execute code.",
        epilog='example: jaxmle fit poisson "visits ~ age + C(site)" data.csv --weights w --save fit.jaxmle',
    )
    fit.add_argument("family", help="such as poisson; see: jaxmle families")
    fit.add_argument("formula", help="'response ~ terms', or the response alone (several: 'a,b,c')")
    fit.add_argument("data", help="a .csv, .tsv, .parquet, .arrow or .feather file; - is CSV on the standard input")
    fit.add_argument("--param", action="append", default=[], metavar="NAME=FORMULA",
                     help="formula ('dispersion=~ site') or fixed value of another parameter; may be repeated")  # fmt: skip
    fit.add_argument("--weights", metavar="COLUMN", help="frequencies")
    fit.add_argument("--exposure", metavar="COLUMN", help="its logarithm is added to the predictor")
    fit.add_argument("--trials", metavar="COLUMN", help="of binomial families")
    fit.add_argument("--group", metavar="COLUMN", help="of conditional_logit")
    fit.add_argument("--link", help="of the first parameter")
    fit.add_argument("--zero", metavar="FORMULA", help="inflate zeros, with this formula for their probability")
    fit.add_argument("--event", metavar="COLUMN", help="right-censor the rows in which it is 0")
    fit.add_argument("--penalty", choices=["firth"], help="Firth's bias-reducing penalty")
    fit.add_argument("--missing", choices=["raise", "drop"], default="raise", help="rows with missing values")
    fit.add_argument(
        "--collinear", choices=["raise", "drop"], default="raise", help="columns that depend on each other"
    )
    fit.add_argument(
        "--covariance", default="default", metavar="KIND", help="of the JSON's standard errors: HC0, HC1, ..."
    )
    fit.add_argument("--cluster", metavar="COLUMN", help="cluster the JSON's standard errors")
    fit.add_argument("--level", type=_level, default=0.95, help="of the intervals; default: %(default)s")
    fit.add_argument("--json", metavar="FILE", nargs="?", const="-", help="write the results as JSON; no FILE: instead of "
                     "the summary")  # fmt: skip
    fit.add_argument("--save", metavar="FILE", help="save the fit, for jaxmle predict and jm.load")


def _add_predict(commands: Any) -> None:
    predict = commands.add_parser("predict", help="predict the rows of a file by a saved fit; writes CSV")
    predict.add_argument("fit", help="a file that jaxmle fit --save wrote")
    predict.add_argument("data", help="a .csv, .tsv, .parquet, .arrow or .feather file; - is CSV on the standard input")
    predict.add_argument("--what", default="mean", help="mean, prob, label, quantile, interval, variance, linear, or a "
                         "parameter; default: %(default)s")  # fmt: skip
    predict.add_argument("--se", action="store_true", help="add standard errors")
    predict.add_argument("--q", type=_level, help="probability of the quantile")
    predict.add_argument("--value", type=float, help="value whose probability is asked for")
    predict.add_argument("--level", type=_level, default=0.95, help="of the interval; default: %(default)s")
    predict.add_argument("--output", metavar="FILE", help="default: the standard output")


def _level(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"a number between 0 and 1 is needed; got {text!r}")
    return value


def _picture(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in PICTURES:
        raise argparse.ArgumentTypeError(f"a picture's name ends in one of {', '.join(PICTURES)}; got {text!r}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    return path


if __name__ == "__main__":
    sys.exit(main())
