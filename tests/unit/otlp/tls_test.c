/*
 * TLS of destinations, gRPC and HTTP: the certificate's CA and name are checked, client certificates are
 * shown, and only what the configuration says turns that off. Keys and certificates are made here, for this
 * run.
 */
#include "bench_exporter.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>

enum { PATH_BYTES = 96 };

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
    char key_path[PATH_BYTES];
    char certificate_path[PATH_BYTES];
};

static struct {
    char directory[64];
    struct identity ca;
    struct identity other_ca;
    struct identity localhost; /* for 127.0.0.1 and localhost */
    struct identity elsewhere; /* for elsewhere.example */
    struct identity client;
} pki;

static void add_extension(X509 *certificate, X509 *issuer, int id, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, id, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void write_identity(struct identity *identity, const char *name)
{
    (void)snprintf(identity->key_path, PATH_BYTES, "%s/%s.key", pki.directory, name);
    (void)snprintf(identity->certificate_path, PATH_BYTES, "%s/%s.crt", pki.directory, name);
    FILE *file = fopen(identity->key_path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, identity->key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
    file = fopen(identity->certificate_path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, identity->certificate), 1);
    assert_int_equal(fclose(file), 0);
}

/* names: a subjectAltName value, or NULL for a CA. issuer NULL: self-signed. */
static void make_identity(
    struct identity *identity, const char *name, const char *names, const struct identity *issuer)
{
    static long serial = 1;
    X509 *certificate = X509_new();
    X509 *signer = issuer != NULL ? issuer->certificate : certificate;

    identity->key = EVP_EC_gen("P-256");
    identity->certificate = certificate;
    assert_non_null(identity->key);
    assert_non_null(certificate);
    assert_int_equal(X509_set_version(certificate, 2), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), -3600));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), 86400));
    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                         (const unsigned char *)name, -1, -1, 0),
        1);
    assert_int_equal(X509_set_issuer_name(certificate, X509_get_subject_name(signer)), 1);
    assert_int_equal(X509_set_pubkey(certificate, identity->key), 1);
    add_extension(
        certificate, signer, NID_basic_constraints, names == NULL ? "critical,CA:TRUE" : "CA:FALSE");
    if (names != NULL) {
        add_extension(certificate, signer, NID_subject_alt_name, names);
    }
    assert_true(X509_sign(certificate, issuer != NULL ? issuer->key : identity->key, EVP_sha256()) > 0);
    write_identity(identity, name);
}

static void free_identity(struct identity *identity)
{
    EVP_PKEY_free(identity->key);
    X509_free(identity->certificate);
    (void)unlink(identity->key_path);
    (void)unlink(identity->certificate_path);
}

static int make_pki(void **state)
{
    (void)state;
    (void)snprintf(pki.directory, sizeof pki.directory, "/tmp/weft-otlp-tls-XXXXXX");
    assert_non_null(mkdtemp(pki.directory));
    make_identity(&pki.ca, "ca", NULL, NULL);
    make_identity(&pki.other_ca, "other-ca", NULL, NULL);
    make_identity(&pki.localhost, "localhost", "IP:127.0.0.1,DNS:localhost", &pki.ca);
    make_identity(&pki.elsewhere, "elsewhere", "DNS:elsewhere.example", &pki.ca);
    make_identity(&pki.client, "client", "DNS:client", &pki.ca);
    return 0;
}

static int free_pki(void **state)
{
    (void)state;
    free_identity(&pki.ca);
    free_identity(&pki.other_ca);
    free_identity(&pki.localhost);
    free_identity(&pki.elsewhere);
    free_identity(&pki.client);
    return rmdir(pki.directory);
}

static int select_h2(SSL *session, const unsigned char **out, unsigned char *out_length,
    const unsigned char *in, unsigned int in_length, void *user)
{
    static const unsigned char h2[] = {2, 'h', '2'};

    (void)session;
    (void)user;
    return SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_length, h2, sizeof h2, in,
               in_length) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_NOACK;
}

static SSL_CTX *server_tls(const struct identity *identity, bool alpn, bool client_certificate)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    assert_non_null(context);
    assert_int_equal(SSL_CTX_use_certificate(context, identity->certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, identity->key), 1);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (alpn) {
        SSL_CTX_set_alpn_select_cb(context, select_h2, NULL);
    }
    if (client_certificate) {
        assert_int_equal(SSL_CTX_load_verify_file(context, pki.ca.certificate_path), 1);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    return context;
}

static const struct script_step success[] = {{0}};

static struct fixture *begin(
    enum otlp_protocol protocol, const struct identity *identity, bool client_certificate)
{
    struct fixture *fixture = fixture_new();

    fixture->server.tls = server_tls(identity, true, client_certificate);
    fixture_listen(fixture, protocol, NULL, success, 1);
    fixture->destination.ca_file = pki.ca.certificate_path;
    return fixture;
}

static void expect_sent(struct fixture *fixture)
{
    fixture_start(fixture);
    offer_sized(fixture, 20, 50000); /* many TLS records */
    run_until(fixture, METRIC_EXPORT_SPANS_SENT, 20);
    assert_int_equal(fixture->server.accepted_span_count, 20);
    assert_int_equal(cell(fixture, METRIC_EXPORT_ATTEMPTS_RETRY), 0);
    offer(fixture, 3);
    run_until(fixture, METRIC_EXPORT_SPANS_SENT, 23);
    assert_int_equal(fixture->server.connection_count, 1);
    fixture_end(fixture);
}

