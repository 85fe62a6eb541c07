"""The four dashboards: what they show, from left to right and top to bottom."""

from panels import (
    DURATION, GREEN, RED, YELLOW,
    attempts_over_requests, dashboard, datasource_variable, failed_share, heatmap, joined, label_variable, lines, mean,
    outcome_overrides, quantile, quantiles, query, reporter_variable, requests, retried_share, row, stat, table, total,
    trace_table, traces,
)

SELF = "mesh_service_self_seconds"
NETWORK = "mesh_edge_network_seconds"
SHARE_STEPS = (GREEN, (0.001, YELLOW), (0.01, RED))
KEPT_VARIABLES = "var-datasource=${datasource}&var-jaeger=${jaeger}&var-reporter=${reporter}&${mesh:queryparam}"


def top(count, expression):
    return f"topk({count}, {expression})"


def link_to(uid, title, *more):
    variables = "&".join((KEPT_VARIABLES, *more))
    return {"title": title, "url": f"/d/{uid}?{variables}&${{__url_time_range}}", "targetBlank": False}


def link_to_service(field):
    name = f"${{__data.fields.{field}}}"
    return link_to("weft-service", f"The service {name}", f"var-service={name}", "var-namespace=$__all")


def mesh_variables():
    return [
        datasource_variable("datasource", "Prometheus", "prometheus"),
        datasource_variable("jaeger", "Traces (weft as Jaeger)", "jaeger"),
        reporter_variable(),
        label_variable("mesh", "Mesh", "mesh_service_info", "mesh", several=True,
                       description="Where the agents' configuration names meshes."),
    ]


# ---- mesh overview ----

ALL = 'reporter="$reporter",mesh=~"$mesh",destination_namespace=~"$namespace"'
SERVICE_NAMES = [("destination", "service"), ("destination_namespace", "namespace")]
EDGE_NAMES = [
    ("source", "source"), ("source_namespace", "its namespace"), ("destination", "destination"),
    ("destination_namespace", "namespace of the destination"),
]


def overview_heads():
    return [
        stat("Requests", "Requests a second, each counted once by the proxies of the chosen side.", requests(ALL), "reqps"),
        stat("Failed", "Share of requests that ended in server_error or no_response.", failed_share(ALL), "percentunit",
             steps=SHARE_STEPS, decimals=2),
        stat("p50", "Half of all requests were as fast as this.", quantile(0.5, ALL), "s"),
        stat("p99", "All but one request in a hundred were as fast as this.", quantile(0.99, ALL), "s"),
        stat("Services", "Services that called or were called within the agents' idle time of a series.",
             'count(group by (mesh, mesh_service_namespace, mesh_service) '
             '(mesh_service_info{mesh=~"$mesh",mesh_service_namespace=~"$namespace"}))', "none"),
        stat("Retried", "Attempts beyond the first, as a share of requests, where proxies tell attempts.",
             retried_share(ALL), "percentunit", steps=(GREEN, (0.05, YELLOW), (0.2, RED)), decimals=2),
    ]


def overview_rates():
    by_service = "destination, destination_namespace"
    return [
        lines("Requests by outcome", "ok, client_error, server_error, no_response and cancelled; see docs/metrics.md.",
              query(requests(ALL, "outcome"), "{{outcome}}"), "reqps", stacked=True, overrides=outcome_overrides()),
        lines("Duration of all requests", "Quantiles over every request of the chosen services.",
              quantiles(ALL, exemplars=True), "s"),
        lines("Most failures", "The ten services of which the largest share of requests fails.",
              query(top(10, failed_share(ALL, by_service)), "{{destination}} {{destination_namespace}}"),
              "percentunit"),
        lines("Slowest services", "The ten services with the highest p99.",
              query(top(10, quantile(0.99, ALL, by_service)), "{{destination}} {{destination_namespace}}"), "s"),
    ]


