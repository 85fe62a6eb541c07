/*
 * OTEL_EXPORTER_OTLP_*: destinations for those who configure nothing else. Follows the OpenTelemetry
 * specification's "OTLP Exporter Configuration": a variable of a signal goes before the general one, an empty
 * variable counts as unset, a value that cannot be understood is ignored with a warning. Main thread, at
 * start.
 *
 * Endpoints and files that cannot be used are errors instead: to send elsewhere, or without the asked-for
 * trust, is no sensible fallback.
 */
#include "config/loader.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/value.h"
#include "core/error.h"

/* Of the signals traces and metrics have variables; who wants logs shipped says so in the file. */
enum { ENVIRONMENT_SIGNAL_COUNT = CONFIG_SIGNAL_METRICS + 1 };

enum { VARIABLE_BYTES_MAX = 96, HEADER_COUNT_MAX = 64, ENDPOINT_BYTES_MAX = 4096 };

struct variable {
    char name[VARIABLE_BYTES_MAX];
    const char *value; /* NULL when unset or empty */
};

static const char *const signal_prefixes[ENVIRONMENT_SIGNAL_COUNT] = {
    [CONFIG_SIGNAL_TRACES] = "TRACES_",
    [CONFIG_SIGNAL_METRICS] = "METRICS_",
};

static struct variable read_variable(const struct loader *loader, const char *prefix, const char *suffix)
{
    struct variable variable;
    int length = snprintf(variable.name, sizeof variable.name, "OTEL_EXPORTER_OTLP_%s%s", prefix, suffix);

    variable.value = value_variable(loader->source->environment, variable.name, (size_t)length);
    if (variable.value != NULL && variable.value[0] == '\0') {
        variable.value = NULL;
    }
    return variable;
}

/* That of the signal, else the general one. */
static struct variable find_variable(
    const struct loader *loader, enum config_signal signal, const char *suffix)
{
    struct variable variable = read_variable(loader, signal_prefixes[signal], suffix);

    return variable.value != NULL ? variable : read_variable(loader, "", suffix);
}

/* The value of `name` was ignored; `shown` may be NULL for one that must not be seen. */
static int warn(struct loader *loader, const char *name, const char *expected, const char *shown)
{
    struct config_strings *warnings = &loader->config->warnings;
    char text[512];

    int length = snprintf(text, sizeof text, "%s: expected %s%s%.100s%s; ignored", name, expected,
        shown != NULL ? ", got \"" : "", shown != NULL ? shown : "", shown != NULL ? "\"" : "");
    loader_make_line(text);
    if (warnings->items == NULL) {
        warnings->items = arena_zalloc(&loader->config->arena, CONFIG_WARNING_COUNT_MAX * sizeof(char *));
    }
    const char *copy =
        loader_copy(loader, text, length < (int)sizeof text ? (size_t)length : sizeof text - 1);
    if (warnings->items == NULL || copy == NULL) {
        return loader_fail_memory(loader);
    }
    if (warnings->count < CONFIG_WARNING_COUNT_MAX) {
        warnings->items[warnings->count++] = copy;
    }
    return 0;
}

/* One row: a variable whose text is looked up in a list of names. */
static int read_choice(struct loader *loader, const struct variable *variable, const char *const *names,
    const char *expected, int *index)
{
    if (variable->value == NULL || value_choice(variable->value, names, index) == 0) {
        return 0;
    }
    return warn(loader, variable->name, expected, variable->value);
}

static int read_protocol(struct loader *loader, enum config_signal signal, struct config_otlp *otlp)
{
    static const char *const names[] = {"grpc", "http/protobuf", NULL};
    struct variable variable = find_variable(loader, signal, "PROTOCOL");
    int index = CONFIG_PROTOCOL_HTTP_PROTOBUF;
    int status = read_choice(loader, &variable, names, "grpc or http/protobuf", &index);

    otlp->protocol = (enum config_protocol)index;
    return status;
}

static int read_compression(struct loader *loader, enum config_signal signal, struct config_otlp *otlp)
{
    static const char *const names[] = {"none", "gzip", "zstd", NULL};
    struct variable variable = find_variable(loader, signal, "COMPRESSION");
    int index = (int)otlp->compression;
    int status = read_choice(loader, &variable, names, "none, gzip or zstd", &index);

    otlp->compression = (enum config_compression)index;
    return status;
}

/* Our counters and histograms are of the kinds for which `lowmemory` means delta. */
static int read_metrics(struct loader *loader, struct config_otlp *otlp)
{
    static const char *const temporalities[] = {"cumulative", "delta", "lowmemory", NULL};
    static const char *const histograms[] = {
        "base2_exponential_bucket_histogram", "explicit_bucket_histogram", NULL};
    struct variable temporality = read_variable(loader, "METRICS_", "TEMPORALITY_PREFERENCE");
    struct variable histogram = read_variable(loader, "METRICS_", "DEFAULT_HISTOGRAM_AGGREGATION");
    int temporality_index = 0;
    int histogram_index = CONFIG_HISTOGRAMS_EXPLICIT; /* the specification's default */
    int status = read_choice(
        loader, &temporality, temporalities, "cumulative, delta or lowmemory", &temporality_index);

    if (status == 0) {
        status = read_choice(loader, &histogram, histograms,
            "explicit_bucket_histogram or base2_exponential_bucket_histogram", &histogram_index);
    }
    otlp->metrics.temporality =
        temporality_index == 0 ? CONFIG_TEMPORALITY_CUMULATIVE : CONFIG_TEMPORALITY_DELTA;
    otlp->metrics.histograms = (enum config_histograms)histogram_index;
    return status;
}

