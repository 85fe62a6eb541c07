/* The tables of schema.h. Read-only; any thread. */
#include "config/schema.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"

_Static_assert(sizeof(enum log_level) == sizeof(int), "a choice is stored as an int");

/* The C library's limit for a Unix socket's path, without the NUL. */
enum { SOCKET_PATH_BYTES_MAX = 107, NAME_BYTES_MAX = 63, STRING_BYTES_MAX = 4096 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define GROUP(table, type)                                                                                   \
    {                                                                                                        \
        .fields = (table), .field_count = COUNT(table), .size_bytes = sizeof(type)                           \
    }

static const char *const level_choices[] = {"debug", "info", "warn", "error", NULL};
static const char *const count_from_choices[] = {"auto", "access_log", "spans", NULL};
static const char *const format_choices[] = {"logfmt", "json", NULL};
static const char *const signal_choices[] = {"traces", "metrics", "logs", NULL};
static const char *const preset_choices[] = {"json", "nginx", "haproxy", NULL}; /* enum access_preset */
static const char *const graph_choices[] = {"destination", "source", NULL};
/* In the order of enum profile: core/profiles.h; a test compares them. */
static const char *const profile_choices[] = {
    "istio", "linkerd", "spanmetrics", "tempo", "servicegraph", "otel", NULL};
static const char *const protocol_choices[] = {"grpc", "http/protobuf", NULL};
static const char *const compression_choices[] = {"none", "gzip", "zstd", NULL};
static const char *const temporality_choices[] = {"cumulative", "delta", NULL};
static const char *const aws_credentials_choices[] = {
    "auto", "environment", "file", "container", "instance", NULL};
static const char *const trace_export_choices[] = {"kept", "all", NULL};
static const char *const droppable_choices[] = {
    "method", "protocol", "response_code", "grpc_status", NULL}; /* enum droppable_label */
static const char *const histogram_choices[] = {"exponential", "explicit", NULL};

/* clang-format off */
#define LIVE .apply = CONFIG_APPLY_LIVE
#define RESTART .apply = CONFIG_APPLY_RESTART
#define TEXT(key, min, max) .name = #key, .kind = CONFIG_KIND_STRING, .smallest = (min), .largest = (max)
#define INTEGER(key, min, max, number) .name = #key, .kind = CONFIG_KIND_INTEGER, .smallest = (min), .largest = (max), .value = (number)
#define CHOICE(key, table, text) .name = #key, .kind = CONFIG_KIND_CHOICE, .choices = (table), .value = (text)
#define BOOLEAN(key, text) .name = #key, .kind = CONFIG_KIND_BOOL, .value = (text)
#define NESTED(key, table) .name = #key, .kind = CONFIG_KIND_GROUP, .group = (table)

static const struct config_field socket_fields[] = {
    {TEXT(path, 1, SOCKET_PATH_BYTES_MAX), RESTART, .offset = offsetof(struct config_socket, path)},
    {.name = "mode", .kind = CONFIG_KIND_MODE, .value = "0660", RESTART, .offset = offsetof(struct config_socket, mode)},
    {.name = "directory_mode", .kind = CONFIG_KIND_MODE, .value = "0750", RESTART, .offset = offsetof(struct config_socket, directory_mode)},
    {TEXT(group, 1, NAME_BYTES_MAX), RESTART, .offset = offsetof(struct config_socket, group)},
};

static const struct config_field api_socket_fields[] = {
    {BOOLEAN(enabled, "true"), RESTART, .offset = offsetof(struct config_api_socket, enabled)},
    {TEXT(path, 1, SOCKET_PATH_BYTES_MAX), RESTART, .offset = offsetof(struct config_api_socket, path)},
    {TEXT(group, 1, NAME_BYTES_MAX), RESTART, .offset = offsetof(struct config_api_socket, group)},
};

static const struct config_field http_fields[] = {
    {TEXT(address, 1, 128), .value = "127.0.0.1:9464", RESTART, .offset = offsetof(struct config_http, address)},
    {.name = "hosts", .kind = CONFIG_KIND_STRINGS, .smallest = 1, .largest = STRING_BYTES_MAX, LIVE,
        .offset = offsetof(struct config_http, hosts), .value = ""},
    {.name = "cert_file", .kind = CONFIG_KIND_FILE, RESTART, .offset = offsetof(struct config_http, tls.cert_file)},
    {.name = "key_file", .kind = CONFIG_KIND_FILE, RESTART, .offset = offsetof(struct config_http, tls.key_file)},
    {.name = "client_ca_file", .kind = CONFIG_KIND_FILE, RESTART, .offset = offsetof(struct config_http, tls.client_ca_file)},
    {.name = "token_file", .kind = CONFIG_KIND_SECRET_FILE, .largest = 4096, RESTART, .offset = offsetof(struct config_http, token),
        .file_offset = offsetof(struct config_http, token_file)},
    {BOOLEAN(insecure, "false"), RESTART, .offset = offsetof(struct config_http, insecure)},
};

static const struct config_field metrics_http_fields[] = {
    {TEXT(address, 1, 128), RESTART, .offset = offsetof(struct config_metrics_http, address)},
    {.name = "cert_file", .kind = CONFIG_KIND_FILE, RESTART, .offset = offsetof(struct config_metrics_http, tls.cert_file)},
    {.name = "key_file", .kind = CONFIG_KIND_FILE, RESTART, .offset = offsetof(struct config_metrics_http, tls.key_file)},
    {.name = "client_ca_file", .kind = CONFIG_KIND_FILE, RESTART, .offset = offsetof(struct config_metrics_http, tls.client_ca_file)},
};

static const struct config_field statsd_fields[] = {
    {TEXT(path, 1, SOCKET_PATH_BYTES_MAX), RESTART, .offset = offsetof(struct config_statsd, path)},
    {TEXT(stream_path, 1, SOCKET_PATH_BYTES_MAX), RESTART, .offset = offsetof(struct config_statsd, stream_path)},
    {TEXT(udp, 1, 128), RESTART, .offset = offsetof(struct config_statsd, udp)},
    {.name = "mode", .kind = CONFIG_KIND_MODE, .value = "0660", RESTART, .offset = offsetof(struct config_statsd, mode)},
    {TEXT(group, 1, NAME_BYTES_MAX), RESTART, .offset = offsetof(struct config_statsd, group)},
    {INTEGER(buffer_bytes, 0, 1073741824, "4194304"), RESTART, .offset = offsetof(struct config_statsd, buffer_bytes)},
};
static const struct config_group statsd_group = GROUP(statsd_fields, struct config_statsd);

static const struct config_field xray_fields[] = {
    {TEXT(udp, 1, 128), RESTART, .offset = offsetof(struct config_xray, udp)},
    {INTEGER(buffer_bytes, 0, 1073741824, "4194304"), RESTART, .offset = offsetof(struct config_xray, buffer_bytes)},
};
static const struct config_group xray_group = GROUP(xray_fields, struct config_xray);

static const struct config_field access_key_fields[] = {
#define ACCESS_FIELD(key, nginx, haproxy) {TEXT(key, 1, 128), RESTART, .offset = offsetof(struct config_access_log, keys[ACCESS_FIELD_##key])},
    WEFT_ACCESS_FIELDS(ACCESS_FIELD)
#undef ACCESS_FIELD
};
/* Shares its entry's struct. */
static const struct config_group access_keys_group = GROUP(access_key_fields, struct config_access_log);

static const struct config_field access_log_fields[] = {
    {TEXT(path, 1, SOCKET_PATH_BYTES_MAX), RESTART, .offset = offsetof(struct config_access_log, path)},
    {TEXT(stream_path, 1, SOCKET_PATH_BYTES_MAX), RESTART, .offset = offsetof(struct config_access_log, stream_path)},
    {.name = "mode", .kind = CONFIG_KIND_MODE, .value = "0660", RESTART, .offset = offsetof(struct config_access_log, mode)},
    {TEXT(group, 1, NAME_BYTES_MAX), RESTART, .offset = offsetof(struct config_access_log, group)},
    {INTEGER(buffer_bytes, 0, 1073741824, "4194304"), RESTART, .offset = offsetof(struct config_access_log, buffer_bytes)},
    {CHOICE(preset, preset_choices, "json"), RESTART, .offset = offsetof(struct config_access_log, preset)},
    {TEXT(service, 1, 253), RESTART, .offset = offsetof(struct config_access_log, service)},
    {TEXT(service_namespace, 1, 253), RESTART, .offset = offsetof(struct config_access_log, service_namespace)},
    {TEXT(mesh, 1, NAME_BYTES_MAX), RESTART, .offset = offsetof(struct config_access_log, mesh)},
    {NESTED(fields, &access_keys_group), .offset = 0},
};
static const struct config_group access_log_group = GROUP(access_log_fields, struct config_access_log);

static const struct config_field tls_fields[] = {
    {.name = "ca_file", .kind = CONFIG_KIND_FILE, RESTART, .offset = offsetof(struct config_tls, ca_file)},
    {.name = "cert_file", .kind = CONFIG_KIND_FILE, RESTART, .offset = offsetof(struct config_tls, cert_file)},
    {.name = "key_file", .kind = CONFIG_KIND_FILE, RESTART, .offset = offsetof(struct config_tls, key_file)},
    {TEXT(server_name, 1, 253), RESTART, .offset = offsetof(struct config_tls, server_name)},
    {BOOLEAN(insecure_skip_verify, "false"), RESTART, .offset = offsetof(struct config_tls, insecure_skip_verify)},
};
static const struct config_group tls_group = GROUP(tls_fields, struct config_tls);

static const struct config_field label_fields[] = {
    {TEXT(name, 1, NAME_BYTES_MAX), RESTART, .offset = offsetof(struct config_label, name)},
    {TEXT(value, 1, 255), RESTART, .offset = offsetof(struct config_label, value)},
};
static const struct config_group label_group = GROUP(label_fields, struct config_label);

/* As tls_fields, without a name other than the URL's host. */
static const struct config_field scrape_tls_fields[] = {
    {.name = "ca_file", .kind = CONFIG_KIND_FILE, RESTART, .offset = offsetof(struct config_tls, ca_file)},
    {.name = "cert_file", .kind = CONFIG_KIND_FILE, RESTART, .offset = offsetof(struct config_tls, cert_file)},
    {.name = "key_file", .kind = CONFIG_KIND_FILE, RESTART, .offset = offsetof(struct config_tls, key_file)},
    {BOOLEAN(insecure_skip_verify, "false"), RESTART, .offset = offsetof(struct config_tls, insecure_skip_verify)},
};
static const struct config_group scrape_tls_group = GROUP(scrape_tls_fields, struct config_tls);

static const struct config_field scrape_fields[] = {
    {TEXT(name, 1, NAME_BYTES_MAX), RESTART, .offset = offsetof(struct config_scrape, name)},
    {TEXT(namespace, 1, NAME_BYTES_MAX), RESTART, .offset = offsetof(struct config_scrape, namespace)},
    {TEXT(url, 1, STRING_BYTES_MAX), RESTART, .offset = offsetof(struct config_scrape, url)},
    {TEXT(socket, 1, SOCKET_PATH_BYTES_MAX), RESTART, .offset = offsetof(struct config_scrape, socket)},
    {INTEGER(interval_s, 1, 3600, "15"), RESTART, .offset = offsetof(struct config_scrape, interval_s)},
    {INTEGER(timeout_ms, 10, 600000, "1000"), RESTART, .offset = offsetof(struct config_scrape, timeout_ms)},
    {TEXT(mesh, 1, NAME_BYTES_MAX), RESTART, .offset = offsetof(struct config_scrape, mesh)},
    {.name = "labels", .kind = CONFIG_KIND_GROUPS, .group = &label_group, .offset = offsetof(struct config_scrape, labels)},
    {NESTED(tls, &scrape_tls_group), .offset = offsetof(struct config_scrape, tls)},
};
static const struct config_group scrape_group = GROUP(scrape_fields, struct config_scrape);

static const struct config_field metrics_service_fields[] = {
    {CHOICE(counters, temporality_choices, "cumulative"), RESTART, .offset = offsetof(struct config_metrics_service, counters)},
};
static const struct config_group metrics_service_group = GROUP(metrics_service_fields, struct config_metrics_service);

static const struct config_field otlp_listener_fields[] = {
    {TEXT(grpc, 1, 128), RESTART, .offset = offsetof(struct config_otlp_listeners, grpc)},
    {TEXT(http, 1, 128), RESTART, .offset = offsetof(struct config_otlp_listeners, http)},
    {TEXT(cert_file, 1, STRING_BYTES_MAX), RESTART, .offset = offsetof(struct config_otlp_listeners, cert_file)},
    {TEXT(key_file, 1, STRING_BYTES_MAX), RESTART, .offset = offsetof(struct config_otlp_listeners, key_file)},
    {TEXT(client_ca_file, 1, STRING_BYTES_MAX), RESTART, .offset = offsetof(struct config_otlp_listeners, client_ca_file)},
    {.name = "allow", .kind = CONFIG_KIND_STRINGS, .smallest = 1, .largest = 64, LIVE,
        .offset = offsetof(struct config_otlp_listeners, allow), .value = ""},
};
static const struct config_group otlp_listeners_group = GROUP(otlp_listener_fields, struct config_otlp_listeners);

static const struct config_field receivers_fields[] = {
    {NESTED(statsd, &statsd_group), .offset = offsetof(struct config_receivers, statsd)},
    {NESTED(xray, &xray_group), .offset = offsetof(struct config_receivers, xray)},
    {.name = "access_logs", .kind = CONFIG_KIND_GROUPS, .group = &access_log_group, .offset = offsetof(struct config_receivers, access_logs)},
    {.name = "scrape", .kind = CONFIG_KIND_GROUPS, .group = &scrape_group, .offset = offsetof(struct config_receivers, scrape)},
    {NESTED(metrics_service, &metrics_service_group), .offset = offsetof(struct config_receivers, metrics_service)},
    {NESTED(otlp, &otlp_listeners_group), .offset = offsetof(struct config_receivers, otlp)},
};

static const struct config_field log_fields[] = {
    {CHOICE(level, level_choices, "info"), LIVE, .offset = offsetof(struct config_log, level)},
    {CHOICE(format, format_choices, "logfmt"), LIVE, .offset = offsetof(struct config_log, format)},
};

static const struct config_field limit_fields[] = {
#define LIMIT_FIELD(key, number, min, max, apply, help) {INTEGER(key, min, max, #number), apply, .offset = offsetof(struct limits, key)},
    WEFT_LIMITS(LIMIT_FIELD)
#undef LIMIT_FIELD
};

static const struct config_field bounds_rule_fields[] = {
    {TEXT(service, 1, 253), RESTART, .offset = offsetof(struct bounds_rule, service)},
    {TEXT(route, 1, 255), RESTART, .offset = offsetof(struct bounds_rule, route)},
    {.name = "bounds_ms", .kind = CONFIG_KIND_MS_LIST, RESTART, .offset = offsetof(struct bounds_rule, bounds_ns), .value = ""},
    {INTEGER(slow_ms, 0, BOUNDS_SLOW_MS_MAX, "0"), RESTART, .offset = offsetof(struct bounds_rule, slow_ms)},
};
static const struct config_group bounds_rule_group = GROUP(bounds_rule_fields, struct bounds_rule);

static const struct config_field metrics_fields[] = {
    {.name = "bounds_ms", .kind = CONFIG_KIND_MS_LIST, RESTART, .offset = offsetof(struct config_metrics, bounds_ns),
        .value = "0.5 1 2.5 5 10 25 50 100 250 500 1000 2500 5000 10000 30000 60000"},
    {.name = "bounds_per_route", .kind = CONFIG_KIND_GROUPS, .group = &bounds_rule_group,
        .offset = offsetof(struct config_metrics, bounds_per_route)},
    {.name = "native_schema", .kind = CONFIG_KIND_SIGNED, .smallest = (uint64_t)-4, .largest = 5, .value = "3", LIVE,
        .offset = offsetof(struct config_metrics, native_schema)},
    {BOOLEAN(classic, "true"), LIVE, .offset = offsetof(struct config_metrics, classic)},
    {.name = "keep", .kind = CONFIG_KIND_STRINGS, .smallest = 1, .largest = 255, .value = "", LIVE,
        .offset = offsetof(struct config_metrics, keep)},
    {.name = "drop", .kind = CONFIG_KIND_STRINGS, .smallest = 1, .largest = 255, .value = "", LIVE,
        .offset = offsetof(struct config_metrics, drop)},
    {.name = "drop_labels", .kind = CONFIG_KIND_CHOICES, .choices = droppable_choices, .value = "", RESTART,
        .offset = offsetof(struct config_metrics, drop_labels)},
    {.name = "labels", .kind = CONFIG_KIND_GROUPS, .group = &label_group, .offset = offsetof(struct config_metrics, labels)},
};

static const struct config_field redact_fields[] = {
    {.name = "attributes", .kind = CONFIG_KIND_STRINGS, .smallest = 1, .largest = CONFIG_REDACT_BYTES_MAX, LIVE,
        .offset = offsetof(struct config_redact, attributes),
        .value = "http.request.header.authorization http.request.header.cookie http.request.header.x-api-key "
                 "http.request.header.x-amz-security-token http.response.header.set-cookie"},
};

static const struct config_field trace_fields[] = {
    {CHOICE(export, trace_export_choices, "kept"), RESTART, .offset = offsetof(struct config_trace, export)},
    {BOOLEAN(compress, "false"), RESTART, .offset = offsetof(struct config_trace, compress)},
    {INTEGER(slow_ms, 0, 3600000, "1000"), LIVE, .offset = offsetof(struct config_trace, slow_ms)},
    {INTEGER(slow_factor, 0, 1000, "4"), LIVE, .offset = offsetof(struct config_trace, slow_factor)},
    {INTEGER(slow_for_series_min_ms, 0, 3600000, "10"), LIVE, .offset = offsetof(struct config_trace, slow_for_series_min_ms)},
    {INTEGER(rare_count, 0, 255, "5"), LIVE, .offset = offsetof(struct config_trace, rare_count)},
    {.name = "baseline", .kind = CONFIG_KIND_FRACTION, .value = "0.001", LIVE, .offset = offsetof(struct config_trace, baseline_parts)},
    {INTEGER(rate_per_s, 0, 100000, "100"), LIVE, .offset = offsetof(struct config_trace, rate_per_s)},
    {INTEGER(linger_ms, 100, 3600000, "30000"), LIVE, .offset = offsetof(struct config_trace, linger_ms)},
    {INTEGER(exemplar_retention_s, 1, 86400, "900"), LIVE, .offset = offsetof(struct config_trace, exemplar_retention_s)},
    {.name = "peers", .kind = CONFIG_KIND_STRINGS, .smallest = 1, .largest = 1024, .value = "", RESTART,
        .offset = offsetof(struct config_trace, peers)},
    {.name = "peer_token_file", .kind = CONFIG_KIND_SECRET_FILE, .largest = 4096, RESTART, .offset = offsetof(struct config_trace, peer_token),
        .file_offset = offsetof(struct config_trace, peer_token_file)},
    {NESTED(peer_tls, &tls_group), .offset = offsetof(struct config_trace, peer_tls)},
};
static const struct config_group trace_group = GROUP(trace_fields, struct config_trace);

static const struct config_field header_fields[] = {
    {TEXT(name, 1, NAME_BYTES_MAX), RESTART, .offset = offsetof(struct config_header, name)},
    {.name = "value", .kind = CONFIG_KIND_SECRET, .largest = CONFIG_SECRET_BYTES_MAX, LIVE, .offset = offsetof(struct config_header, value)},
    {.name = "value_file", .kind = CONFIG_KIND_SECRET_FILE, .largest = CONFIG_SECRET_BYTES_MAX, LIVE, .offset = offsetof(struct config_header, value),
        .file_offset = offsetof(struct config_header, value_file)},
};
static const struct config_group header_group = GROUP(header_fields, struct config_header);

static const struct config_field queue_fields[] = {
    {INTEGER(bytes_max, 1048576, 17179869184, "67108864"), RESTART, .offset = offsetof(struct config_queue, bytes_max)},
};
static const struct config_group queue_group = GROUP(queue_fields, struct config_queue);

static const struct config_field batch_fields[] = {
    {INTEGER(count_max, 1, 1048576, "8192"), RESTART, .offset = offsetof(struct config_batch, count_max)},
    {INTEGER(bytes_max, 4096, 67108864, "4194304"), RESTART, .offset = offsetof(struct config_batch, bytes_max)},
    {INTEGER(delay_ms, 1, 60000, "200"), RESTART, .offset = offsetof(struct config_batch, delay_ms)},
};
static const struct config_group batch_group = GROUP(batch_fields, struct config_batch);

static const struct config_field otlp_metrics_fields[] = {
    {INTEGER(interval_s, 1, 3600, "60"), RESTART, .offset = offsetof(struct config_otlp_metrics, interval_s)},
    {CHOICE(temporality, temporality_choices, "cumulative"), RESTART, .offset = offsetof(struct config_otlp_metrics, temporality)},
    {CHOICE(histograms, histogram_choices, "exponential"), RESTART, .offset = offsetof(struct config_otlp_metrics, histograms)},
};
static const struct config_group otlp_metrics_group = GROUP(otlp_metrics_fields, struct config_otlp_metrics);

static const struct config_field aws_fields[] = {
    {TEXT(region, 1, NAME_BYTES_MAX), RESTART, .offset = offsetof(struct config_aws, region)},
    {TEXT(service, 1, NAME_BYTES_MAX), RESTART, .offset = offsetof(struct config_aws, service)},
    {CHOICE(credentials, aws_credentials_choices, "auto"), RESTART, .offset = offsetof(struct config_aws, credentials)},
    {TEXT(profile, 1, 128), RESTART, .offset = offsetof(struct config_aws, profile)},
    {TEXT(credentials_file, 1, STRING_BYTES_MAX), RESTART, .offset = offsetof(struct config_aws, credentials_file)},
    {TEXT(log_group, 1, 512), RESTART, .offset = offsetof(struct config_aws, log_group)},
    {TEXT(log_stream, 1, 512), RESTART, .offset = offsetof(struct config_aws, log_stream)},
};
static const struct config_group aws_group = GROUP(aws_fields, struct config_aws);

static const struct config_field otlp_fields[] = {
    {TEXT(name, 1, NAME_BYTES_MAX), RESTART, .offset = offsetof(struct config_otlp, name)},
    {CHOICE(protocol, protocol_choices, "grpc"), RESTART, .offset = offsetof(struct config_otlp, protocol)},
    {TEXT(endpoint, 1, STRING_BYTES_MAX), RESTART, .offset = offsetof(struct config_otlp, endpoint)},
    {TEXT(traces_endpoint, 1, STRING_BYTES_MAX), RESTART, .offset = offsetof(struct config_otlp, url[CONFIG_SIGNAL_TRACES])},
    {TEXT(metrics_endpoint, 1, STRING_BYTES_MAX), RESTART, .offset = offsetof(struct config_otlp, url[CONFIG_SIGNAL_METRICS])},
    {TEXT(logs_endpoint, 1, STRING_BYTES_MAX), RESTART, .offset = offsetof(struct config_otlp, url[CONFIG_SIGNAL_LOGS])},
    {.name = "signals", .kind = CONFIG_KIND_CHOICES, .choices = signal_choices, .value = "traces metrics", RESTART,
        .offset = offsetof(struct config_otlp, signals)},
    {.name = "headers", .kind = CONFIG_KIND_GROUPS, .group = &header_group, .offset = offsetof(struct config_otlp, headers)},
    {CHOICE(compression, compression_choices, "gzip"), RESTART, .offset = offsetof(struct config_otlp, compression)},
    {NESTED(tls, &tls_group), .offset = offsetof(struct config_otlp, tls)},
    {INTEGER(timeout_ms, 1, 600000, "10000"), RESTART, .offset = offsetof(struct config_otlp, timeout_ms)},
    {NESTED(queue, &queue_group), .offset = offsetof(struct config_otlp, queue)},
    {NESTED(batch, &batch_group), .offset = offsetof(struct config_otlp, batch)},
    {NESTED(metrics, &otlp_metrics_group), .offset = offsetof(struct config_otlp, metrics)},
    {NESTED(aws, &aws_group), .offset = offsetof(struct config_otlp, aws)},
};
const struct config_group config_schema_otlp = GROUP(otlp_fields, struct config_otlp);

static const struct config_field prometheus_fields[] = {
    {.name = "profiles", .kind = CONFIG_KIND_CHOICES, .choices = profile_choices, .value = "", RESTART,
        .offset = offsetof(struct config_prometheus, profiles)},
    {CHOICE(service_graph, graph_choices, "destination"), RESTART, .offset = offsetof(struct config_prometheus, service_graph)},
};
static const struct config_group prometheus_group = GROUP(prometheus_fields, struct config_prometheus);

static const struct config_field exporters_fields[] = {
    {NESTED(prometheus, &prometheus_group), .offset = offsetof(struct config_exporters, prometheus)},
    {.name = "otlp", .kind = CONFIG_KIND_GROUPS, .group = &config_schema_otlp, .offset = offsetof(struct config_exporters, otlp)},
};

static const struct config_group socket_group = GROUP(socket_fields, struct config_socket);
static const struct config_group api_socket_group = GROUP(api_socket_fields, struct config_api_socket);
static const struct config_group http_group = GROUP(http_fields, struct config_http);
static const struct config_group metrics_http_group = GROUP(metrics_http_fields, struct config_metrics_http);
static const struct config_field kubelet_fields[] = {
    {TEXT(url, 1, STRING_BYTES_MAX), RESTART, .offset = offsetof(struct config_kubelet, url)},
    {.name = "token_file", .kind = CONFIG_KIND_FILE, RESTART, .offset = offsetof(struct config_kubelet, token_file)},
    {.name = "ca_file", .kind = CONFIG_KIND_FILE, RESTART, .offset = offsetof(struct config_kubelet, ca_file)},
    {BOOLEAN(insecure_skip_verify, "false"), RESTART, .offset = offsetof(struct config_kubelet, insecure_skip_verify)},
    {INTEGER(interval_s, 1, 3600, "10"), RESTART, .offset = offsetof(struct config_kubelet, interval_s)},
};
static const struct config_group kubelet_group = GROUP(kubelet_fields, struct config_kubelet);

static const struct config_field identity_fields[] = {
    {TEXT(downward_api, 1, STRING_BYTES_MAX), RESTART, .offset = offsetof(struct config_identity, downward_api)},
    {NESTED(kubelet, &kubelet_group), .offset = offsetof(struct config_identity, kubelet)},
    {BOOLEAN(refuse_conflicts, "false"), LIVE, .offset = offsetof(struct config_identity, refuse_conflicts)},
    {.name = "allow", .kind = CONFIG_KIND_STRINGS, .smallest = 1, .largest = 256, .value = "", LIVE,
        .offset = offsetof(struct config_identity, allow)},
    {.name = "deny", .kind = CONFIG_KIND_STRINGS, .smallest = 1, .largest = 256, .value = "", LIVE,
        .offset = offsetof(struct config_identity, deny)},
};
static const struct config_group identity_group = GROUP(identity_fields, struct config_identity);

static const struct config_group receivers_group = GROUP(receivers_fields, struct config_receivers);
static const struct config_group log_group = GROUP(log_fields, struct config_log);
static const struct config_group limits_group = GROUP(limit_fields, struct limits);
static const struct config_group metrics_group = GROUP(metrics_fields, struct config_metrics);
static const struct config_group redact_group = GROUP(redact_fields, struct config_redact);
static const struct config_group exporters_group = GROUP(exporters_fields, struct config_exporters);

static const struct config_field mesh_fields[] = {
    {TEXT(name, 1, NAME_BYTES_MAX), RESTART, .offset = offsetof(struct config_mesh, name)},
    {.name = "senders", .kind = CONFIG_KIND_STRINGS, .smallest = 1, .largest = 256, .value = "", RESTART,
        .offset = offsetof(struct config_mesh, senders)},
};
static const struct config_group mesh_group = GROUP(mesh_fields, struct config_mesh);

static const struct config_field route_fields[] = {
    {TEXT(service, 1, 253), RESTART, .offset = offsetof(struct route_rule, service)},
    {.name = "template", .kind = CONFIG_KIND_STRING, .smallest = 1, .largest = ROUTE_RULE_BYTES_MAX, RESTART,
        .offset = offsetof(struct route_rule, path_template)},
};
static const struct config_group route_group = GROUP(route_fields, struct route_rule);

static const struct config_field top_fields[] = {
    {NESTED(socket, &socket_group), .offset = offsetof(struct config, socket)},
    {NESTED(api_socket, &api_socket_group), .offset = offsetof(struct config, api_socket)},
    {NESTED(http, &http_group), .offset = offsetof(struct config, http)},
    {NESTED(metrics_http, &metrics_http_group), .offset = offsetof(struct config, metrics_http)},
    {NESTED(receivers, &receivers_group), .offset = offsetof(struct config, receivers)},
    {NESTED(identity, &identity_group), .offset = offsetof(struct config, identity)},
    {INTEGER(shards, 0, CONFIG_SHARD_COUNT_MAX, "0"), RESTART, .offset = offsetof(struct config, shards)},
    {TEXT(cluster, 0, 255), .value = "", LIVE, .offset = offsetof(struct config, cluster)},
    {.name = "meshes", .kind = CONFIG_KIND_GROUPS, .group = &mesh_group, .offset = offsetof(struct config, meshes)},
    {.name = "routes", .kind = CONFIG_KIND_GROUPS, .group = &route_group, .offset = offsetof(struct config, routes)},
    {CHOICE(count_from, count_from_choices, "auto"), LIVE, .offset = offsetof(struct config, count_from)},
    {NESTED(log, &log_group), .offset = offsetof(struct config, log)},
    {NESTED(limits, &limits_group), .offset = offsetof(struct config, limits)},
    {NESTED(metrics, &metrics_group), .offset = offsetof(struct config, metrics)},
    {NESTED(redact, &redact_group), .offset = offsetof(struct config, redact)},
    {NESTED(trace, &trace_group), .offset = offsetof(struct config, trace)},
    {NESTED(exporters, &exporters_group), .offset = offsetof(struct config, exporters)},
};
const struct config_group config_schema = GROUP(top_fields, struct config);
/* clang-format on */

const struct config_field *config_group_find(
    const struct config_group *group, const char *name, size_t length)
{
    for (size_t i = 0; i < group->field_count; i++) {
        if (strncmp(group->fields[i].name, name, length) == 0 && group->fields[i].name[length] == '\0') {
            return &group->fields[i];
        }
    }
    return NULL;
}

const char *config_secret_file(
    const struct config_group *group, const struct config_field *field, const void *base)
{
    for (size_t i = 0; i < group->field_count; i++) {
        const struct config_field *other = &group->fields[i];
        if (other->kind == CONFIG_KIND_SECRET_FILE && other->offset == field->offset) {
            return *(const char *const *)((const char *)base + other->file_offset);
        }
    }
    return NULL;
}

struct visitor {
    void (*visit)(const char *path, const struct config_field *field, void *user);
    void *user;
};

/* As deep as the tables nest. */
static void visit_group(const struct visitor *visitor, const struct config_group *group, const char *prefix)
{
    for (size_t i = 0; i < group->field_count; i++) {
        const struct config_field *field = &group->fields[i];
        char path[CONFIG_PATH_BYTES_MAX];
        const char *mark = field->kind == CONFIG_KIND_GROUPS ? "[]" : "";
        (void)snprintf(
            path, sizeof path, "%.120s%s%.80s%s", prefix, prefix[0] != '\0' ? "." : "", field->name, mark);
        if (field->group != NULL) {
            visit_group(visitor, field->group, path);
        } else {
            visitor->visit(path, field, visitor->user);
        }
    }
}

void config_schema_visit(
    void (*visit)(const char *path, const struct config_field *field, void *user), void *user)
{
    visit_group(&(struct visitor){.visit = visit, .user = user}, &config_schema, "");
}
