"""How long `load` takes: 10,000 models cold, and again after one file has changed.

As a server does, it takes what the first load made out of the garbage collector's sight (`gc.freeze`).

Run: python bench/policy_load.py [--models 10000] [--per-file 1]
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time

from xds_server.policy import LoadCache, load

_MODEL = """apiVersion: fairlead/v1
kind: Model
metadata:
  name: model-{index}
  workspace: team-{team}
spec:
  deployments:
    - environment: production
      policies: [eu-only]
      revisions:
        - name: v1
          weight: {weight}
          backends:
            - {{location: eu-west-3, flavor: gpu, address: "10.0.{high}.{low}:8000"}}
            - {{location: eu-central-1, flavor: gpu, address: "10.1.{high}.{low}:8000"}}
        - name: v2
          weight: 10
          backends:
            - {{location: eu-west-3, flavor: gpu, address: "10.2.{high}.{low}:8000"}}
"""


def model(index: int, weight: int = 90) -> str:
    return _MODEL.format(index=index, team=index % 100, weight=weight, high=index // 250, low=index % 250 + 1)


def files(models: int, per_file: int) -> dict[str, str]:
    return {
        f"policies/{first:06}.yaml": "---\n".join(
            model(index) for index in range(first, min(first + per_file, models))
        )
        for first in range(0, models, per_file)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--per-file", type=int, default=1)
    options = parser.parse_args()
    texts = files(options.models, options.per_file)
    cache = LoadCache()
    start, worked = time.perf_counter(), time.process_time()
    loaded = load(texts, {}, cache)
    cold, cpu = time.perf_counter() - start, time.process_time() - worked
    if loaded.diagnostics or len(loaded.manifests) != options.models:
        raise SystemExit(f"the policies of the benchmark do not load: {loaded.diagnostics[:3]}")
    gc.freeze()
    again = []
    for turn in range(20):
        changed = dict(texts)
        first = next(iter(texts))
        changed[first] = changed[first].replace("weight: 90", f"weight: {91 + turn}", 1)
        start = time.perf_counter()
        load(changed, {}, cache)
        again.append(time.perf_counter() - start)
    print(f"{options.models} models in {len(texts)} files")
    print(
        f"cold:               {cold:.2f} s, {cold / options.models * 1e6:.0f} µs a model ({cpu:.2f} s of CPU)"
    )
    print(f"after one change:   {statistics.median(again) * 1000:.1f} ms (median of 20)")


if __name__ == "__main__":
    main()