def overview_tables():
    by_service = "destination, destination_namespace"
    by_edge = "source, source_namespace, destination, destination_namespace"
    return [
        row("Services and edges"),
        table("Services", "Each service that was called; its name leads to its own dashboard.", [
            ("requests/s", "reqps", requests(ALL, by_service)),
            ("failed", "percentunit", failed_share(ALL, by_service)),
            ("p50", "s", quantile(0.5, ALL, by_service)),
            ("p99", "s", quantile(0.99, ALL, by_service)),
        ], width=12, names=SERVICE_NAMES, link=link_to_service("service"), sort="requests/s"),
        table("Edges", "Who calls whom; a name leads to the edge's own dashboard.", [
            ("requests/s", "reqps", requests(ALL, by_edge)),
            ("failed", "percentunit", failed_share(ALL, by_edge)),
            ("p99", "s", quantile(0.99, ALL, by_edge)),
        ], width=12, names=EDGE_NAMES, sort="requests/s", link=link_to(
            "weft-edge", "This edge", "var-source=${__data.fields.source}",
            "var-destination=${__data.fields.destination}", "var-source_namespace=$__all",
            "var-destination_namespace=$__all")),
    ]


def overview_proxies():
    pair = 'mesh=~"$mesh",destination_namespace=~"$namespace"'
    one_side = joined('reporter="$reporter"', pair)
    connections = total("mesh_tcp_connections_opened_total", one_side, "destination")
    return [
        row("What proxies say"),
        lines("Response flags", "Why a proxy, not the service, ended requests: UO an open circuit breaker, UH no healthy "
              "host, UF no connection, UT a timeout, URX retries used up.",
              query(total("mesh_response_flags_total", one_side, "flag"), "{{flag}}"), "reqps", width=8),
        lines("Retries", "Attempts beyond the first, as a share of requests, by destination.",
              query(top(10, retried_share(ALL, "destination")), "{{destination}}"), "percentunit", width=8),
        lines("TCP connections opened", "Connections passed on as bytes, by destination.",
              query(top(10, connections), "{{destination}}"), "cps", width=8),
        lines("Self time", "Time of a service's requests without the calls that it made for them: the ten highest p99.",
              query(top(10, quantile(0.99, 'mesh=~"$mesh",mesh_service_namespace=~"$namespace"',
                                     "mesh_service", SELF)), "{{mesh_service}}"), "s"),
        lines("Bytes of bodies", "What callers sent and what they were answered.",
              [query(total("mesh_request_bytes_total", one_side), "requests"),
               query(total("mesh_response_bytes_total", one_side), "responses")], "Bps"),
    ]


def overview():
    variables = mesh_variables() + [
        label_variable("namespace", "Namespace", "mesh_service_info", "mesh_service_namespace", several=True,
                       description="Of the services that are called."),
    ]
    return dashboard(
        "weft-overview", "weft: mesh overview", "All services of the mesh: traffic, failures, latency, retries.",
        variables, overview_heads() + overview_rates() + overview_tables() + overview_proxies(),
    )


# ---- one service ----

CALLED = joined('reporter="$reporter"', 'mesh=~"$mesh"', 'destination_namespace=~"$namespace"', 'destination="$service"')
CALLS = joined('reporter="$reporter"', 'mesh=~"$mesh"', 'source_namespace=~"$namespace"', 'source="$service"')
OWN = joined('mesh=~"$mesh"', 'mesh_service_namespace=~"$namespace"', 'mesh_service="$service"')


def service_heads():
    return [
        stat("Requests", "Requests a second that this service was sent.", requests(CALLED), "reqps"),
        stat("Failed", "Share of requests that ended in server_error or no_response.", failed_share(CALLED),
             "percentunit", steps=SHARE_STEPS, decimals=2),
        stat("p50", "Half of its requests were as fast as this.", quantile(0.5, CALLED), "s"),
        stat("p99", "All but one request in a hundred were as fast as this.", quantile(0.99, CALLED), "s"),
        stat("Self time p99", "The same without the calls that it made for them, where traces tell.",
             quantile(0.99, OWN, metric=SELF), "s"),
        stat("Callers", "Services that called it in the chosen time.",
             f"count(sum by (source, source_namespace) (increase(mesh_requests_total{{{CALLED}}}[$__range])) > 0)", "none"),
    ]


