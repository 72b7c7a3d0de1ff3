# %% [markdown]
# Tickwire from a notebook: run it cell by cell (Jupyter, VS Code), or at once
# with `python notebook.py`. It needs Python 3.9 and nothing else; where
# matplotlib is installed it also draws.

# %%
import csv
import io
import json
import os
import urllib.parse
import urllib.request

SERVER = os.environ.get("TICKWIRE", "http://127.0.0.1:8080")
TOKEN = os.environ.get("TICKWIRE_TOKEN")  # of `tickwire web token add notebook`, where there is a password


def ask(path, **parameters):
    """The answer under /api/v1 as text."""
    address = f"{SERVER}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
        return answer.read().decode()


def query(sql):
    """Rows of a SELECT, a dictionary each."""
    found = json.loads(ask("query", sql=sql))
    names = [column["name"] for column in found["columns"]]
    return [dict(zip(names, row)) for row in found["rows"]]


# %% What is stored?
for table in json.loads(ask("measurements"))["measurements"]:
    print(table["name"], "by", ", ".join(table["tags"]))

# %% Which symbols moved most?
busiest = query(
    "SELECT symbol, max(realized) AS most, avg(realized) AS usual FROM volatility GROUP BY symbol ORDER BY most DESC"
)
for row in busiest[:5]:
    print(f"{row['symbol']:8} {100 * row['most']:.3f} % at most, {100 * row['usual']:.3f} % usually")

# %% The volatility of the first of them, as a file would hold it
symbol = busiest[0]["symbol"] if busiest else "AAPL"
rows = list(csv.DictReader(io.StringIO(ask("export/volatility", symbol=symbol, format="csv"))))
print(len(rows), "windows of", symbol)

# %% Its picture
try:
    from datetime import datetime, timezone

    import matplotlib.pyplot as plt
except ImportError:
    print("matplotlib is not installed: no picture")
else:
    kept = [row for row in rows if row["realized"]]
    at = [datetime.fromtimestamp(int(row["window_end"]) / 1000, timezone.utc) for row in kept]
    plt.plot(at, [100 * float(row["realized"]) for row in kept])
    plt.title(f"{symbol}: realized volatility over 30 minutes, %")
    plt.show()
