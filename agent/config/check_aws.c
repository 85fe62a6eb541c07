/*
 * A destination at AWS: endpoints that follow from the region, sources of credentials that the environment
 * tells of (the variables of the AWS SDKs), and what must fit. Main thread, at start; the environment is not
 * looked at again.
 */
#include "config/loader.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/value.h"
#include "core/error.h"

enum { AWS_URL_BYTES_MAX = 4096, AWS_HEADER_COUNT_MAX = 64 };

#define CONTAINER_HOST "http://169.254.170.2"
#define INSTANCE_URL "http://169.254.169.254"

/* NULL when unset or empty. */
static const char *variable(const struct loader *loader, const char *name)
{
    const char *value = value_variable(loader->source->environment, name, strlen(name));

    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* A region or a service's name goes into the signature's scope and into host names. */
static bool is_name(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

static bool is_header_value(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f) {
            return false;
        }
    }
    return true;
}

/* What a signature can be made for without rules of escaping: host and a plain path, no query. */
static bool is_plain_url(const char *url)
{
    const char *authority = strstr(url, "://");
    const char *path = authority != NULL ? strchr(authority + 3, '/') : NULL;

    if (path == NULL) {
        return authority != NULL && strpbrk(url, "?#%") == NULL;
    }
    return path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/")] ==
               '\0' &&
           strstr(path, "//") == NULL && strstr(path, "/.") == NULL;
}

/* The public endpoints, where the destination names none. */
static int fill_endpoints(struct loader *loader, struct config_otlp *otlp)
{
    static const struct {
        const char *host;
        const char *path;
    } rows[CONFIG_SIGNAL_COUNT] = {
        [CONFIG_SIGNAL_TRACES] = {"xray", "v1/traces"},
        [CONFIG_SIGNAL_METRICS] = {"monitoring", "v1/metrics"},
        [CONFIG_SIGNAL_LOGS] = {"logs", "v1/logs"},
    };
    const char *suffix = strncmp(otlp->aws.region, "cn-", 3) == 0 ? ".cn" : "";

    for (int signal = 0; signal < CONFIG_SIGNAL_COUNT; signal++) {
        char url[AWS_URL_BYTES_MAX];
        if (otlp->endpoint != NULL || otlp->url[signal] != NULL) {
            continue;
        }
        int length = snprintf(url, sizeof url, "https://%s.%s.amazonaws.com%s/%s", rows[signal].host,
            otlp->aws.region, suffix, rows[signal].path);
        otlp->url[signal] = loader_copy(loader, url, (size_t)length);
        if (otlp->url[signal] == NULL) {
            return loader_fail_memory(loader);
        }
    }
    return 0;
}

/* A token is only sent where a node's own services are: over TLS, to loopback, or to the addresses of ECS and
 * EKS (the rule of the AWS SDKs). */
static bool is_container_url(const char *url)
{
    static const char *const hosts[] = {
        "localhost", "127.0.0.1", "[::1]", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};
    const char *host = url + 7;

    if (!check_is_url(url) || strncmp(url, "https://", 8) == 0) {
        return check_is_url(url);
    }
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        size_t length = strlen(hosts[i]);
        if (strncmp(host, hosts[i], length) == 0 && strchr(":/", host[length]) != NULL) {
            return strchr(url, '@') == NULL; /* before one stands a user, not a host */
        }
    }
    return false;
}