def service_requests():
    return [
        lines("Requests by outcome", "How its requests ended.", query(requests(CALLED, "outcome"), "{{outcome}}"),
              "reqps", width=8, stacked=True, overrides=outcome_overrides()),
        lines("Failed, by route", "Share of each route's requests that failed.",
              query(failed_share(CALLED, "route"), "{{route}}"), "percentunit", width=8),
        lines("Response codes", "As the proxies of the chosen side saw them; 0: there was no response.",
              query(total("mesh_requests_total", CALLED, "response_code"), "{{response_code}}"), "reqps", width=8),
    ]


def service_latency():
    native = total(DURATION, CALLED)
    classic = total(f"{DURATION}_bucket", CALLED, "le")
    return [
        row("Latency"),
        lines("Duration", "Quantiles of its requests. The points are exemplars: they lead to traces that the agents "
              "still have.", quantiles(CALLED, exemplars=True), "s"),
        heatmap("Durations, native histogram", "Requests a second by duration, where Prometheus keeps native "
                "histograms.", query(native, exemplar=True)),
        lines("p99 by route", "All but one request in a hundred were as fast as this.",
              query(quantile(0.99, CALLED, "route"), "{{route}}", exemplar=True), "s"),
        heatmap("Durations, classic buckets", "Requests a second by duration, where Prometheus keeps classic buckets.",
                query(classic, "{{le}}", format="heatmap", exemplar=True)),
        lines("Self time", "Time of its requests without the calls that it made for them, where traces tell.",
              quantiles(OWN, metric=SELF, exemplars=True), "s"),
        lines("Where the time goes", "Mean time of a request as its callers see it, and what of it is its own.",
              [query(mean(DURATION, CALLED), "request"), query(mean(SELF, OWN), "own")], "s"),
    ]


def service_traces():
    return [
        row("Traces"),
        trace_table("Latest traces", "Traces of this service that agents have, newest first. A trace's id opens it.",
                    traces("$service")),
        trace_table("Failed traces", "The same, of requests that failed.", traces("$service", tags="error=true")),
    ]


def service_edges():
    callers, callees = "source, source_namespace", "destination, destination_namespace"
    return [
        row("Callers and callees"),
        table("Called by", "Each caller's part of the requests.", [
            ("requests/s", "reqps", requests(CALLED, callers)),
            ("failed", "percentunit", failed_share(CALLED, callers)),
            ("p99", "s", quantile(0.99, CALLED, callers)),
        ], width=12, names=[("source", "caller"), ("source_namespace", "namespace")], sort="requests/s",
            link=link_to("weft-edge", "This edge", "var-source=${__data.fields.caller}", "var-destination=${service}",
                         "var-source_namespace=$__all", "var-destination_namespace=$__all")),
        table("Calls", "What the service itself calls.", [
            ("requests/s", "reqps", requests(CALLS, callees)),
            ("failed", "percentunit", failed_share(CALLS, callees)),
            ("p99", "s", quantile(0.99, CALLS, callees)),
        ], width=12, names=SERVICE_NAMES, sort="requests/s",
            link=link_to("weft-edge", "This edge", "var-source=${service}",
                         "var-destination=${__data.fields.service}", "var-source_namespace=$__all",
                         "var-destination_namespace=$__all")),
        lines("p99 of its calls", "How long the service waits for others.",
              query(quantile(0.99, CALLS, "destination"), "{{destination}}"), "s", width=8),
        lines("Response flags", "Why proxies before the service ended its requests: UO an open circuit breaker, UH no "
              "healthy host, UF no connection, UT a timeout, URX retries used up.",
              query(total("mesh_response_flags_total", CALLED, "flag"), "{{flag}}"), "reqps", width=8),
        lines("Retries by caller", "Attempts beyond the first, as a share of requests.",
              query(retried_share(CALLED, "source"), "{{source}}"), "percentunit", width=8),
        table("What stands behind it", "Workloads and versions, where records tell.", [
            ("known", "none",
             f"group by (mesh_service, mesh_service_namespace, workload, version, mesh) (mesh_service_info{{{OWN}}})"),
        ], width=12, names=[("mesh_service", "service"), ("mesh_service_namespace", "namespace")], height=8),
        lines("Bytes of bodies", "What it was sent and what it answered.",
              [query(total("mesh_request_bytes_total", CALLED), "requests"),
               query(total("mesh_response_bytes_total", CALLED), "responses")], "Bps"),
    ]