static int read_timeout(struct loader *loader, enum config_signal signal, struct config_otlp *otlp)
{
    struct variable variable = find_variable(loader, signal, "TIMEOUT");

    if (variable.value == NULL || value_unsigned(variable.value, 1, 600000, &otlp->timeout_ms) == 0) {
        return 0;
    }
    return warn(loader, variable.name, "milliseconds from 1 to 600000", variable.value);
}

static int read_file(
    struct loader *loader, enum config_signal signal, const char *suffix, const char **ret_path)
{
    static const struct config_field field = {.name = "file", .kind = CONFIG_KIND_FILE};
    struct variable variable = find_variable(loader, signal, suffix);

    if (variable.value == NULL) {
        return 0;
    }
    const char *path = loader_copy(loader, variable.value, strlen(variable.value));
    return path != NULL ? convert_scalar(loader, &field, variable.name, path, ret_path)
                        : loader_fail_memory(loader);
}

static int hex_value(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = strchr(digits, digit >= 'A' && digit <= 'F' ? digit + ('a' - 'A') : digit);

    return digit != '\0' && found != NULL ? (int)(found - digits) : -1;
}

/* %XX decoded and surrounding spaces dropped; NULL on a bad escape or out of memory. */
static const char *decode(struct loader *loader, const char *text, size_t length)
{
    size_t used = 0;

    while (length > 0 && *text == ' ') {
        text++;
        length--;
    }
    while (length > 0 && text[length - 1] == ' ') {
        length--;
    }
    char *out = arena_alloc(&loader->config->arena, length + 1);
    for (size_t i = 0; out != NULL && i < length; i++) {
        if (text[i] != '%') {
            out[used++] = text[i];
            continue;
        }
        int high = length - i > 2 ? hex_value(text[i + 1]) : -1;
        int low = high >= 0 ? hex_value(text[i + 2]) : -1;
        if (low < 0 || (high == 0 && low == 0)) {
            return NULL;
        }
        out[used++] = (char)(high * 16 + low);
        i += 2;
    }
    if (out != NULL) {
        out[used] = '\0';
    }
    return out;
}

/* One "name=value"; false when it is none. */
static bool parse_header(
    struct loader *loader, const char *text, size_t length, struct config_header *ret_header)
{
    const char *equals = memchr(text, '=', length);
    const char *expected = NULL;

    if (equals == NULL) {
        return false;
    }
    struct config_header header = {
        .name = decode(loader, text, (size_t)(equals - text)),
        .value = decode(loader, equals + 1, length - (size_t)(equals + 1 - text)),
    };
    if (header.name == NULL || header.value == NULL || check_header(loader, &header, &expected) < 0) {
        return false;
    }
    *ret_header = header;
    return true;
}

static int read_headers(struct loader *loader, enum config_signal signal, struct config_otlp *otlp)
{
    struct variable variable = find_variable(loader, signal, "HEADERS");

    if (variable.value == NULL) {
        return 0;
    }
    struct config_header *items =
        arena_zalloc(&loader->config->arena, HEADER_COUNT_MAX * sizeof *otlp->headers.items);
    if (items == NULL) {
        return loader_fail_memory(loader);
    }
    size_t count = 0;
    int status = 0;
    for (const char *next = variable.value; *next != '\0' && status == 0;) {
        size_t length = strcspn(next, ",");
        bool is_blank = strspn(next, " ") >= length;
        if (!is_blank && (count == HEADER_COUNT_MAX || !parse_header(loader, next, length, &items[count]))) {
            status = warn(
                loader, variable.name, "name=value pairs parted by commas, values percent-encoded", NULL);
        } else if (!is_blank) {
            count++;
        }
        next += length;
        next += *next == ',';
    }
    otlp->headers = (struct config_headers){.items = items, .count = count};
    return status;
}

static int fail_endpoint(struct loader *loader, const struct variable *variable)
{
    return loader_fail(loader, WERR_CONFIG, variable->name,
        "expected http://HOST[:PORT] or https://HOST[:PORT], got \"%.100s\"", variable->value);
}

/* gRPC endpoints may lack the scheme; INSECURE then says which. */
static int read_grpc_endpoint(struct loader *loader, enum config_signal signal,
    const struct variable *variable, struct config_otlp *otlp)
{
    struct variable insecure = find_variable(loader, signal, "INSECURE");
    bool is_insecure = insecure.value != NULL && strcasecmp(insecure.value, "true") == 0;
    const char *scheme = is_insecure ? "http://" : "https://";
    char url[ENDPOINT_BYTES_MAX];

    assert(variable->value != NULL);
    if (strstr(variable->value, "://") != NULL) {
        scheme = "";
    }
    int length = snprintf(url, sizeof url, "%s%s", scheme, variable->value);
    if (length < 0 || (size_t)length >= sizeof url || !check_is_url(url)) {
        return fail_endpoint(loader, variable);
    }
    otlp->endpoint = loader_copy(loader, url, (size_t)length);
    return otlp->endpoint != NULL ? 0 : loader_fail_memory(loader);
}