static int read_container(struct loader *loader, struct config_aws *aws)
{
    const char *relative = variable(loader, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = variable(loader, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    char url[AWS_URL_BYTES_MAX];

    aws->container_token = variable(loader, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    aws->container_token_file = variable(loader, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    if (relative != NULL) {
        int length = snprintf(url, sizeof url, CONTAINER_HOST "%s", relative);
        if (relative[0] != '/' || length < 0 || (size_t)length >= sizeof url || !check_is_url(url)) {
            return loader_fail(
                loader, WERR_CONFIG, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "expected a path");
        }
        aws->container_url = loader_copy(loader, url, (size_t)length);
        return aws->container_url != NULL ? 0 : loader_fail_memory(loader);
    }
    if (full != NULL && !is_container_url(full)) {
        return loader_fail(loader, WERR_CONFIG, "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "expected https://, or http:// to loopback or the container services' addresses");
    }
    aws->container_url = full;
    return 0;
}

static int read_instance(struct loader *loader, struct config_aws *aws)
{
    const char *disabled = variable(loader, "AWS_EC2_METADATA_DISABLED");
    const char *url = variable(loader, "AWS_EC2_METADATA_SERVICE_ENDPOINT");

    if (disabled != NULL && strcmp(disabled, "true") == 0) {
        return 0;
    }
    if (url != NULL && !check_is_url(url)) {
        return loader_fail(loader, WERR_CONFIG, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "expected http://HOST");
    }
    aws->instance_url = url != NULL ? url : INSTANCE_URL;
    return 0;
}

static int read_file_source(struct loader *loader, struct config_aws *aws)
{
    const char *file = variable(loader, "AWS_SHARED_CREDENTIALS_FILE");
    const char *home = variable(loader, "HOME");
    const char *profile = variable(loader, "AWS_PROFILE");
    char path[AWS_URL_BYTES_MAX];

    if (aws->profile == NULL) {
        aws->profile = profile != NULL ? profile : "default";
    }
    if (aws->credentials_file != NULL || file != NULL || home == NULL) {
        aws->credentials_file = aws->credentials_file != NULL ? aws->credentials_file : file;
        return 0;
    }
    int length = snprintf(path, sizeof path, "%s/.aws/credentials", home);
    if (length < 0 || (size_t)length >= sizeof path) {
        return 0;
    }
    aws->credentials_file = loader_copy(loader, path, (size_t)length);
    return aws->credentials_file != NULL ? 0 : loader_fail_memory(loader);
}

/* All sources that there are, less those that `credentials` does not name. */
static int read_sources(struct loader *loader, struct config_aws *aws)
{
    enum config_aws_credentials wanted = aws->credentials;
    bool all = wanted == CONFIG_AWS_AUTO;
    int status = 0;

    if (all || wanted == CONFIG_AWS_ENVIRONMENT) {
        aws->access_key_id = variable(loader, "AWS_ACCESS_KEY_ID");
        aws->secret_access_key = variable(loader, "AWS_SECRET_ACCESS_KEY");
        aws->session_token = variable(loader, "AWS_SESSION_TOKEN");
        if (aws->access_key_id == NULL || aws->secret_access_key == NULL) {
            aws->access_key_id = NULL;
        }
    }
    if (all || wanted == CONFIG_AWS_FILE) {
        status = read_file_source(loader, aws);
    } else {
        aws->credentials_file = NULL;
    }
    if (status == 0 && (all || wanted == CONFIG_AWS_CONTAINER)) {
        status = read_container(loader, aws);
    }
    if (status == 0 && (all || wanted == CONFIG_AWS_INSTANCE)) {
        status = read_instance(loader, aws);
    }
    return status;
}

static bool has_source(const struct config_aws *aws)
{
    return aws->access_key_id != NULL || aws->credentials_file != NULL || aws->container_url != NULL ||
           aws->instance_url != NULL;
}

static int check_logs(struct loader *loader, size_t index, const struct config_otlp *otlp)
{
    const struct config_aws *aws = &otlp->aws;

    if ((otlp->signals & (1u << CONFIG_SIGNAL_LOGS)) == 0) {
        return 0;
    }
    if (aws->log_group == NULL || aws->log_stream == NULL) {
        return check_fail_otlp(
            loader, index, "aws.log_group", "expected log_group and log_stream, which logs need");
    }
    if (!is_header_value(aws->log_group) || !is_header_value(aws->log_stream)) {
        return check_fail_otlp(
            loader, index, "aws.log_group", "expected log_group and log_stream without spaces, in ASCII");
    }
    return 0;
}

static int check_urls(struct loader *loader, size_t index, const struct config_otlp *otlp)
{
    bool plain = otlp->endpoint == NULL || is_plain_url(otlp->endpoint);

    for (int signal = 0; signal < CONFIG_SIGNAL_COUNT; signal++) {
        plain = plain && (otlp->url[signal] == NULL || is_plain_url(otlp->url[signal]));
    }
    return plain ? 0
                 : check_fail_otlp(loader, index, "endpoint",
                       "expected with aws a URL whose path is letters, digits and -._~/");
}

/* Headers that signing makes itself, and names given twice, whose signature would need rules of merging. */
static int check_aws_headers(struct loader *loader, size_t index, const struct config_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        const char *name = headers->items[i].name != NULL ? headers->items[i].name : "";
        bool taken = strcasecmp(name, "authorization") == 0 || strncasecmp(name, "x-amz-", 6) == 0 ||
                     strncasecmp(name, "x-aws-log-", 10) == 0;
        for (size_t j = 0; j < i && !taken; j++) {
            taken = headers->items[j].name != NULL && strcasecmp(name, headers->items[j].name) == 0;
        }
        if (taken) {
            return check_fail_otlp(loader, index, "headers",
                "expected with aws each name once, and none of authorization, x-amz-* and x-aws-log-*");
        }
    }
    return headers->count <= AWS_HEADER_COUNT_MAX ? 0
                                                  : check_fail_otlp(loader, index, "headers",
                                                        "expected with aws at most %d", AWS_HEADER_COUNT_MAX);
}

int check_aws(struct loader *loader, size_t index)
{
    struct config_otlp *otlp = &loader->config->exporters.otlp.items[index];
    struct config_aws *aws = &otlp->aws;

    if (aws->region == NULL) {
        bool given = aws->service != NULL || aws->profile != NULL || aws->credentials_file != NULL ||
                     aws->log_group != NULL || aws->log_stream != NULL;
        return given ? check_fail_otlp(loader, index, "aws.region", "expected the region's name") : 0;
    }
    if (!is_name(aws->region) || (aws->service != NULL && !is_name(aws->service))) {
        return check_fail_otlp(
            loader, index, "aws", "expected region and service of lower-case letters, digits and -");
    }
    if (otlp->protocol != CONFIG_PROTOCOL_HTTP_PROTOBUF) {
        return check_fail_otlp(loader, index, "protocol", "expected http/protobuf with aws");
    }
    if (otlp->compression == CONFIG_COMPRESSION_ZSTD) {
        return check_fail_otlp(loader, index, "compression", "expected gzip or none with aws");
    }
    int status = fill_endpoints(loader, otlp);
    if (status == 0) {
        status = check_urls(loader, index, otlp);
    }
    if (status == 0) {
        status = check_logs(loader, index, otlp);
    }
    if (status == 0) {
        status = check_aws_headers(loader, index, &otlp->headers);
    }
    if (status == 0) {
        status = read_sources(loader, aws);
    }
    if (status == 0 && !has_source(aws)) {
        status = check_fail_otlp(loader, index, "aws.credentials",
            "expected a source of credentials: see docs/aws.md for the variables and files of each");
    }
    return status;
}
