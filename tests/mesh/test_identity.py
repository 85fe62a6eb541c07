"""Who senders are: pods from a kubelet's list, over TLS, with a token that changes."""

import json
import os
import signal
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from agent import WEFT, Weftd
from harness import wait_for

pytestmark = pytest.mark.agent_needed


def pod(number, **labels):
    return {
        "metadata": {
            "uid": f"0f1e2d3c-4b5a-6978-8796-{number:012x}",
            "name": f"reviews-v1-7d5b9c4b6d-{number:05d}",
            "namespace": "shop",
            "labels": labels,
            "ownerReferences": [{"kind": "ReplicaSet", "name": "reviews-v1-7d5b9c4b6d", "controller": True}],
        },
        "spec": {"containers": [{"name": "app", "image": "x"}]},
        "status": {"phase": "Running"},
    }


def certificate(directory):
    """(certificate, key) of localhost, signed by itself."""
    cert, key = directory / "kubelet.pem", directory / "kubelet.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=kubelet"]
        + ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return cert, key


class Kubelet(ThreadingHTTPServer):
    """Answers GET /pods over TLS to whoever shows the token."""

    def __init__(self, cert, key):
        super().__init__(("127.0.0.1", 0), KubeletHandler)
        self.token, self.body, self.refused = "first", b"", 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self.thread.start()

    def tell(self, *pods):
        self.body = json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": list(pods)}).encode()

    def handle_error(self, *_):
        pass  # a client that does not trust the certificate ends the handshake

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()


class KubeletHandler(BaseHTTPRequestHandler):
    timeout = 5

    def do_GET(self):
        ok = self.path == "/pods" and self.headers.get("authorization") == f"Bearer {self.server.token}"
        self.server.refused += not ok
        body = self.server.body if ok else b"Unauthorized"
        self.send_response(200 if ok else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def known(agent):
    return agent.samples().total("weft_pods_known")


def polls(agent, result):
    return agent.samples().total("weft_kubelet_polls_total", result=result)


def kubelet_config(server, directory, cert, **keys):
    token = directory / "token"
    token.write_text("first\n")
    return {
        "identity": {
            "kubelet": {
                "url": f"https://localhost:{server.server_port}/pods",
                "token_file": str(token),
                "ca_file": str(cert),
                "interval_s": 1,
                **keys,
            }
        }
    }


def test_pods_of_a_kubelet(directory):
    cert, key = certificate(directory)
    with Kubelet(cert, key) as kubelet:
        kubelet.tell(*[pod(i, app="reviews", version="v1") for i in range(3)])
        with Weftd(directory, **kubelet_config(kubelet, directory, cert)) as agent:
            wait_for(lambda: known(agent) == 3, "three pods", pause=0.2)
            kubelet.tell(*[pod(i) for i in range(5)])
            wait_for(lambda: known(agent) == 5, "two more", pause=0.2)
            # A token that is no longer good leaves the table as it is; a new one is read from the same file.
            kubelet.token = "second"
            failed = polls(agent, "failed")
            wait_for(lambda: polls(agent, "failed") > failed, "a refused poll", pause=0.2)
            assert known(agent) == 5
            (directory / "token").write_text("second")
            kubelet.tell(pod(9))
            wait_for(lambda: known(agent) == 1, "the new list", pause=0.2)
            # What is no list changes nothing.
            kubelet.body = b'{"items": [{"metadata"'
            failed = polls(agent, "failed")
            wait_for(lambda: polls(agent, "failed") > failed, "a bad list", pause=0.2)
            assert known(agent) == 1
    assert kubelet.refused >= 1


def test_a_kubelet_that_is_not_trusted(directory):
    cert, key = certificate(directory)
    other = directory / "other"
    other.mkdir()
    stranger, _ = certificate(other)
    with Kubelet(cert, key) as kubelet:
        kubelet.tell(pod(1))
        with Weftd(directory, **kubelet_config(kubelet, directory, stranger)) as agent:
            wait_for(lambda: polls(agent, "failed") >= 2, "refused certificates", pause=0.2)
            assert known(agent) == 0
    assert kubelet.refused == 0  # the token was shown to nobody


def emit(agent, *arguments):
    """(exit code, whether the agent turned the connection away)"""
    before = agent.samples().total("weft_connections_closed_total", reason="not_allowed")
    done = subprocess.run(
        [WEFT, "emit", "--socket", agent.socket, "--timeout", "2s", *arguments], capture_output=True, timeout=60
    )
    after = agent.samples().total("weft_connections_closed_total", reason="not_allowed")
    return done.returncode, after > before


def test_who_may_send_is_asked_of_each_connection(directory):
    """Whoever is not allowed loses its connection and nothing is counted of it; a reload lets it in, and the agent's
    own HTTP server answers all the while."""
    with Weftd(directory, identity={"deny": ["*"]}) as agent:
        assert emit(agent) == (1, True)
        assert agent.samples().records("received", "spans") == 0
        path = agent.log_path.with_suffix(".yaml")
        config = yaml.safe_load(path.read_text())
        for identity, code in (({"allow": ["nobody/*"]}, 1), ({"allow": ["*"], "deny": ["nobody/*"]}, 0)):
            reloads = agent.samples().total("weft_config_reloads_total")
            path.write_text(yaml.safe_dump({**config, "identity": identity}))
            os.kill(agent.pid, signal.SIGHUP)
            wait_for(lambda: agent.samples().total("weft_config_reloads_total") > reloads, "the reload")
            assert emit(agent) == (code, code == 1)
        assert agent.wait_spans(1).total("mesh_requests_total") == 1