def service():
    of_namespace = 'mesh_service_info{mesh=~"$mesh",mesh_service_namespace=~"$namespace"}'
    variables = mesh_variables() + [
        label_variable("namespace", "Namespace", "mesh_service_info", "mesh_service_namespace", several=True),
        label_variable("service", "Service", of_namespace, "mesh_service"),
    ]
    return dashboard(
        "weft-service", "weft: one service", "One service: its requests, latency, own time, traces, callers and callees.",
        variables, service_heads() + service_requests() + service_latency() + service_traces() + service_edges(),
    )


# ---- one edge ----

ENDS = joined('mesh=~"$mesh"', 'source="$source"', 'source_namespace=~"$source_namespace"',
              'destination="$destination"', 'destination_namespace=~"$destination_namespace"')
EDGE = joined('reporter="$reporter"', ENDS)


def edge_requests():
    attempts = total("mesh_request_attempts_total", EDGE)
    return [
        stat("Requests", "Requests a second from the source to the destination.", requests(EDGE), "reqps"),
        stat("Failed", "Share of requests that ended in server_error or no_response.", failed_share(EDGE),
             "percentunit", steps=SHARE_STEPS, decimals=2),
        stat("p50", "Half of the requests were as fast as this.", quantile(0.5, EDGE), "s"),
        stat("p99", "All but one request in a hundred were as fast as this.", quantile(0.99, EDGE), "s"),
        stat("Network p99", "What requests took for the caller beyond what they took at the destination.",
             quantile(0.99, ENDS, metric=NETWORK), "s"),
        stat("Retried", "Attempts beyond the first, as a share of requests.", retried_share(EDGE), "percentunit",
             steps=(GREEN, (0.05, YELLOW), (0.2, RED)), decimals=2),
        lines("Requests by outcome", "How the requests ended.", query(requests(EDGE, "outcome"), "{{outcome}}"),
              "reqps", width=8, stacked=True, overrides=outcome_overrides()),
        lines("Both ends", "The same edge as each side tells it. The destination counts each attempt that reaches it; "
              "what only the source has did not get there.",
              query(requests(ENDS, "reporter"), "{{reporter}}"), "reqps", width=8),
        lines("Attempts", "Attempts and requests, and their ratio: 2 when each request is tried twice.",
              [query(attempts, "attempts"), query(requests(EDGE), "requests"),
               query(attempts_over_requests(EDGE, ""), "attempts for each request")], "reqps", width=8,
              overrides=[{"matcher": {"id": "byName", "options": "attempts for each request"}, "properties": [
                  {"id": "unit", "value": "none"}, {"id": "custom.axisPlacement", "value": "right"}]}]),
    ]


def edge_latency():
    return [
        row("Latency"),
        lines("Duration", "Quantiles of the requests. The points are exemplars: they lead to traces that the agents "
              "still have.", quantiles(EDGE, exemplars=True), "s"),
        heatmap("Durations, native histogram", "Requests a second by duration, where Prometheus keeps native "
                "histograms.", query(total(DURATION, EDGE), exemplar=True)),
        lines("Network time", "What requests took for their caller beyond what they took at the destination: "
              "the network, both proxies and their queues. Where both ends were seen.",
              quantiles(ENDS, metric=NETWORK, exemplars=True), "s"),
        lines("p50 as each end sees it", "The distance between the two is the network and what lies between.",
              query(quantile(0.5, ENDS, "reporter"), "{{reporter}}"), "s"),
    ]


