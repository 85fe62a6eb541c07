"""What packaging/ names exists: every option, key, path, port and label in the Kubernetes manifests, the units and the
image recipe, against the agent that was built."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from agent import WEFTD, Weftd
from harness import REPOSITORY, Process, answers_ok, free_port

pytestmark = pytest.mark.agent_needed

PACKAGING = REPOSITORY / "packaging"
MIB = 1 << 20
UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
NODE_IP = "127.0.0.1"
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
# The budgets that the configuration sets, all of which may be full at once.
BUDGETS = (
    "assembly_bytes_max",
    "waiting_bytes_max",
    "series_bytes_max",
    "trace_ring_bytes",
    "answers_bytes_max",
    "exemplar_bytes_max",
)


def manifests():
    return list(yaml.safe_load_all((PACKAGING / "kubernetes/weft.yaml").read_text()))


def one(kind):
    (found,) = [manifest for manifest in manifests() if manifest["kind"] == kind]
    return found


def pod():
    return one("DaemonSet")["spec"]["template"]["spec"]


def agent_container():
    (container,) = pod()["containers"]
    return container


def configuration(directory):
    """The ConfigMap's file, as it is mounted, but for the token: it is not mounted here."""
    path, token = Path(directory) / "mounted.yaml", Path(directory) / "token"
    token.write_text("not a token")
    text = one("ConfigMap")["data"]["weft.yaml"]
    assert TOKEN in text
    path.write_text(text.replace(TOKEN, str(token)))
    return path


