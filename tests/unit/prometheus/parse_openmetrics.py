"""Reads OpenMetrics files with Prometheus' own Python parser, which checks more than it says: fails on what it rejects."""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

for path in sys.argv[1:]:
    with open(path, encoding="utf-8", newline="") as file:
        families = list(text_string_to_metric_families(file.read()))
    if not families:
        sys.exit(f"{path}: no families")
    print(f"{path}: {sum(len(family.samples) for family in families)} samples of {len(families)} families")