def edge_details():
    return [
        row("Routes, flags, bytes"),
        table("Routes", "The edge's requests by route, method and protocol.", [
            ("requests/s", "reqps", requests(EDGE, "route")),
            ("failed", "percentunit", failed_share(EDGE, "route")),
            ("p50", "s", quantile(0.5, EDGE, "route")),
            ("p99", "s", quantile(0.99, EDGE, "route")),
        ], width=12, sort="requests/s"),
        table("Answers", "By protocol, method and status.", [
            ("requests/s", "reqps",
             total("mesh_requests_total", EDGE, "protocol, method, response_code, grpc_status, outcome")),
        ], width=12, sort="requests/s"),
        lines("Response flags", "Why a proxy, not the destination, ended requests: UO an open circuit breaker, UH no "
              "healthy host, UF no connection, UT a timeout, URX retries used up.",
              query(total("mesh_response_flags_total", EDGE, "flag"), "{{flag}}"), "reqps", width=8),
        lines("Bytes of bodies", "What the source sent and what it was answered.",
              [query(total("mesh_request_bytes_total", EDGE), "requests"),
               query(total("mesh_response_bytes_total", EDGE), "responses")], "Bps", width=8),
        trace_table("Latest traces of the destination", "A trace's id opens it.", traces("$destination"), width=8),
    ]


def edge_tcp():
    return [
        row("TCP"),
        lines("Connections", "Connections passed on as bytes.",
              [query(total("mesh_tcp_connections_opened_total", EDGE), "opened"),
               query(total("mesh_tcp_connections_closed_total", EDGE), "closed")], "cps"),
        lines("Bytes of connections", "As the reporter sent them to, and received them from, who opened the connection.",
              [query(total("mesh_tcp_sent_bytes_total", EDGE), "sent"),
               query(total("mesh_tcp_received_bytes_total", EDGE), "received")], "Bps"),
    ]


def edge():
    from_source = 'mesh_requests_total{reporter="$reporter",mesh=~"$mesh",source="$source"}'
    of_reporter = 'mesh_requests_total{reporter="$reporter",mesh=~"$mesh"}'
    variables = mesh_variables() + [
        label_variable("source", "Source", of_reporter, "source"),
        label_variable("source_namespace", "its namespace", from_source, "source_namespace", several=True),
        label_variable("destination", "Destination", from_source, "destination"),
        label_variable("destination_namespace", "its namespace", from_source, "destination_namespace", several=True),
    ]
    return dashboard(
        "weft-edge", "weft: one edge", "From one service to another: requests, latency, network time, retries, flags.",
        variables, edge_requests() + edge_latency() + edge_details() + edge_tcp(),
    )


# ---- the agent itself ----

AGENT = 'instance=~"$instance"'


def own(metric, by="", selector=AGENT):
    return total(metric, selector, by)


def gauge(metric, by="instance", how="sum"):
    return f"{how} by ({by}) ({metric}{{{AGENT}}})"


def in_flight():
    """Received less every other term of the ledger."""
    terms = ("aggregated", "attempts", "not_a_request", "superseded", "dropped")
    left = f"sum by (signal) (weft_records_received_total{{{AGENT}}})"
    for term in terms:
        summed = f"sum by (signal) (weft_records_{term}_total{{{AGENT}}})"
        left += f" - ({summed} or 0 * sum by (signal) (weft_records_received_total{{{AGENT}}}))"
    return left


def agent_heads():
    dropped = f"{own('weft_records_dropped_total')} / {own('weft_records_received_total')}"
    return [
        stat("Agents", "Agents that Prometheus reaches.", f"count(weft_build_info{{{AGENT}}})", "none"),
        stat("Records", "Records a second that arrived in admitted messages.",
             own("weft_records_received_total"), "ops"),
        stat("Dropped", "Share of records that were received and not counted.", f"({dropped}) >= 0 or vector(0)",
             "percentunit", steps=SHARE_STEPS, decimals=3),
        stat("CPU", "Cores that all agents use together.", own("weft_process_cpu_seconds_total"), "none", decimals=3),
        stat("Memory", "Resident memory of the largest agent, its ring of traces included.",
             f"max(weft_process_resident_bytes{{{AGENT}}})", "bytes"),
        stat("Reach of the ring", "How far back the shortest ring of traces goes.",
             f"min(weft_trace_reach_seconds{{{AGENT}}})", "s"),
    ]


