"""`compute volatility` in Polars: the same windows and measures, and the sum of each."""

import json
import math
import sys
import time

import polars as pl

LN2 = math.log(2.0)


def root(squared, needs):
    value = pl.when(squared > 0.0).then(squared.sqrt()).otherwise(0.0)
    return pl.when(pl.col("bars") >= needs).then(value)


def measures(bars):
    col, log = pl.col, lambda above, below: (above / below).log()
    before = col("close").shift(1).over("symbol")
    bars = bars.with_columns(
        at=pl.from_epoch("start_timestamp", time_unit="ms"),
        range2=log(col("high"), col("low")).pow(2),
        up=log(col("high"), col("open")),
        down=log(col("low"), col("open")),
        body=log(col("close"), col("open")),
        gap=log(col("open"), before),
        r=log(col("close"), before),
    ).with_columns(
        rs=col("up") * (col("up") - col("body")) + col("down") * (col("down") - col("body")),
        gk=0.5 * col("range2") - (2.0 * LN2 - 1.0) * col("body").pow(2),
        r2=col("r").pow(2),
        product=col("r").abs() * col("r").abs().shift(1).over("symbol"),
    ).with_columns(gkyz=col("gap").pow(2) + col("gk"))
    windows = bars.group_by_dynamic(
        "at", every="1m", period="30m", offset="-29m", closed="left", group_by="symbol"
    ).agg(
        bars=pl.len(),
        range2=col("range2").sum(),
        gk=col("gk").sum(),
        rs=col("rs").sum(),
        volume=col("volume").sum(),
        first=col("open").first(),
        last=col("close").last(),
        r2=col("r2").slice(1).sum(),
        gkyz=col("gkyz").slice(1).sum(),
        later_rs=col("rs").slice(1).sum(),
        gaps=col("gap").slice(1).var(),
        bodies=col("body").slice(1).var(),
        product=col("product").slice(2).sum(),
    )
    n = col("bars").cast(pl.Float64)
    m = n - 1.0
    k = 0.34 / (1.34 + (m + 1.0) / (m - 1.0))
    bipower = (math.pi / 2.0) * col("product")
    # Its sums drift: where nothing moved they are not quite zero.
    moved = (col("r2") > bipower) & (col("r2") > 1e-12)
    jumps = pl.when(moved).then((col("r2") - bipower) / col("r2")).otherwise(0.0)
    return windows.select(
        bars=n,
        realized=root(col("r2"), 2),
        bipower=root(bipower, 3),
        parkinson=root(col("range2") / (4.0 * n * LN2), 1),
        garman_klass=root(col("gk") / n, 1),
        rogers_satchell=root(col("rs") / n, 1),
        gkyz=root(col("gkyz") / m, 2),
        yang_zhang=root(col("gaps") + k * col("bodies") + (1.0 - k) * (col("later_rs") / m), 3),
        jump_share=pl.when(col("bars") >= 3).then(jumps),
        log_return=(col("last") / col("first")).log(),
        volume=col("volume"),
    )


begun, used = time.perf_counter(), time.process_time()
result = measures(pl.scan_parquet(sys.argv[1])).select(pl.len().alias("windows"), pl.all().sum()).collect()
wall, processor = time.perf_counter() - begun, time.process_time() - used
windows, *sums = result.row(0)
print(json.dumps({"windows": windows, "sums": sums, "wall": wall, "processor": processor}))
