/* OTEL_EXPORTER_OTLP_*, case by case from the OpenTelemetry specification. */
#include "cmocka_all.h"

#include <stdio.h>

#include "loading.h"

#define PREFIX "OTEL_EXPORTER_OTLP_"

static void test_nothing_set(void **state)
{
    static const char *const environment[] = {
        PREFIX "PROTOCOL=grpc", PREFIX "ENDPOINT=", PREFIX "TRACES_ENDPOINT=", PREFIX "HEADERS=a=b", NULL};
    struct config *config = load("", environment);

    (void)state;
    assert_int_equal(config->exporters.otlp.count, 0);
    assert_int_equal(config->warnings.count, 0);
    config_free(config);
}

static void test_general_endpoint(void **state)
{
    static const char *const endpoints[][2] = {
        {PREFIX "ENDPOINT=http://h:4318", "http://h:4318/v1/"},
        {PREFIX "ENDPOINT=http://h:4318/", "http://h:4318/v1/"},
        {PREFIX "ENDPOINT=https://h/base", "https://h/base/v1/"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        const char *environment[] = {endpoints[i][0], NULL};
        char url[64];
        struct config *config = load("", environment);
        assert_int_equal(config->exporters.otlp.count, 1);
        const struct config_otlp *otlp = &config->exporters.otlp.items[0];
        assert_string_equal(otlp->name, "env");
        assert_int_equal(otlp->protocol, CONFIG_PROTOCOL_HTTP_PROTOBUF);
        assert_int_equal(otlp->signals, 3);
        (void)snprintf(url, sizeof url, "%straces", endpoints[i][1]);
        assert_string_equal(otlp->url[CONFIG_SIGNAL_TRACES], url);
        (void)snprintf(url, sizeof url, "%smetrics", endpoints[i][1]);
        assert_string_equal(otlp->url[CONFIG_SIGNAL_METRICS], url);
        assert_int_equal(otlp->timeout_ms, 10000);
        assert_int_equal(otlp->metrics.temporality, CONFIG_TEMPORALITY_CUMULATIVE);
        assert_int_equal(otlp->metrics.histograms, CONFIG_HISTOGRAMS_EXPLICIT);
        config_free(config);
    }
}

static void test_signal_endpoint_is_used_as_it_is(void **state)
{
    static const char *const environment[] = {
        PREFIX "ENDPOINT=http://h:4318", PREFIX "TRACES_ENDPOINT=http://t:1/mine", NULL};
    struct config *config = load("", environment);

    (void)state;
    assert_int_equal(config->exporters.otlp.count, 1);
    assert_string_equal(config->exporters.otlp.items[0].url[CONFIG_SIGNAL_TRACES], "http://t:1/mine");
    assert_string_equal(
        config->exporters.otlp.items[0].url[CONFIG_SIGNAL_METRICS], "http://h:4318/v1/metrics");
    config_free(config);
}

static void test_one_signal_only(void **state)
{
    static const char *const environment[] = {PREFIX "METRICS_ENDPOINT=http://m:1/x", NULL};
    struct config *config = load("", environment);

    (void)state;
    assert_int_equal(config->exporters.otlp.count, 1);
    assert_string_equal(config->exporters.otlp.items[0].name, "env-metrics");
    assert_int_equal(config->exporters.otlp.items[0].signals, 1u << CONFIG_SIGNAL_METRICS);
    assert_string_equal(config->exporters.otlp.items[0].url[CONFIG_SIGNAL_METRICS], "http://m:1/x");
    assert_null(config->exporters.otlp.items[0].url[CONFIG_SIGNAL_TRACES]);
    config_free(config);
}

static void test_grpc(void **state)
{
    static const char *const cases[][3] = {
        {PREFIX "ENDPOINT=http://h:4317", PREFIX "INSECURE=false", "http://h:4317"},
        {PREFIX "ENDPOINT=https://h:4317", PREFIX "INSECURE=true", "https://h:4317"},
        {PREFIX "ENDPOINT=h:4317", PREFIX "INSECURE=true", "http://h:4317"},
        {PREFIX "ENDPOINT=h:4317", PREFIX "INSECURE=", "https://h:4317"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *environment[] = {PREFIX "PROTOCOL=grpc", cases[i][0], cases[i][1], NULL};
        struct config *config = load("", environment);
        assert_int_equal(config->exporters.otlp.count, 1);
        assert_int_equal(config->exporters.otlp.items[0].protocol, CONFIG_PROTOCOL_GRPC);
        assert_string_equal(config->exporters.otlp.items[0].url[CONFIG_SIGNAL_TRACES], cases[i][2]);
        assert_string_equal(config->exporters.otlp.items[0].url[CONFIG_SIGNAL_METRICS], cases[i][2]);
        config_free(config);
    }
}

static void test_signal_goes_before_general(void **state)
{
    static const char *const environment[] = {PREFIX "ENDPOINT=http://h:4318", PREFIX "TRACES_PROTOCOL=grpc",
        PREFIX "TIMEOUT=500", PREFIX "TRACES_TIMEOUT=700", PREFIX "COMPRESSION=none",
        PREFIX "METRICS_COMPRESSION=gzip", PREFIX "HEADERS=a=1", PREFIX "TRACES_HEADERS=b=2",
        PREFIX "CERTIFICATE=/dev/null", NULL};
    struct config *config = load("", environment);

    (void)state;
    assert_int_equal(config->exporters.otlp.count, 2);
    const struct config_otlp *traces = &config->exporters.otlp.items[0];
    const struct config_otlp *metrics = &config->exporters.otlp.items[1];
    assert_string_equal(traces->name, "env-traces");
    assert_int_equal(traces->protocol, CONFIG_PROTOCOL_GRPC);
    assert_int_equal(traces->timeout_ms, 700);
    assert_int_equal(traces->compression, CONFIG_COMPRESSION_NONE);
    assert_int_equal(traces->headers.count, 1);
    assert_string_equal(traces->headers.items[0].name, "b");
    assert_string_equal(traces->tls.ca_file, "/dev/null");
    assert_string_equal(metrics->name, "env-metrics");
    assert_int_equal(metrics->protocol, CONFIG_PROTOCOL_HTTP_PROTOBUF);
    assert_int_equal(metrics->timeout_ms, 500);
    assert_int_equal(metrics->compression, CONFIG_COMPRESSION_GZIP);
    assert_string_equal(metrics->headers.items[0].name, "a");
    config_free(config);
}

static void test_headers(void **state)
{
    static const char *const environment[] = {
        PREFIX "ENDPOINT=http://h", PREFIX "HEADERS= Api-Key = a%20b%2Cc%3dd , ,plain=x=y,empty=", NULL};
    struct config *config = load("", environment);
    const struct config_headers *headers = &config->exporters.otlp.items[0].headers;

    (void)state;
    assert_int_equal(config->warnings.count, 0);
    assert_int_equal(headers->count, 3);
    assert_string_equal(headers->items[0].name, "api-key");
    assert_string_equal(headers->items[0].value, "a b,c=d");
    assert_string_equal(headers->items[1].name, "plain");
    assert_string_equal(headers->items[1].value, "x=y");
    assert_string_equal(headers->items[2].value, "");
    config_free(config);
}

static void test_bad_headers_are_warned_of(void **state)
{
    static const char *const bad[] = {"novalue", "=x", "a b=c", "a=%0d%0ax", "a=%2", "a=%", "a=%zz", "a=%00",
        "content-type=x", "a=s3cret%"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char variable[128];
        const char *environment[] = {PREFIX "TRACES_ENDPOINT=http://h", variable, NULL};
        (void)snprintf(variable, sizeof variable, PREFIX "HEADERS=%s,good=1", bad[i]);
        struct config *config = load("", environment);
        assert_int_equal(config->exporters.otlp.items[0].headers.count, 1);
        assert_string_equal(config->exporters.otlp.items[0].headers.items[0].name, "good");
        assert_int_equal(config->warnings.count, 1);
        assert_non_null(strstr(config->warnings.items[0], PREFIX "HEADERS: expected name=value"));
        assert_null(strstr(config->warnings.items[0], "s3cret"));
        config_free(config);
    }
}

static void test_metrics_preferences(void **state)
{
    static const char *const cases[][2] = {{"cumulative", "explicit_bucket_histogram"},
        {"delta", "base2_exponential_bucket_histogram"}, {"lowmemory", "explicit_bucket_histogram"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char temporality[128];
        char histogram[128];
        const char *environment[] = {PREFIX "ENDPOINT=http://h", temporality, histogram, NULL};
        (void)snprintf(
            temporality, sizeof temporality, PREFIX "METRICS_TEMPORALITY_PREFERENCE=%s", cases[i][0]);
        (void)snprintf(
            histogram, sizeof histogram, PREFIX "METRICS_DEFAULT_HISTOGRAM_AGGREGATION=%s", cases[i][1]);
        struct config *config = load("", environment);
        const struct config_otlp_metrics *metrics = &config->exporters.otlp.items[0].metrics;
        assert_int_equal(
            metrics->temporality, i == 0 ? CONFIG_TEMPORALITY_CUMULATIVE : CONFIG_TEMPORALITY_DELTA);
        assert_int_equal(
            metrics->histograms, i == 1 ? CONFIG_HISTOGRAMS_EXPONENTIAL : CONFIG_HISTOGRAMS_EXPLICIT);
        config_free(config);
    }
}

static void test_what_is_not_understood_is_ignored_with_a_warning(void **state)
{
    static const char *const environment[] = {PREFIX "TRACES_ENDPOINT=http://h", PREFIX "PROTOCOL=http/json",
        PREFIX "COMPRESSION=lz4", PREFIX "TRACES_TIMEOUT=10s", NULL};
    struct config *config = load("", environment);

    (void)state;
    assert_int_equal(config->warnings.count, 3);
    assert_non_null(strstr(config->warnings.items[0], PREFIX "PROTOCOL: expected grpc or http/protobuf"));
    assert_non_null(strstr(config->warnings.items[1], "got \"lz4\"; ignored"));
    assert_non_null(strstr(config->warnings.items[2], PREFIX "TRACES_TIMEOUT"));
    assert_int_equal(config->exporters.otlp.items[0].protocol, CONFIG_PROTOCOL_HTTP_PROTOBUF);
    assert_int_equal(config->exporters.otlp.items[0].compression, CONFIG_COMPRESSION_GZIP);
    assert_int_equal(config->exporters.otlp.items[0].timeout_ms, 10000);
    config_free(config);
}

static void test_errors(void **state)
{
    static const char *const endpoint[] = {PREFIX "ENDPOINT=localhost:4318", NULL};
    static const char *const own[] = {PREFIX "TRACES_ENDPOINT=ftp://x", NULL};
    static const char *const file[] = {PREFIX "ENDPOINT=http://h", PREFIX "CERTIFICATE=/no/such", NULL};
    static const char *const half[] = {PREFIX "ENDPOINT=http://h", PREFIX "CLIENT_KEY=/dev/null", NULL};

    (void)state;
    expect_error_with("", endpoint, 0, PREFIX "ENDPOINT", "expected http://HOST");
    expect_error_with("", own, 0, PREFIX "TRACES_ENDPOINT", "ftp://x");
    expect_error_with("", file, 0, PREFIX "CERTIFICATE", "readable file");
    expect_error_with("", half, 0, "cert_file and key_file", "together");
}

static void test_file_goes_before_environment(void **state)
{
    static const char *const environment[] = {PREFIX "ENDPOINT=http://h:4318", NULL};
    struct config *config =
        load("exporters:\n  otlp:\n    - {name: mine, endpoint: \"http://other:4317\"}\n", environment);

    (void)state;
    assert_int_equal(config->exporters.otlp.count, 1);
    assert_string_equal(config->exporters.otlp.items[0].name, "mine");
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_set),
        cmocka_unit_test(test_general_endpoint),
        cmocka_unit_test(test_signal_endpoint_is_used_as_it_is),
        cmocka_unit_test(test_one_signal_only),
        cmocka_unit_test(test_grpc),
        cmocka_unit_test(test_signal_goes_before_general),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_bad_headers_are_warned_of),
        cmocka_unit_test(test_metrics_preferences),
        cmocka_unit_test(test_what_is_not_understood_is_ignored_with_a_warning),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_file_goes_before_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
