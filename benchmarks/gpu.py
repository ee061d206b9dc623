"""jaxmle on a GPU against jaxmle on this machine's CPU: `python -m benchmarks.gpu [case …] [--quick]`.

Each case runs in a process of its own on each device, which makes the same data from the same seed. Compared are the
passes (value, gradient and Hessian at one point away from the optimum) and the estimates; the gradient pass is held
against the memory bandwidth of the card.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from .case import Case
from .cases import CASES
from .glms import Logistic
from .many import Many

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"

AGREE = 1e-9
"""Relative difference of GPU and CPU that is allowed: of passes by their largest element, of estimates by theirs or
their standard error, whichever is larger."""

BANDWIDTH = {
    "H200": 4.8e12, "H100 PCIe": 2.0e12, "H100 NVL": 3.9e12, "GH200": 4.0e12, "H100": 3.35e12, "B200": 8.0e12,
    "A100-SXM4-80": 2.04e12, "A100 80": 1.94e12, "A100": 1.555e12, "V100": 0.9e12, "L40": 0.864e12, "L4": 0.3e12,
    "A10": 0.6e12, "T4": 0.32e12, "4090": 1.008e12, "3090": 0.936e12,
}  # fmt: skip
"""Bytes per second by the makers' data sheets; the first name that is in the device's own."""

ASK = "import jax; print(jax.devices('gpu')[0].device_kind)"


class Large(Logistic):
    """Row I: a logistic regression that fills much of a card's memory."""

    name, row = "logistic_i", "I"
    sizes = ((10_000_000, 100),)
    quick_sizes = ((200_000, 20),)


def _cases() -> dict[str, Case]:
    chosen = [case for case in CASES.values() if case.row in ("A", "D", "E")] + [Large()]
    return {case.name: case for case in chosen}


GPU_CASES = _cases()


def at_hand() -> str | None:
    """The name of the GPU that JAX finds, or None; asked in a process of its own, which then lets go of it."""
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None if done.returncode == 0 else None


def peak_of(device: str) -> float | None:
    """The memory bandwidth of a card, where it is known."""
    return next((rate for name, rate in BANDWIDTH.items() if name.lower() in device.lower()), None)


def worker(spec: dict[str, Any]) -> None:
    """The body of a process: fits and passes of one case on one device, written as `.json` and `.npz`."""
    import jax

    import jaxmle as jm

    from .peers.registry import adapt

    case = GPU_CASES[spec["case"]]
    data = case.simulate(spec["n"], spec["p"])
    adapter = adapt("jaxmle", case, data, os.cpu_count() or 1, "")
    once = (lambda: jm.fit_many(adapter.model, data)) if isinstance(case, Many) else lambda: _fit(jm, adapter)
    seconds, fit = _repeat(once, spec["budget"])
    known: dict[str, Any] = {
        "device": jax.devices(spec["platform"])[0].device_kind,
        "bytes": int(data["X"].nbytes),
        "cold": seconds[0],
        "warm": float(np.median(seconds[1:])) if len(seconds) > 1 else seconds[0],
        "fits": len(seconds),
        "converged": bool(np.all(fit.converged)),
    }
    if isinstance(case, Many):
        arrays = {"estimates": np.ravel(fit.coef), "errors": np.ravel(fit.std_errors)}
    else:
        arrays = {"estimates": np.array(list(fit.coef.values())), "errors": np.array(list(fit.std_errors.values()))}
        objective, z = fit.session.objective, 0.9 * fit.session.z
        for name in ("gradient", "hessian"):
            times, found = _repeat(lambda needs=name: objective.evaluate(z, needs), spec["budget"] / 4, most=20)
            known[f"{name}_pass"] = float(np.median(times[1:])) if len(times) > 1 else times[0]
        arrays |= {"value": np.array(found.value), "gradient": found.gradient, "hessian": found.matrix}
    np.savez(f"{spec['out']}.npz", **arrays)
    Path(f"{spec['out']}.json").write_text(json.dumps(known))


def _fit(jm: Any, adapter: Any) -> Any:
    return jm.fit(adapter.model, adapter.data, tol=adapter.tolerance, progress=False)


def _repeat(once: Any, budget: float, most: int = 6) -> tuple[list[float], Any]:
    seconds: list[float] = []
    result = None
    while len(seconds) < 2 or (sum(seconds) < budget and len(seconds) < most):
        result = None  # of two fits only one need fit into memory
        start = time.perf_counter()
        result = once()
        seconds.append(time.perf_counter() - start)
        if len(seconds) == 1 and seconds[0] > 2 * budget:
            break
    return seconds, result