static void expect_refused(struct fixture *fixture)
{
    fixture_start(fixture);
    offer(fixture, 5);
    run_until(fixture, METRIC_EXPORT_ATTEMPTS_RETRY, 2);
    assert_int_equal(fixture->server.request_count, 0); /* not a byte of a request went there */
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_SENT), 0);
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_QUEUED), 5);
    assert_true(fixture->last_text[0] != '\0');
    fixture_end(fixture);
}

#define FOR_BOTH(protocol)                                                                                   \
    for (enum otlp_protocol protocol = OTLP_PROTOCOL_GRPC; protocol <= OTLP_PROTOCOL_HTTP_PROTOBUF;          \
         protocol++)

static void a_good_certificate_is_accepted(void **state)
{
    (void)state;
    FOR_BOTH(protocol)
    {
        expect_sent(begin(protocol, &pki.localhost, false));
    }
}

static void a_certificate_of_another_ca_is_refused(void **state)
{
    (void)state;
    FOR_BOTH(protocol)
    {
        struct fixture *fixture = begin(protocol, &pki.localhost, false);
        fixture->destination.ca_file = pki.other_ca.certificate_path;
        expect_refused(fixture);
    }
}

static void a_certificate_for_another_name_is_refused(void **state)
{
    (void)state;
    FOR_BOTH(protocol)
    {
        expect_refused(begin(protocol, &pki.elsewhere, false));
    }
}

static void the_system_does_not_know_our_ca(void **state)
{
    (void)state;
    FOR_BOTH(protocol)
    {
        struct fixture *fixture = begin(protocol, &pki.localhost, false);
        fixture->destination.ca_file = NULL;
        expect_refused(fixture);
    }
}

static void a_server_name_stands_in_for_the_host(void **state)
{
    (void)state;
    FOR_BOTH(protocol)
    {
        struct fixture *fixture = begin(protocol, &pki.elsewhere, false);
        fixture->destination.server_name = "elsewhere.example";
        expect_sent(fixture);
        fixture = begin(protocol, &pki.localhost, false);
        fixture->destination.server_name = "elsewhere.example";
        expect_refused(fixture);
    }
}

static void verification_is_off_only_when_said(void **state)
{
    (void)state;
    FOR_BOTH(protocol)
    {
        struct fixture *fixture = begin(protocol, &pki.elsewhere, false);
        fixture->destination.ca_file = pki.other_ca.certificate_path;
        fixture->destination.insecure_skip_verify = true;
        expect_sent(fixture);
    }
}

static void a_client_certificate_is_shown(void **state)
{
    (void)state;
    FOR_BOTH(protocol)
    {
        struct fixture *fixture = begin(protocol, &pki.localhost, true);
        fixture->destination.cert_file = pki.client.certificate_path;
        fixture->destination.key_file = pki.client.key_path;
        expect_sent(fixture);
        expect_refused(begin(protocol, &pki.localhost, true));
    }
}

static void a_key_of_another_certificate_is_a_configuration_error(void **state)
{
    (void)state;
    FOR_BOTH(protocol)
    {
        struct fixture *fixture = begin(protocol, &pki.localhost, true);
        const char *what = NULL;
        fixture->destination.cert_file = pki.client.certificate_path;
        fixture->destination.key_file = pki.localhost.key_path;
        assert_int_equal(fixture_try_start(fixture, &what), WERR_CONFIG);
        assert_non_null(strstr(what, "key_file"));
        fixture_end(fixture);
    }
}

static void a_server_without_h2_gets_nothing(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();

    fixture->server.tls = server_tls(&pki.localhost, false, false);
    fixture_listen(fixture, OTLP_PROTOCOL_GRPC, NULL, success, 1);
    fixture->destination.ca_file = pki.ca.certificate_path;
    expect_refused(fixture);
}

static void tls_below_1_2_is_refused(void **state)
{
    (void)state;
    FOR_BOTH(protocol)
    {
        struct fixture *fixture = begin(protocol, &pki.localhost, false);
        assert_int_equal(SSL_CTX_set_max_proto_version(fixture->server.tls, TLS1_1_VERSION), 1);
        expect_refused(fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_certificate_is_accepted),
        cmocka_unit_test(a_certificate_of_another_ca_is_refused),
        cmocka_unit_test(a_certificate_for_another_name_is_refused),
        cmocka_unit_test(the_system_does_not_know_our_ca),
        cmocka_unit_test(a_server_name_stands_in_for_the_host),
        cmocka_unit_test(verification_is_off_only_when_said),
        cmocka_unit_test(a_client_certificate_is_shown),
        cmocka_unit_test(a_key_of_another_certificate_is_a_configuration_error),
        cmocka_unit_test(a_server_without_h2_gets_nothing),
        cmocka_unit_test(tls_below_1_2_is_refused),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* the server's side writes through OpenSSL */
    (void)unsetenv("https_proxy");
    return cmocka_run_group_tests(tests, make_pki, free_pki);
}
