/* The conditions on one OTLP destination, and the URLs that follow from it. Main thread, at start. */
#include "config/loader.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"

enum { URL_BYTES_MAX = 8192 };

static const char *const signal_names[CONFIG_SIGNAL_COUNT] = {
    [CONFIG_SIGNAL_TRACES] = "traces",
    [CONFIG_SIGNAL_METRICS] = "metrics",
    [CONFIG_SIGNAL_LOGS] = "logs",
};

int check_fail_otlp(struct loader *loader, size_t index, const char *key, const char *format, ...)
{
    char path[CONFIG_PATH_BYTES_MAX];
    char message[CONFIG_PATH_BYTES_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    (void)snprintf(path, sizeof path, "exporters.otlp[%zu].%s", index, key);
    if (marks_find(&loader->marks, path) == NULL) {
        /* The key is missing: the destination's line is the place. */
        (void)snprintf(path, sizeof path, "exporters.otlp[%zu]", index);
        return loader_fail(loader, WERR_CONFIG, path, "%s: %s", key, message);
    }
    return loader_fail(loader, WERR_CONFIG, path, "%s", message);
}

bool check_is_url(const char *text)
{
    size_t scheme_length = 0;

    if (strncmp(text, "http://", 7) == 0) {
        scheme_length = 7;
    } else if (strncmp(text, "https://", 8) == 0) {
        scheme_length = 8;
    }
    if (scheme_length == 0 || strcspn(text + scheme_length, "/?#") == 0) {
        return false;
    }
    for (const unsigned char *byte = (const unsigned char *)text; *byte != '\0'; byte++) {
        if (*byte <= ' ' || *byte >= 0x7f) {
            return false;
        }
    }
    return true;
}

static bool is_token_byte(unsigned char byte)
{
    return isalnum(byte) || (byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

/* Those that the exporter sets itself, or that HTTP/2 forbids. */
static bool is_reserved(const char *name)
{
    static const char *const names[] = {"connection", "content-encoding", "content-length", "content-type",
        "host", "keep-alive", "te", "transfer-encoding", "upgrade"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return strncmp(name, "grpc-", 5) == 0;
}

int check_header(struct loader *loader, struct config_header *header, const char **ret_expected)
{
    size_t length = strlen(header->name);
    char *name = arena_alloc(&loader->config->arena, length + 1);

    if (name == NULL) {
        return loader_fail_memory(loader);
    }
    for (size_t i = 0; i <= length; i++) {
        name[i] = (char)tolower((unsigned char)header->name[i]);
        if (i < length && !is_token_byte((unsigned char)name[i])) {
            *ret_expected = "a header name of letters, digits and -_.";
            return WERR_CONFIG;
        }
    }
    header->name = name;
    if (length == 0 || is_reserved(name)) {
        *ret_expected = "the name of a header that the exporter does not set itself";
        return WERR_CONFIG;
    }
    for (const unsigned char *byte = (const unsigned char *)header->value; *byte != '\0'; byte++) {
        if ((*byte < ' ' && *byte != '\t') || *byte == 0x7f) {
            *ret_expected = "a header value without control characters";
            return WERR_CONFIG;
        }
    }
    return 0;
}

static int check_headers(struct loader *loader, size_t index, struct config_otlp *otlp)
{
    for (size_t i = 0; i < otlp->headers.count; i++) {
        struct config_header *header = &otlp->headers.items[i];
        const char *expected = NULL;
        char key[64];
        (void)snprintf(key, sizeof key, "headers[%zu]", i);
        if (header->name == NULL || header->value == NULL) {
            return check_fail_otlp(loader, index, key, "expected name, and value or value_file");
        }
        int status = check_header(loader, header, &expected);
        if (status < 0) {
            return expected != NULL ? check_fail_otlp(loader, index, key, "expected %s", expected) : status;
        }
    }
    return 0;
}

static int check_name(struct loader *loader, size_t index)
{
    const struct config_otlp *items = loader->config->exporters.otlp.items;
    const char *name = items[index].name;

    if (name == NULL ||
        name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")] != '\0') {
        return check_fail_otlp(loader, index, "name", "expected a name of letters, digits and -_.");
    }
    for (size_t i = 0; i < index; i++) {
        if (strcmp(items[i].name, name) == 0) {
            return check_fail_otlp(
                loader, index, "name", "expected a name that no other destination has, got \"%s\"", name);
        }
    }
    return 0;
}

/* endpoint + "/v1/traces" */
static const char *append_signal(struct loader *loader, const char *endpoint, enum config_signal signal)
{
    char url[URL_BYTES_MAX];
    size_t length = strlen(endpoint);
    const char *slash = length > 0 && endpoint[length - 1] == '/' ? "" : "/";
    int url_length = snprintf(url, sizeof url, "%s%sv1/%s", endpoint, slash, signal_names[signal]);

    if (url_length < 0 || (size_t)url_length >= sizeof url) {
        return NULL;
    }
    return loader_copy(loader, url, (size_t)url_length);
}

static int check_url(struct loader *loader, size_t index, struct config_otlp *otlp, enum config_signal signal)
{
    bool is_http = otlp->protocol == CONFIG_PROTOCOL_HTTP_PROTOBUF;
    char key[32];

    (void)snprintf(key, sizeof key, "%s_endpoint", signal_names[signal]);
    if (otlp->url[signal] != NULL && !is_http) {
        return check_fail_otlp(loader, index, key, "is for http/protobuf only; with grpc give endpoint");
    }
    if ((otlp->signals & (1u << signal)) == 0) {
        otlp->url[signal] = NULL;
        return 0;
    }
    if (otlp->url[signal] != NULL) {
        return check_is_url(otlp->url[signal])
                   ? 0
                   : check_fail_otlp(loader, index, key, "expected http://HOST... or https://HOST...");
    }
    bool is_socket = !is_http && otlp->endpoint != NULL && strncmp(otlp->endpoint, "unix:/", 6) == 0;
    if (otlp->endpoint == NULL || (!is_socket && !check_is_url(otlp->endpoint))) {
        return check_fail_otlp(loader, index, "endpoint",
            is_http ? "expected http://HOST... or https://HOST..."
                    : "expected http://HOST..., https://HOST... or unix:/PATH");
    }
    otlp->url[signal] = is_http ? append_signal(loader, otlp->endpoint, signal) : otlp->endpoint;
    return otlp->url[signal] != NULL ? 0 : loader_fail_memory(loader);
}

int check_otlp(struct loader *loader, size_t index)
{
    struct config_otlp *otlp = &loader->config->exporters.otlp.items[index];
    int status = check_name(loader, index);

    if (status == 0) {
        status = check_aws(loader, index);
    }

    if (status == 0 && otlp->signals == 0) {
        status = check_fail_otlp(loader, index, "signals", "expected at least one of traces, metrics, logs");
    }
    for (int signal = 0; status == 0 && signal < CONFIG_SIGNAL_COUNT; signal++) {
        status = check_url(loader, index, otlp, (enum config_signal)signal);
    }
    if (status == 0) {
        status = check_headers(loader, index, otlp);
    }
    if (status == 0 && (otlp->tls.cert_file == NULL) != (otlp->tls.key_file == NULL)) {
        status =
            check_fail_otlp(loader, index, "tls", "expected cert_file and key_file together, or neither");
    }
    if (status == 0 && otlp->batch.bytes_max > otlp->queue.bytes_max) {
        status = check_fail_otlp(loader, index, "batch.bytes_max", "expected at most queue.bytes_max");
    }
    return status;
}