def agent_ledger():
    terms = [
        query(own(f"weft_records_{term}_total", "signal"), f"{{{{signal}}}} {words}")
        for term, words in (
            ("received", "received"), ("aggregated", "aggregated"), ("attempts", "attempts"),
            ("not_a_request", "not a request"), ("superseded", "superseded"), ("dropped", "dropped"),
        )
    ]
    return [
        row("Records"),
        lines("The ledger", "What became of the records that arrived: received = aggregated + attempts + not a request + "
              "superseded + dropped + in flight.", terms, "ops"),
        lines("In flight", "Received and in no other term of the ledger yet. It stays small; `weft ledger` on the node "
              "tells the same.", query(in_flight(), "{{signal}}"), "none", width=6),
        lines("Dropped, by reason", "Received and not counted.",
              query(top(10, own("weft_records_dropped_total", "signal, reason")), "{{signal}} {{reason}}"), "ops", width=6),
        lines("Messages accepted", "By protocol.", query(own("weft_messages_accepted_total", "protocol"), "{{protocol}}"),
              "ops", width=8),
        lines("Messages refused", "Whole messages, by reason; memory is back-pressure, and the sender comes again.",
              query(own("weft_messages_refused_total", "reason"), "{{reason}}"), "ops", width=8),
        lines("Lost before the agent", "What clients say they dropped, and datagrams for which the kernel had no room. "
              "What others lost without telling is not known.",
              [query(own("weft_client_dropped_records_total", "signal"), "clients: {{signal}}"),
               query(own("weft_datagrams_lost_total", "receiver"), "datagrams: {{receiver}}")], "ops", width=8),
    ]


def agent_traces():
    return [
        row("Traces"),
        lines("Reach of the ring", "How long ago the oldest record of the ring arrived, by agent: the shortest of its shards.",
              query(gauge("weft_trace_reach_seconds", how="min"), "{{instance}}"), "s", width=8),
        lines("Ring", "Bytes in use by agent.", query(gauge("weft_trace_ring_bytes"), "{{instance}}"), "bytes", width=8),
        lines("Spans of the ring", "Stored, kept because their trace is worth it, and written over.",
              [query(own("weft_trace_spans_stored_total", "signal"), "stored: {{signal}}"),
               query(own("weft_trace_spans_kept_total"), "kept"),
               query(own("weft_trace_spans_expired_total", "signal"), "written over: {{signal}}"),
               query(own("weft_trace_spans_not_stored_total", "reason"), "not stored: {{reason}}")], "ops", width=8),
        lines("Traces kept, by reason", "Traces that began to be kept.",
              query(own("weft_trace_kept_traces_total", "reason"), "{{reason}}"), "ops", width=8),
        lines("Past their rate", "Traces worth keeping for a reason whose rate was used up (trace.rate_per_s).",
              query(own("weft_trace_limited_traces_total", "reason"), "{{reason}}"), "ops", width=8),
        lines("Exemplars", "Those shown, and the traces pinned for them.",
              [query(gauge("weft_exemplars", "job"), "exemplars"),
               query(gauge("weft_exemplar_traces", "job"), "pinned traces")], "none", width=8),
        lines("Spans joined", "For self and network times; what was left out had no room.",
              query(own("weft_trace_timings_total", "result"), "{{result}}"), "ops"),
        lines("Exemplars refused", "Why a request became none.",
              query(own("weft_exemplars_refused_total", "reason"), "{{reason}}"), "ops"),
    ]


