"""Questions of a dashboard to DuckDB: what is asked comes as JSON, how long each took goes out as JSON."""

import json
import sys
import time

import duckdb

asked = json.load(sys.stdin)
database = duckdb.connect(asked["database"])
# It would stand among the answers.
database.execute("SET enable_progress_bar = false")
for table in asked["tables"]:
    # Sorted as the questions want them, so that few blocks hold an answer.
    database.execute(
        f"CREATE TABLE IF NOT EXISTS {table['name']} AS SELECT * REPLACE (epoch_ms({table['time']}) AS {table['time']})"
        f" FROM read_parquet('{table['file']}') ORDER BY symbol, {table['time']}"
    )
rows, seconds = 0, []
for symbol, start, end in asked["questions"]:
    begun = time.perf_counter()
    for table in asked["tables"]:
        at = table["time"]
        found = database.execute(
            f"SELECT * FROM {table['name']} WHERE symbol = ? AND {at} >= ? AND {at} < ? ORDER BY {at} DESC",
            [symbol, start, end],
        ).fetchnumpy()
        rows += len(found["symbol"])
    seconds.append(time.perf_counter() - begun)
print(json.dumps({"rows": rows, "seconds": seconds}))