static int read_endpoint(struct loader *loader, enum config_signal signal, struct config_otlp *otlp)
{
    struct variable own = read_variable(loader, signal_prefixes[signal], "ENDPOINT");
    struct variable general = read_variable(loader, "", "ENDPOINT");
    const struct variable *variable = own.value != NULL ? &own : &general;

    if (otlp->protocol == CONFIG_PROTOCOL_GRPC) {
        return read_grpc_endpoint(loader, signal, variable, otlp);
    }
    if (!check_is_url(variable->value)) {
        return fail_endpoint(loader, variable);
    }
    const char *url = loader_copy(loader, variable->value, strlen(variable->value));
    if (url == NULL) {
        return loader_fail_memory(loader);
    }
    if (own.value != NULL) {
        otlp->url[signal] = url;
    } else {
        otlp->endpoint = url;
    }
    return 0;
}

static int read_signal(struct loader *loader, enum config_signal signal, struct config_otlp *otlp)
{
    int status = convert_defaults(loader, &config_schema_otlp, otlp);

    otlp->signals = 1u << signal;
    otlp->name = signal == CONFIG_SIGNAL_TRACES ? "env-traces" : "env-metrics";
    if (status == 0) {
        status = read_protocol(loader, signal, otlp);
    }
    if (status == 0) {
        status = read_endpoint(loader, signal, otlp);
    }
    if (status == 0) {
        status = read_headers(loader, signal, otlp);
    }
    if (status == 0) {
        status = read_compression(loader, signal, otlp);
    }
    if (status == 0) {
        status = read_timeout(loader, signal, otlp);
    }
    if (status == 0) {
        status = read_file(loader, signal, "CERTIFICATE", &otlp->tls.ca_file);
    }
    if (status == 0) {
        status = read_file(loader, signal, "CLIENT_CERTIFICATE", &otlp->tls.cert_file);
    }
    if (status == 0) {
        status = read_file(loader, signal, "CLIENT_KEY", &otlp->tls.key_file);
    }
    return status < 0 ? status : read_metrics(loader, otlp);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_headers(const struct config_headers *a, const struct config_headers *b)
{
    bool same = a->count == b->count;

    for (size_t i = 0; same && i < a->count; i++) {
        same =
            same_text(a->items[i].name, b->items[i].name) && same_text(a->items[i].value, b->items[i].value);
    }
    return same;
}

/* Whether one destination can carry both signals; over HTTP each has a URL of its own anyhow. */
static bool can_merge(const struct config_otlp *a, const struct config_otlp *b)
{
    return a->protocol == b->protocol && a->compression == b->compression && a->timeout_ms == b->timeout_ms &&
           (a->protocol == CONFIG_PROTOCOL_HTTP_PROTOBUF || same_text(a->endpoint, b->endpoint)) &&
           same_text(a->tls.ca_file, b->tls.ca_file) && same_text(a->tls.cert_file, b->tls.cert_file) &&
           same_text(a->tls.key_file, b->tls.key_file) && same_headers(&a->headers, &b->headers);
}

static void merge(struct config_otlp *into, const struct config_otlp *other)
{
    into->name = "env";
    into->signals |= other->signals;
    into->endpoint = into->endpoint != NULL ? into->endpoint : other->endpoint;
    for (int signal = 0; signal < CONFIG_SIGNAL_COUNT; signal++) {
        into->url[signal] = into->url[signal] != NULL ? into->url[signal] : other->url[signal];
    }
}

int otlp_environment_load(struct loader *loader)
{
    struct config_otlp_list *list = &loader->config->exporters.otlp;
    bool has_general = read_variable(loader, "", "ENDPOINT").value != NULL;

    if (list->count > 0) {
        return 0;
    }
    struct config_otlp *items =
        arena_zalloc(&loader->config->arena, ENVIRONMENT_SIGNAL_COUNT * sizeof *items);
    if (items == NULL) {
        return loader_fail_memory(loader);
    }
    size_t count = 0;
    for (int i = 0; i < ENVIRONMENT_SIGNAL_COUNT; i++) {
        enum config_signal signal = (enum config_signal)i;
        if (!has_general && read_variable(loader, signal_prefixes[signal], "ENDPOINT").value == NULL) {
            continue;
        }
        int status = read_signal(loader, signal, &items[count++]);
        if (status < 0) {
            return status;
        }
    }
    if (count == ENVIRONMENT_SIGNAL_COUNT && can_merge(&items[0], &items[1])) {
        merge(&items[0], &items[1]);
        count = 1;
    }
    *list = (struct config_otlp_list){.items = items, .count = count};
    return 0;
}
