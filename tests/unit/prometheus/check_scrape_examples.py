"""docs/prometheus: the three examples scrape the same paths in the same way, every profile among them, and say in
honor_labels what the page's table says. The names of the profiles come from the agent's own table. Where promtool is
installed it checks the two that are for Prometheus itself; Debian's is built without Kubernetes discovery, which is
replaced by nothing for it.

    check_scrape_examples.py SOURCE_DIRECTORY [PROMTOOL]
"""

import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

root = pathlib.Path(sys.argv[1])
folder = root / "docs/prometheus"
profiles = set(re.findall(r'ROW\(\w+, "(\w+)"', (root / "agent/core/profiles.c").read_text()))
table = re.findall(r"^\s+\| ([a-z, ]+) \| (.+?) \|", (folder / "README.md").read_text(), re.M)
clashing = {name for names, labels in table if labels != "–" for name in names.split(", ") if name in profiles}


def jobs(path):
    """{profile or None: (honor_labels, seconds between scrapes, relabelings)}"""
    document = yaml.safe_load((folder / path).read_text())
    if "spec" in document:
        assert document["kind"] == "PodMonitor"
        found = document["spec"]["podMetricsEndpoints"]
        keys = ("honorLabels", "interval", "metricRelabelings")
    else:
        found = document["scrape_configs"]
        keys = ("honor_labels", "scrape_interval", "metric_relabel_configs")
    made = {}
    for each in found:
        (profile,) = each.get("params", {}).get("profile", [None])
        assert profile not in made, f"{path}: {profile} twice"
        made[profile] = (bool(each.get(keys[0])), each.get(keys[1], "15s"), len(each.get(keys[2], [])))
    return made


assert len(profiles) == 6 and clashing, (profiles, clashing)
examples = {path: jobs(path) for path in ("file_sd.yml", "kubernetes.yml", "podmonitor.yaml")}
for path, made in examples.items():
    assert set(made) == profiles | {None}, path
    assert made == examples["file_sd.yml"], path
    honoring = {profile for profile, (honor_labels, _, _) in made.items() if honor_labels}
    assert honoring == clashing, (path, honoring, clashing)
targets = yaml.safe_load((folder / "targets/weft.yml").read_text())
assert targets and all(group["targets"] for group in targets)
if len(sys.argv) > 2:
    for path in ("file_sd.yml", "kubernetes.yml"):
        document = yaml.safe_load((folder / path).read_text())
        for each in document["scrape_configs"]:
            each.pop("kubernetes_sd_configs", None)
            for discovery in each.get("file_sd_configs", []):
                discovery["files"] = [str(folder / name) for name in discovery["files"]]
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            yaml.safe_dump(document, file)
            file.flush()
            subprocess.run([sys.argv[2], "check", "config", file.name], check=True, timeout=60)
print(f"{len(examples)} examples, {len(profiles)} profiles")