def differences(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> dict[str, float]:
    """The relative differences of what two devices found, by name."""
    out = {}
    for name in ("value", "gradient", "hessian"):
        if name in ours:
            out[name] = float(np.max(np.abs(ours[name] - theirs[name])) / np.max(np.abs(theirs[name])))
    size = np.maximum(np.abs(theirs["estimates"]), theirs["errors"])
    out["estimates"] = float(np.max(np.abs(ours["estimates"] - theirs["estimates"]) / size))
    out["errors"] = float(np.max(np.abs(ours["errors"] / theirs["errors"] - 1)))
    return out


def run_case(case: Case, n: int, p: int, platform: str, limit: float) -> dict[str, Any]:
    """One case on the device and on the CPU."""
    row: dict[str, Any] = {"row": case.row, "case": case.name, "n": n, "p": p}
    arrays = {}
    with tempfile.TemporaryDirectory(prefix="jaxmle-gpu-") as folder:
        for side in ("device", "cpu"):
            out = Path(folder) / side
            where = "cpu" if side == "cpu" else platform
            spec = dict(case=case.name, n=n, p=p, platform=where, out=str(out), budget=20.0)
            env = os.environ | {"JAXMLE_CACHE_DIR": str(Path(folder) / "cache")}
            if where == "cpu":
                env["JAX_PLATFORMS"] = "cpu"
            env["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [env.get("PYTHONPATH")])])
            print(f"{case.name} {n:,}×{p}: {where} …", file=sys.stderr, flush=True)
            command = [sys.executable, "-m", "benchmarks.gpu", "--worker", json.dumps(spec)]
            try:
                done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=limit)
            except subprocess.TimeoutExpired:
                return row | {"status": f"timeout on {where}"}
            if done.returncode:
                return row | {"status": f"failed on {where}: {(done.stderr.strip().splitlines() or ['?'])[-1][:300]}"}
            row[side] = json.loads(out.with_suffix(".json").read_text())
            with np.load(out.with_suffix(".npz")) as file:
                arrays[side] = dict(file)
    row["differences"] = differences(arrays["device"], arrays["cpu"])
    row["status"] = "agrees" if max(row["differences"].values()) <= AGREE else "DIFFERS"
    row["faster"] = row["cpu"]["warm"] / row["device"]["warm"]
    if "gradient_pass" in row["device"]:
        row["bandwidth"] = row["device"]["bytes"] / row["device"]["gradient_pass"]
        peak = peak_of(row["device"]["device"])
        row["of_peak"] = None if peak is None else row["bandwidth"] / peak
    return row


HEADER = (
    "row", "case", "n×p", "agreement", "fit s, CPU", "fit s, GPU", "× faster", "gradient pass ms, CPU", "GPU",
    "GB/s", "of the card's peak",
)  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as one Markdown table."""
    lines = [HEADER, tuple("---" for _ in HEADER)]
    for r in rows:
        first = (r["row"], r["case"], f"{r['n']:,}×{r['p']}")
        if "differences" not in r:
            lines.append((*first, r["status"].replace("|", "/"), *[""] * 7))
            continue
        worst = max(r["differences"].values())
        word = f"{r['status']} ({worst:.0e})" if r["status"] == "agrees" else f"**{r['status']} ({worst:.0e})**"
        passes = [f"{1e3 * s['gradient_pass']:.3g}" if "gradient_pass" in s else "—" for s in (r["cpu"], r["device"])]
        rate = f"{r['bandwidth'] / 1e9:.0f}" if "bandwidth" in r else "—"
        share = f"{100 * r['of_peak']:.0f} %" if r.get("of_peak") else "—"
        seconds = (f"{r[s]['warm']:.3g}" for s in ("cpu", "device"))
        lines.append((*first, word, *seconds, f"{r['faster']:.3g}", *passes, rate, share))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(argv: list[str] | None = None) -> int:
    """Run the cases on a GPU; 0 where there is none, 1 where it and the CPU do not agree."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="jaxmle on a GPU against the CPU.")
    rows = sorted({case.row for case in GPU_CASES.values()})
    parser.add_argument(
        "cases", nargs="*", metavar="case", help=f"{', '.join(GPU_CASES)}, or a row ({', '.join(rows)})"
    )
    parser.add_argument("--quick", action="store_true", help="small data")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for a case on a device")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of gpu.md and gpu.json")
    parser.add_argument("--platform", default="gpu", choices=("gpu", "cpu"), help="cpu: a rehearsal without a GPU")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.worker:
        worker(json.loads(options.worker))
        return 0
    if unknown := [c for c in options.cases if c not in GPU_CASES and c not in rows]:
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(GPU_CASES)}, and the rows {', '.join(rows)}")
    device = at_hand() if options.platform == "gpu" else "CPU (a rehearsal)"
    if device is None:
        print("No GPU is at hand (JAX finds none): nothing was measured.")
        return 0
    found = []
    for name, case in GPU_CASES.items():
        if not options.cases or {name, case.row} & set(options.cases):
            for n, p in case.quick_sizes if options.quick else case.sizes:
                found.append(run_case(case, n, p, options.platform, options.limit))
    measured = time.strftime("%Y-%m-%d")
    text = (
        f"Measured {measured}{', --quick' if options.quick else ''}, {device} against {os.cpu_count()} CPU cores.\n\n"
    )
    text += table(found) + "\n"
    print(text)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "gpu.md").write_text(text)
    kept = {"measured": measured, "device": device, "cores": os.cpu_count(), "quick": options.quick, "rows": found}
    (options.results / "gpu.json").write_text(json.dumps(kept, indent=1) + "\n")
    return 1 if any(r["status"] != "agrees" for r in found) else 0


if __name__ == "__main__":
    sys.exit(main())
