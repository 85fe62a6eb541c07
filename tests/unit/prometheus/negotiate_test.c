/* Which exposition which Accept header gets: headers as Prometheus 2.42 and 3.x send them, and odd ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exporters/prometheus/negotiate.h"
#include "exporters/prometheus/prometheus_exporter.h"

#define TEXT (&prometheus_text)
#define OPENMETRICS (&prometheus_openmetrics)
#define OPENMETRICS_OLD (&prometheus_openmetrics_0_0_1)
#define PROTOBUF (&prometheus_protobuf)
#define DELIMITED "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"

/* clang-format off */
static const struct {
    const char *accept;
    const struct encoder_type *encoder;
} accept_rows[] = {
    /* 2.42, without and with native histograms */
    {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OPENMETRICS},
    {DELIMITED ",application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,"
     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", PROTOBUF},
    /* 3.16, without and with */
    {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7,"
     "application/openmetrics-text;version=0.0.1;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,"
     "text/plain;version=0.0.4;q=0.4,*/*;q=0.3", OPENMETRICS},
    {DELIMITED ";q=0.7,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
     "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
     "text/plain;version=0.0.4;q=0.3,*/*;q=0.2", PROTOBUF},
    /* 3.0: escaping everywhere */
    {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
     "application/openmetrics-text;version=0.0.1;escaping=allow-utf-8;q=0.4,"
     "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;escaping=allow-utf-8;q=0.2,"
     "*/*;escaping=allow-utf-8;q=0.1", OPENMETRICS},
    {DELIMITED ";escaping=allow-utf-8;q=0.6,*/*;escaping=allow-utf-8;q=0.1", PROTOBUF},
    /* scrape_protocols of one kind */
    {"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.7,*/*;q=0.6", TEXT},
    {"application/openmetrics-text;version=0.0.1;q=0.7,*/*;q=0.6", OPENMETRICS_OLD},
    /* no Prometheus */
    {NULL, TEXT},
    {"", TEXT},
    {"*/*", TEXT},
    {"text/*", TEXT},
    {"text/plain", TEXT},
    {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", TEXT},
    {"application/x-nothing", TEXT},
    {"application/json;q=1, application/openmetrics-text;q=0.001", OPENMETRICS},
    {"application/openmetrics-text", OPENMETRICS},
    {"application/openmetrics-text; version=2.0.0", TEXT},
    {"application/openmetrics-text; version=2.0.0, application/openmetrics-text; version=0.0.1; q=0.1", OPENMETRICS_OLD},
    /* weights */
    {"text/plain;version=0.0.4,application/openmetrics-text;q=0.1", TEXT},
    {"text/plain;q=0.1,application/openmetrics-text;q=0.11", OPENMETRICS},
    {"text/plain;q=0.999,application/openmetrics-text;q=1.000", OPENMETRICS},
    {"application/openmetrics-text;q=0", TEXT},
    {"application/openmetrics-text;q=0.000," DELIMITED ";q=0.1", PROTOBUF},
    {"application/openmetrics-text;q=0.5," DELIMITED ";q=0.5", OPENMETRICS},
    {DELIMITED ";q=0.5,application/openmetrics-text;q=0.5", PROTOBUF},
    {"application/openmetrics-text;q=abc", OPENMETRICS},
    {"text/plain;q=0.5,application/openmetrics-text;q=0.5x", OPENMETRICS},
    {"text/plain;q=0.5,application/openmetrics-text;q=", OPENMETRICS},
    /* other protobufs */
    {"application/vnd.google.protobuf", TEXT},
    {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", TEXT},
    {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=compact-text", TEXT},
    {"application/vnd.google.protobuf;proto=other.Message;encoding=delimited", TEXT},
    /* spelling */
    {"  Application/OpenMetrics-Text ; Version=1.0.0 ; Q=0.9 ,\ttext/plain;q=0.8", OPENMETRICS},
    {"application/openmetrics-text;version=\"1.0.0\"", OPENMETRICS},
    {"application/openmetrics-text;note=\"a,b;q=0\";version=0.0.1", OPENMETRICS_OLD},
    {DELIMITED ";note=\"never closed,text/plain", PROTOBUF},
    {",,;;,=,;q=,;=;,\"", TEXT},
    {",,application/openmetrics-text,,", OPENMETRICS},
};

static const struct {
    const char *accept_encoding;
    bool gzip;
} encoding_rows[] = {
    {NULL, false},
    {"", false},
    {"gzip", true},
    {"gzip;q=0", false},
    {"gzip;q=0.0, *", false},
    {"*, gzip;q=0", false},
    {"gzip;q=0.001", true},
    {"deflate, gzip;q=1.0, *;q=0.5", true},
    {"GZIP", true},
    {"x-gzip", true},
    {"*", true},
    {"*;q=0", false},
    {"identity", false},
    {"br, zstd", false},
    {"gzipped", false},
};
/* clang-format on */

static void test_accept(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accept_rows / sizeof accept_rows[0]; i++) {
        const struct encoder_type *found = prometheus_negotiate(accept_rows[i].accept);
        if (found != accept_rows[i].encoder) {
            fail_msg("%s: %s", accept_rows[i].accept, found->name);
        }
    }
}

static void test_accept_of_many_ranges_ends(void **state)
{
    enum { COUNT = 10000 };
    char *accept = calloc(COUNT, 4);

    (void)state;
    assert_non_null(accept);
    for (size_t i = 0; i < COUNT; i++) {
        memcpy(accept + 3 * i, "a/,", 3);
    }
    assert_ptr_equal(prometheus_negotiate(accept), TEXT);
    free(accept);
}

static void test_content_types(void **state)
{
    (void)state;
    assert_string_equal(TEXT->content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert_string_equal(
        OPENMETRICS->content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_string_equal(
        OPENMETRICS_OLD->content_type, "application/openmetrics-text; version=0.0.1; charset=utf-8");
    assert_string_equal(PROTOBUF->content_type,
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited");
}

/* What is served is what its own Content-Type would ask for. */
static void test_every_encoder_can_be_asked_for(void **state)
{
    size_t count = 0;

    (void)state;
    for (const struct encoder_type *const *each = exporter_prometheus.encoders; *each != NULL; each++) {
        assert_ptr_equal(prometheus_negotiate((*each)->content_type), *each);
        count++;
    }
    assert_int_equal(count, 4);
    assert_string_equal(exporter_prometheus.name, "prometheus");
}

static void test_accept_encoding(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof encoding_rows / sizeof encoding_rows[0]; i++) {
        if (prometheus_accepts_gzip(encoding_rows[i].accept_encoding) != encoding_rows[i].gzip) {
            fail_msg("%s", encoding_rows[i].accept_encoding);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_accept_of_many_ranges_ends),
        cmocka_unit_test(test_content_types),
        cmocka_unit_test(test_every_encoder_can_be_asked_for),
        cmocka_unit_test(test_accept_encoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