def agent_exports():
    return [
        row("Exports"),
        lines("Sent", "Items that destinations accepted.",
              query(own("weft_export_sent_total", "destination, signal"), "{{destination}}: {{signal}}"), "ops", width=8),
        lines("Queued", "Items that wait for a destination, those under way included.",
              query(gauge("weft_export_queued", "destination, signal"), "{{destination}}: {{signal}}"), "none", width=8),
        lines("Queues", "Bytes that wait, by destination and agent; past its limit a queue drops its oldest.",
              query(gauge("weft_export_queue_bytes", "instance, destination"), "{{destination}} of {{instance}}"),
              "bytes", width=8),
        lines("Attempts to export", "Requests to destinations by result.",
              query(own("weft_export_attempts_total", "destination, result"), "{{destination}}: {{result}}"), "ops", width=8),
        lines("Given up", "Items that were accepted for a destination and dropped, by reason.",
              query(own("weft_export_dropped_total", "destination, reason"), "{{destination}}: {{reason}}"), "ops", width=8),
        lines("Lost on the way to the exporter", "For want of memory.",
              query(own("weft_export_lost_total", "signal"), "{{signal}}"), "ops", width=8),
    ]


def agent_process():
    return [
        row("The process"),
        lines("CPU", "Cores, by agent.", query(own("weft_process_cpu_seconds_total", "instance"), "{{instance}}"),
              "none", width=8),
        lines("Memory", "Resident memory, by agent.", query(gauge("weft_process_resident_bytes"), "{{instance}}"),
              "bytes", width=8),
        lines("Running for", "Since its start; at a start counters begin anew.",
              query(f"time() - max by (instance) (weft_process_start_time_seconds{{{AGENT}}})", "{{instance}}"), "s", width=8),
        lines("Series", "Label sets held now, by agent.", query(gauge("weft_series_live"), "{{instance}}"), "none", width=8),
        lines("Past the budget of series", "Records counted under destination=\"_overflow\", and label sets refused.",
              [query(own("weft_overflow_records_total"), "records"),
               query(own("weft_series_refused_total"), "label sets"),
               query(own("weft_series_expired_total"), "expired")], "ops", width=8),
        lines("Connections", "That senders hold, by agent.", query(gauge("weft_connections_open"), "{{instance}}"), "none",
              width=8),
        lines("Connections ended by the agent", "By reason.",
              query(own("weft_connections_closed_total", "reason"), "{{reason}}"), "ops", width=8),
        lines("Received", "Bytes a second from senders, by agent.",
              query(own("weft_received_bytes_total", "instance"), "{{instance}}"), "Bps", width=8),
        lines("Answers", "Scrapes and queries served, and those refused because nobody reads the answers.",
              [query(own("weft_scrapes_total"), "scrapes"), query(own("weft_queries_total"), "queries"),
               query(own("weft_queries_rejected_total"), "rejected"),
               query(own("weft_answers_refused_total"), "refused")], "ops", width=8),
        lines("Configuration", "1: the file was read without error when it was read last. Keys whose new value waits for a "
              "restart.",
              [query(f"min(weft_config_last_reload_successful{{{AGENT}}})", "read without error"),
               query(f"max(weft_config_keys_waiting_for_restart{{{AGENT}}})", "keys that wait for a restart"),
               query(own("weft_config_reloads_total", "result"), "reloads a second: {{result}}")], "none", width=8),
        table("Versions", "What runs where.", [("agents", "none", f"count by (instance, version) (weft_build_info{{{AGENT}}})")],
              width=8, height=9),
        lines("Flips", "Values handed from shards to the aggregator; skipped ones wait for the next, late ones come with the "
              "next answer.",
              [query(own("weft_flips_total"), "done"), query(own("weft_flips_skipped_total"), "skipped"),
               query(own("weft_flips_late_total"), "late")], "ops", width=8),
    ]


def agent():
    variables = [
        datasource_variable("datasource", "Prometheus", "prometheus"),
        label_variable("instance", "Agent", "weft_build_info", "instance", several=True),
    ]
    return dashboard(
        "weft-agent", "weft: the agent itself", "What the agents received, kept, dropped and exported, and what they cost.",
        variables, agent_heads() + agent_ledger() + agent_traces() + agent_exports() + agent_process(),
    )


BOARDS = {"mesh-overview": overview, "one-service": service, "one-edge": edge, "the-agent": agent}
