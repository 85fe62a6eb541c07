/* Destinations at AWS: what follows from the region, sources of credentials, and what is refused. */
#include "cmocka_all.h"

#include <stdio.h>

#include "loading.h"

#define AWS(rest) "exporters:\n  otlp:\n    - name: a\n      protocol: http/protobuf\n" rest

static const struct config_otlp *first(const struct config *config)
{
    return &config->exporters.otlp.items[0];
}

static void test_endpoints_follow_from_the_region(void **state)
{
    struct config *config = load(AWS("      signals: [traces, metrics, logs]\n"
                                     "      aws: {region: eu-central-1, log_group: /g, log_stream: s}\n"),
        no_environment);
    const struct config_otlp *otlp = first(config);

    (void)state;
    assert_string_equal(otlp->url[CONFIG_SIGNAL_TRACES], "https://xray.eu-central-1.amazonaws.com/v1/traces");
    assert_string_equal(
        otlp->url[CONFIG_SIGNAL_METRICS], "https://monitoring.eu-central-1.amazonaws.com/v1/metrics");
    assert_string_equal(otlp->url[CONFIG_SIGNAL_LOGS], "https://logs.eu-central-1.amazonaws.com/v1/logs");
    assert_string_equal(otlp->aws.instance_url, "http://169.254.169.254");
    assert_null(otlp->aws.access_key_id);
    assert_null(otlp->aws.container_url);
    config_free(config);
    config = load(AWS("      signals: [traces]\n      aws: {region: cn-north-1}\n"), no_environment);
    assert_string_equal(
        first(config)->url[CONFIG_SIGNAL_TRACES], "https://xray.cn-north-1.amazonaws.com.cn/v1/traces");
    assert_null(first(config)->url[CONFIG_SIGNAL_LOGS]);
    config_free(config);
    config = load(AWS("      endpoint: http://localhost:1\n      aws: {region: r-1}\n"), no_environment);
    assert_string_equal(first(config)->url[CONFIG_SIGNAL_TRACES], "http://localhost:1/v1/traces");
    config_free(config);
    config = load(AWS("      endpoint: http://localhost:1\n"), no_environment);
    assert_null(first(config)->aws.region);
    config_free(config);
}

static void test_sources_come_from_the_environment(void **state)
{
    static const char *const environment[] = {"AWS_ACCESS_KEY_ID=AK", "AWS_SECRET_ACCESS_KEY=SK",
        "AWS_SESSION_TOKEN=T", "HOME=/home/u", "AWS_PROFILE=p",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/1",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/token",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:9", NULL};
    struct config *config = load(AWS("      aws: {region: r-1}\n"), environment);
    const struct config_aws *aws = &first(config)->aws;

    (void)state;
    assert_string_equal(aws->access_key_id, "AK");
    assert_string_equal(aws->secret_access_key, "SK");
    assert_string_equal(aws->session_token, "T");
    assert_string_equal(aws->credentials_file, "/home/u/.aws/credentials");
    assert_string_equal(aws->profile, "p");
    assert_string_equal(aws->container_url, "http://169.254.170.2/v2/credentials/1");
    assert_string_equal(aws->container_token_file, "/token");
    assert_string_equal(aws->instance_url, "http://127.0.0.1:9");
    config_free(config);
    config = load(AWS("      aws: {region: r-1, credentials: container}\n"), environment);
    aws = &first(config)->aws;
    assert_null(aws->access_key_id);
    assert_null(aws->credentials_file);
    assert_non_null(aws->container_url);
    assert_null(aws->instance_url);
    config_free(config);
    config = load(
        AWS("      aws: {region: r-1, credentials: file, credentials_file: /c, profile: q}\n"), environment);
    aws = &first(config)->aws;
    assert_null(aws->access_key_id);
    assert_string_equal(aws->credentials_file, "/c");
    assert_string_equal(aws->profile, "q");
    config_free(config);
}

static void test_a_token_goes_only_to_the_node(void **state)
{
    static const char *const good[] = {"http://127.0.0.1:5/x", "http://localhost/x",
        "https://creds.example/x", "http://[::1]:5/", "http://169.254.170.23/v1/credentials",
        "http://[fd00:ec2::23]/v1/credentials"};
    static const char *const bad[] = {"http://169.254.170.2:1@h/x", "http://creds.example/x",
        "http://127.0.0.1.example/x", "http://localhosts/", "ftp://127.0.0.1/", "http://169.254.170.2x/", ""};
    char variable[128];
    const char *const environment[] = {variable, "AWS_EC2_METADATA_DISABLED=true", NULL};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        (void)snprintf(variable, sizeof variable, "AWS_CONTAINER_CREDENTIALS_FULL_URI=%s", good[i]);
        struct config *config = load(AWS("      aws: {region: r-1}\n"), environment);
        assert_string_equal(first(config)->aws.container_url, good[i]);
        assert_null(first(config)->aws.instance_url);
        config_free(config);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad - 1; i++) {
        (void)snprintf(variable, sizeof variable, "AWS_CONTAINER_CREDENTIALS_FULL_URI=%s", bad[i]);
        expect_error_with(AWS("      aws: {region: r-1}\n"), environment, 0,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI", "expected https://");
    }
    (void)snprintf(variable, sizeof variable, "X=1");
    expect_error_with(
        AWS("      aws: {region: r-1}\n"), environment, 3, "aws.credentials", "expected a source");
}

static void test_what_does_not_fit_is_refused(void **state)
{
    (void)state;
    expect_error(AWS("      aws: {log_group: g}\n"), 3, "aws.region", "expected the region");
    expect_error(AWS("      aws: {region: EU/1}\n"), 5, "aws", "lower-case");
    expect_error(
        AWS("      compression: zstd\n      aws: {region: r-1}\n"), 5, "compression", "gzip or none");
    expect_error("exporters:\n  otlp:\n    - name: a\n      endpoint: http://h:1\n      aws: {region: r-1}\n",
        3, "protocol", "http/protobuf");
    expect_error(AWS("      signals: [logs]\n      aws: {region: r-1, log_group: g}\n"), 6, "aws.log_group",
        "log_stream");
    expect_error(AWS("      signals: [logs]\n      aws: {region: r-1, log_group: g, log_stream: \"a b\"}\n"),
        6, "aws.log_group", "without spaces");
    expect_error(AWS("      endpoint: http://h/a%20b\n      aws: {region: r-1}\n"), 5, "endpoint", "path");
    expect_error(AWS("      endpoint: http://h?x=1\n      aws: {region: r-1}\n"), 5, "endpoint", "path");
    expect_error(AWS("      endpoint: http://h/a/../b\n      aws: {region: r-1}\n"), 5, "endpoint", "path");
    expect_error(AWS("      headers: [{name: X-Amz-Date, value: d}]\n      aws: {region: r-1}\n"), 5,
        "headers", "none of");
    expect_error(AWS("      headers: [{name: a, value: d}, {name: A, value: d}]\n      aws: {region: r-1}\n"),
        5, "headers", "once");
    expect_error(AWS("      aws: {region: r-1, credentials: sso}\n"), 5, "aws.credentials", "instance");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoints_follow_from_the_region),
        cmocka_unit_test(test_sources_come_from_the_environment),
        cmocka_unit_test(test_a_token_goes_only_to_the_node),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
