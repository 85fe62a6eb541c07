"""Who may ask over TCP: TLS, tokens and certificates of `http`; `metrics_http`, which has /metrics and health alone."""

import http.client
import json
import ssl

import pytest
import yaml

from agent import WEFTD
from certificates import Files
from harness import ANSWER_SECONDS_MAX, Process, free_port

pytestmark = pytest.mark.agent_needed

TOKEN, PEERS_TOKEN = "a-token-for-those-who-ask", "a-token-that-peers-share"
QUERY = "/api/v1/services"


class Agent(Process):
    """weftd, ready when it says so in its log: its listeners may want more than a plain GET."""

    def __init__(self, directory, **config):
        super().__init__(f"weftd-{len(list(directory.iterdir()))}", directory)  # each with a log of its own
        path = directory / f"{self.name}.yaml"
        path.write_text(yaml.safe_dump({"api_socket": {"enabled": False}, **config}))
        self.start([WEFTD, "--config", path, "--socket", directory / "weft.sock"])
        self.wait_until(lambda: "event=started" in self.log(), "started")

    def __exit__(self, *_):
        assert self.stop() == 0, self.log()[-4000:]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return Files(tmp_path_factory.mktemp("certificates"))


def get(port, path, files=None, client=None, token=None, host=None):
    """The status of a GET, over TLS when there are files; None when no connection comes to be."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if host:
        headers["Host"] = host
    if files is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS_MAX)
    else:
        context = ssl.create_default_context(cafile=files.server_ca[0])
        if client:
            context.load_cert_chain(*client)
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=ANSWER_SECONDS_MAX, context=context)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def secrets(directory):
    (directory / "token").write_text(TOKEN + "\n")
    (directory / "peers").write_text(PEERS_TOKEN + "\n")
    return str(directory / "token"), str(directory / "peers")


def test_a_token_is_asked_for(directory, files):
    port = free_port()
    token, peers = secrets(directory)
    http_keys = {"address": f"127.0.0.1:{port}", "token_file": token, **files.keys(mutual=False)}
    with Agent(directory, http=http_keys, trace={"peer_token_file": peers}):
        assert get(port, QUERY, files) == 401
        assert get(port, "/metrics", files) == 401
        assert get(port, QUERY, files, token=TOKEN[:-1]) == 401
        assert get(port, QUERY, files, token=TOKEN + "x") == 401
        assert get(port, QUERY, files, token=TOKEN) == 200
        assert get(port, "/metrics", files, token=TOKEN) == 200
        assert get(port, QUERY, files, token=PEERS_TOKEN) == 200
        assert get(port, "/healthz", files) == get(port, "/readyz", files) == 200
        assert get(port, QUERY, files, token=TOKEN, host="elsewhere.example") == 421
        assert get(port, QUERY) is None  # no plain HTTP there


def test_a_certificate_is_asked_for(directory, files):
    port = free_port()
    with Agent(directory, http={"address": f"127.0.0.1:{port}", **files.keys(mutual=True)}):
        assert get(port, QUERY, files) is None
        assert get(port, QUERY, files, client=files.stranger) is None
        assert get(port, QUERY, files, client=files.client) == 200


def test_metrics_on_a_listener_of_their_own(directory, files):
    """Every address, no proof of who asks: and nothing but metrics and health."""
    port, public, secure = free_port(), free_port(), free_port()
    base = {"http": {"address": f"127.0.0.1:{port}"}}
    with Agent(directory, **base, metrics_http={"address": f"0.0.0.0:{public}"}):
        for path in ("/metrics", "/healthz", "/readyz"):
            assert get(public, path) == get(port, path) == 200
            assert get(public, path, host="weft.observability.svc") == 200
        for path in (QUERY, "/", "/api/traces/1", "/api/v1/config", "/metrics/"):
            assert get(public, path) == 404
        assert get(port, QUERY) == 200
    with Agent(directory, **base, metrics_http={"address": f"127.0.0.1:{secure}", **files.keys(mutual=True)}):
        assert get(secure, "/metrics", files) is None
        assert get(secure, "/metrics", files, client=files.client) == 200
        assert get(secure, QUERY, files, client=files.client) == 404


def test_whoever_shows_a_certificate_may_keep_traces(directory, files):
    port = free_port()
    with Agent(directory, http={"address": f"127.0.0.1:{port}", **files.keys(mutual=True)}):
        context = ssl.create_default_context(cafile=files.server_ca[0])
        context.load_cert_chain(*files.client)
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=ANSWER_SECONDS_MAX, context=context)
        body = json.dumps({"traceIds": ["0123456789abcdef0123456789abcdef"]})
        connection.request("POST", "/api/v1/keep", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["accepted"]) == (200, 1)
        connection.close()


def test_a_file_that_is_none_names_its_key(directory, files):
    (directory / "no.pem").write_text("nothing")
    keys = {"cert_file": str(directory / "no.pem"), "key_file": str(files.server[1])}
    with pytest.raises(AssertionError, match="http.*cert"):
        Agent(directory, http={"address": f"127.0.0.1:{free_port()}", **keys})