def effective(path):
    """The configuration with all defaults."""
    done = subprocess.run(
        [WEFTD, "--config", path, "--effective-config"],
        env={**os.environ, "NODE_IP": NODE_IP},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done
    return yaml.safe_load(done.stdout)


def bytes_of(quantity):
    number, unit = re.fullmatch(r"(\d+)([KMG]i)", quantity).groups()
    return int(number) * UNITS[unit]


def test_manifests_are_of_known_kinds_and_belong_together():
    assert [(m["kind"], m["apiVersion"]) for m in manifests()] == [
        ("Namespace", "v1"),
        ("ServiceAccount", "v1"),
        ("ClusterRole", "rbac.authorization.k8s.io/v1"),
        ("ClusterRoleBinding", "rbac.authorization.k8s.io/v1"),
        ("ConfigMap", "v1"),
        ("DaemonSet", "apps/v1"),
        ("Service", "v1"),
        ("NetworkPolicy", "networking.k8s.io/v1"),
    ]
    namespace = one("Namespace")["metadata"]["name"]
    for manifest in manifests():
        if manifest["kind"] not in ("Namespace", "ClusterRole", "ClusterRoleBinding"):
            assert manifest["metadata"]["namespace"] == namespace
    labels = one("DaemonSet")["spec"]["template"]["metadata"]["labels"]
    for selector in (
        one("DaemonSet")["spec"]["selector"]["matchLabels"],
        one("Service")["spec"]["selector"],
        one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items() and selector
    account = one("ServiceAccount")["metadata"]["name"]
    assert pod()["serviceAccountName"] == account
    assert one("ClusterRoleBinding")["subjects"] == [
        {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    ]
    assert one("ClusterRoleBinding")["roleRef"]["name"] == one("ClusterRole")["metadata"]["name"]


def test_the_port_is_the_one_that_is_scraped_and_probed(directory):
    (port,) = agent_container()["ports"]
    assert effective(configuration(directory))["metrics_http"]["address"].endswith(f":{port['containerPort']}")
    assert one("Service")["spec"]["ports"] == [
        {"name": port["name"], "port": port["containerPort"], "targetPort": port["name"]}
    ]
    assert one("NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"] == port["name"]
    for probe in ("livenessProbe", "readinessProbe"):
        assert agent_container()[probe]["httpGet"]["port"] == port["name"]
    # The scrape examples find this pod.
    labels = one("DaemonSet")["spec"]["template"]["metadata"]["labels"]
    monitor = yaml.safe_load((REPOSITORY / "docs/prometheus/podmonitor.yaml").read_text())
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]} == {port["name"]}
    scrape = yaml.safe_load((REPOSITORY / "docs/prometheus/kubernetes.yml").read_text())
    for job in scrape["scrape_configs"]:
        kept = {r["source_labels"][0]: r["regex"] for r in job["relabel_configs"] if r.get("action") == "keep"}
        assert kept["__meta_kubernetes_pod_label_app_kubernetes_io_name"] == labels["app.kubernetes.io/name"]
        assert kept["__meta_kubernetes_pod_container_port_name"] == port["name"]


def test_paths_and_volumes(directory):
    config = effective(configuration(directory))
    volumes = {volume["name"]: volume for volume in pod()["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in agent_container()["volumeMounts"]}
    # The socket is at the same path on the node, where proxies mount it from.
    socket_folder = str(Path(config["socket"]["path"]).parent)
    assert mounts[socket_folder]["hostPath"]["path"] == socket_folder
    arguments = agent_container()["args"]
    config_path = Path(arguments[arguments.index("--config") + 1])
    config_map = mounts[str(config_path.parent)]["configMap"]["name"]
    assert config_map == one("ConfigMap")["metadata"]["name"] and config_path.name in one("ConfigMap")["data"]
    (init,) = pod()["initContainers"]
    assert [mount["mountPath"] for mount in init["volumeMounts"]] == [socket_folder]
    user, group = (pod()["securityContext"][key] for key in ("runAsUser", "runAsGroup"))
    assert f"chown {user}:{group} {socket_folder}" in init["command"][-1]
    # What runs as root does only that, and with two capabilities.
    assert init["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["CHOWN", "FOWNER"]}
    for container in (init, agent_container()):
        assert container["image"] == init["image"] and container["resources"]["limits"]["memory"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_limits_leave_room(directory):
    limits = effective(configuration(directory))["limits"]
    budgets = sum(limits[key] for key in BUDGETS)
    memory = bytes_of(agent_container()["resources"]["limits"]["memory"])
    assert budgets + 64 * MIB <= memory, f"{budgets // MIB} MiB of budgets, {memory // MIB} MiB"
    assert pod()["terminationGracePeriodSeconds"] * 1000 > limits["drain_ms"]


class Mounted(Weftd):
    """weftd with the container's arguments and ConfigMap; only sockets and port are this machine's."""

    def __init__(self, directory):
        Process.__init__(self, "mounted", directory)
        self.socket, self.port = Path(directory) / "weft.sock", free_port()
        self.address = f"127.0.0.1:{self.port}"
        path = configuration(directory)
        config = effective(path)
        text = path.read_text().replace("/run/weft/", f"{directory}/")
        text = text.replace(config["metrics_http"]["address"], self.address)
        path.write_text(text.replace(config["http"]["address"], f"127.0.0.1:{free_port()}"))
        arguments = [str(path) if word.startswith("/etc/") else word for word in agent_container()["args"]]
        self.start([WEFTD, *arguments], {"NODE_IP": NODE_IP})
        self.wait_until(lambda: answers_ok(self.url(agent_container()["readinessProbe"]["httpGet"]["path"])), "ready")


def test_the_container_runs_and_answers_its_probes(directory):
    with Mounted(directory) as agent:
        assert agent.get(agent_container()["livenessProbe"]["httpGet"]["path"])[0] == 200
        agent.emit("--source", "a", "--destination", "b", "--count", 3)
        # By the service's name, and nothing that is not for everybody.
        service = one("Service")["metadata"]
        name = f"{service['name']}.{service['namespace']}.svc.cluster.local:{agent.port}"
        assert agent.get("/metrics", {"Host": name})[0] == 200
        assert agent.get("/api/v1/traces", {"Host": name})[0] == 404
        assert json.loads(agent.log().splitlines()[0])["level"] in ("info", "warn")  # log.format


def instructions():
    """(stage, instruction, rest) of the image recipe, continued lines joined."""
    text = (PACKAGING / "oci/Containerfile").read_text()
    text = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", "")
    stage, found = -1, []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, rest = line.split(maxsplit=1)
        stage += word == "FROM"
        found.append((stage, word, rest))
    return found


def test_the_image_recipe():
    rows = instructions()
    assert {rest.split()[0] for _, word, rest in rows if word == "FROM"} == {"docker.io/library/debian:12-slim"}
    copied = set()
    for stage, word, rest in rows:
        if word == "COPY" and stage == 0:
            *sources, _ = rest.split()
            assert all((REPOSITORY / source).exists() for source in sources), rest
            copied.update(sources)
    # Every folder that the build enters is there, but those of tests.
    listed = (REPOSITORY / "CMakeLists.txt").read_text().split("foreach(folder")[1].split(")")[0].split()
    assert {folder.split("/")[0] for folder in listed} - {"tests", "bench"} <= copied
    commands = " ".join(rest for _, word, rest in rows if word == "RUN")
    assert not re.search(r"\b(curl|wget|pip|npm|git)\b", commands)
    preset = next(p for p in json.loads((REPOSITORY / "CMakePresets.json").read_text())["configurePresets"]
                  if p["name"] == "package")
    assert f"--preset {preset['name']}" in commands
    last = {word: rest for stage, word, rest in rows if stage == 1}
    ids = last["USER"]
    assert ids == "{runAsUser}:{runAsGroup}".format(**pod()["securityContext"])
    assert all(f"--{kind} {number}" in commands for kind, number in zip(("uid", "gid"), ids.split(":")))
    assert int(last["EXPOSE"]) == agent_container()["ports"][0]["containerPort"]
    arguments = json.loads(last["ENTRYPOINT"]) + json.loads(last["CMD"])
    assert arguments[0] == "/usr/sbin/weftd"
    help_text = subprocess.run([WEFTD, "--help"], capture_output=True, text=True, check=True).stdout
    for word in arguments[1:] + agent_container()["args"]:
        assert not word.startswith("--") or word in help_text, word


def test_the_units_name_what_is_there():
    service = (PACKAGING / "systemd/weft.service").read_text()
    socket_unit = (PACKAGING / "systemd/weft.socket").read_text()
    (command,) = re.findall(r"^ExecStart=(.*)$", service, re.M)
    help_text = subprocess.run([WEFTD, "--help"], capture_output=True, text=True, check=True).stdout
    assert all(word in help_text for word in shlex.split(command) if word.startswith("--"))
    # The descriptor's name is one that the agent knows.
    (name,) = re.findall(r"^FileDescriptorName=(.*)$", socket_unit, re.M)
    known = "".join(path.read_text() for path in (REPOSITORY / "agent").glob("*.c"))
    assert f'[LISTENER_INGEST] = "{name}"' in known
    # It listens where an agent without configuration would.
    (path,) = re.findall(r"^ListenStream=(.*)$", socket_unit, re.M)
    (runtime,) = re.findall(r"^Environment=XDG_RUNTIME_DIR=(.*)$", service, re.M)
    (folder,) = re.findall(r"^RuntimeDirectory=(.*)$", service, re.M)
    assert path == f"{runtime}/{folder}/weft.sock"
    (grace,) = re.findall(r"^TimeoutStopSec=(\d+)s$", service, re.M)
    example = yaml.safe_load((REPOSITORY / "docs/weft.example.yaml").read_text())
    assert int(grace) * 1000 > example["limits"]["drain_ms"]
