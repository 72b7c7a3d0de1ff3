"""`compute volatility` in pandas: the same windows and measures, and the sum of each."""

import json
import math
import sys
import time

import numpy as np
import pandas as pd

LN2 = math.log(2.0)
MINUTE = 60_000


def terms(bars):
    """What each bar of a symbol adds to the sums that measures are made of."""
    bars = bars.assign(before=bars["close"].shift(1))
    up, down, body = (np.log(bars[name] / bars["open"]) for name in ["high", "low", "close"])
    gap, moved = np.log(bars["open"] / bars["before"]), np.log(bars["close"] / bars["before"])
    range2 = np.log(bars["high"] / bars["low"]) ** 2
    gk = 0.5 * range2 - (2.0 * LN2 - 1.0) * body**2
    return bars.assign(
        range2=range2,
        gk=gk,
        rs=up * (up - body) + down * (down - body),
        r2=moved**2,
        gkyz=gap**2 + gk,
        gap=gap,
        body=body,
        product=moved.abs() * moved.abs().shift(1),
    )


def windows(bars):
    """Each bar once for each of its windows, in the order of windows and time."""
    every = [bars.assign(window=bars["start_timestamp"] - back * MINUTE) for back in range(30)]
    rows = pd.concat(every, ignore_index=True).sort_values(["window", "start_timestamp"], ignore_index=True)
    place = rows.groupby("window").cumcount()
    rows["later_rs"] = rows["rs"]
    # What lies between two bars does not count for the first of a window.
    rows.loc[place < 1, ["r2", "gkyz", "later_rs", "gap"]] = np.nan
    rows["later_body"] = rows["body"].where(place >= 1)
    rows.loc[place < 2, "product"] = np.nan
    return rows.groupby("window").agg(
        bars=("open", "size"),
        range2=("range2", "sum"),
        gk=("gk", "sum"),
        rs=("rs", "sum"),
        volume=("volume", "sum"),
        first=("open", "first"),
        last=("close", "last"),
        r2=("r2", "sum"),
        gkyz=("gkyz", "sum"),
        later_rs=("later_rs", "sum"),
        gaps=("gap", "var"),
        bodies=("later_body", "var"),
        product=("product", "sum"),
    )


def measures(of):
    n = of["bars"].astype(float)
    m = n - 1.0
    k = 0.34 / (1.34 + (m + 1.0) / (m - 1.0))
    bipower = (math.pi / 2.0) * of["product"]
    # Its sums drift: where nothing moved they are not quite zero.
    moved = (of["r2"] > bipower) & (of["r2"] > 1e-12)
    root = lambda squared, needs: np.sqrt(squared.where(squared > 0.0, 0.0)).where(n >= needs)
    return pd.DataFrame({
        "bars": n,
        "realized": root(of["r2"], 2),
        "bipower": root(bipower, 3),
        "parkinson": root(of["range2"] / (4.0 * n * LN2), 1),
        "garman_klass": root(of["gk"] / n, 1),
        "rogers_satchell": root(of["rs"] / n, 1),
        "gkyz": root(of["gkyz"] / m, 2),
        "yang_zhang": root(of["gaps"] + k * of["bodies"] + (1.0 - k) * (of["later_rs"] / m), 3),
        "jump_share": ((of["r2"] - bipower) / of["r2"]).where(moved, 0.0).where(n >= 3),
        "log_return": np.log(of["last"] / of["first"]),
        "volume": of["volume"],
    })


begun, used = time.perf_counter(), time.process_time()
count, sums = 0, 0.0
# A symbol at a time: all at once would not fit into memory.
for _, bars in pd.read_parquet(sys.argv[1]).groupby("symbol", sort=False):
    result = measures(windows(terms(bars)))
    count, sums = count + len(result), sums + result.sum().to_numpy()
wall, processor = time.perf_counter() - begun, time.process_time() - used
print(json.dumps({"windows": count, "sums": list(sums), "wall": wall, "processor": processor}))
