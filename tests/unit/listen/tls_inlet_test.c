/*
 * Connections taken out of TLS: an OpenSSL client in the test, certificates made for it, one loop. What goes
 * in comes out, whatever its size; names; handshakes that fail or never end; ends of either side.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/slice.h"
#include "listen/tls_inlet.h"
#include "listen/tls_server.h"

#define SPIFFE_ID "spiffe://cluster.local/ns/shop/sa/orders"

/* ---- certificates ---- */

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
};

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* names: a subjectAltName as OpenSSL's configuration has it, or NULL. Signed by itself. */
static struct identity identity_new(const char *names)
{
    struct identity made = {.key = EVP_EC_gen("P-256"), .certificate = X509_new()};

    assert_non_null(made.key);
    assert_int_equal(X509_set_version(made.certificate, 2), 1);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), 3600);
    X509_set_pubkey(made.certificate, made.key);
    X509_NAME *name = X509_get_subject_name(made.certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(made.certificate, name);
    add_extension(made.certificate, NID_basic_constraints, "CA:TRUE");
    if (names != NULL) {
        add_extension(made.certificate, NID_subject_alt_name, names);
    }
    assert_true(X509_sign(made.certificate, made.key, EVP_sha256()) > 0);
    return made;
}

static void identity_free(struct identity *identity)
{
    EVP_PKEY_free(identity->key);
    X509_free(identity->certificate);
}

struct files {
    char cert[64];
    char key[64];
    char client[64];
};

static void write_certificate(char path[64], X509 *certificate)
{
    (void)snprintf(path, 64, "/tmp/weft-tls-XXXXXX");
    FILE *file = fdopen(mkstemp(path), "w");

    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    (void)fclose(file);
}

static void write_key(char path[64], EVP_PKEY *key)
{
    (void)snprintf(path, 64, "/tmp/weft-tls-XXXXXX");
    FILE *file = fdopen(mkstemp(path), "w");

    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(file);
}

/* ---- the inlet ---- */

struct rig {
    uv_loop_t loop;
    struct metric_registry registry;
    struct metric_cells *cells;
    struct identity server;
    struct identity client;
    struct files files;
    SSL_CTX *context;
    struct tls_inlet *inlet;
    int handed;
    int done_count;
};

static void on_done(void *user, int fd)
{
    struct rig *rig = user;

    rig->handed = fd;
    rig->done_count++;
}

static void rig_start(struct rig *rig, const char *client_names, uint64_t handshake_ms_max)
{
    const char *what = NULL;

    *rig = (struct rig){.handed = -1, .server = identity_new("IP:127.0.0.1")};
    rig->client = identity_new(client_names);
    write_certificate(rig->files.cert, rig->server.certificate);
    write_key(rig->files.key, rig->server.key);
    write_certificate(rig->files.client, rig->client.certificate);
    assert_int_equal(uv_loop_init(&rig->loop), 0);
    rig->cells = metric_registry_add(&rig->registry, METRIC_SCOPE_PROCESS, "");
    assert_int_equal(tls_server_new(rig->files.cert, rig->files.key,
                         client_names != NULL ? rig->files.client : NULL, &rig->context, &what),
        0);
    struct tls_inlet_config config = {.loop = &rig->loop,
        .context = rig->context,
        .handshake_ms_max = handshake_ms_max,
        .linger_ms_max = 1,
        .cells = rig->cells,
        .done = on_done,
        .user = rig};
    assert_int_equal(tls_inlet_new(&config, &rig->inlet), 0);
}

static void rig_stop(struct rig *rig)
{
    tls_inlet_close(rig->inlet);
    assert_int_equal(uv_run(&rig->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    tls_inlet_free(rig->inlet);
    SSL_CTX_free(rig->context);
    identity_free(&rig->server);
    identity_free(&rig->client);
    (void)unlink(rig->files.cert);
    (void)unlink(rig->files.key);
    (void)unlink(rig->files.client);
    metric_registry_deinit(&rig->registry);
    if (rig->handed >= 0) {
        (void)close(rig->handed);
    }
}

/* A connected pair of TCP sockets: the client's end is returned, the server's goes into the inlet.
 * buffer_bytes: of the kernel between them; 0: as many as it likes. */
static int connect_buffered(struct rig *rig, int buffer_bytes)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (buffer_bytes > 0) {
        (void)setsockopt(listening, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
        (void)setsockopt(client, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
    }
    assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    int accepted = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(accepted >= 0);
    (void)close(listening);
    assert_int_equal(tls_inlet_add(rig->inlet, accepted), 0);
    return client;
}

static int connect_tcp(struct rig *rig)
{
    return connect_buffered(rig, 0);
}

/* The client's session on a socket made non-blocking, so that one thread does both sides. */
static SSL *client_new(struct rig *rig, int fd, bool shows_certificate, SSL_CTX **ret_context)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct timeval soon = {.tv_usec = 2000};

    assert_non_null(context);
    if (shows_certificate) {
        assert_int_equal(SSL_CTX_use_certificate(context, rig->client.certificate), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(context, rig->client.key), 1);
    }
    static const unsigned char alpn[] = "\x02h2";
    (void)SSL_CTX_set_alpn_protos(context, alpn, sizeof alpn - 1);
    SSL *session = SSL_new(context);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
    assert_int_equal(SSL_set_fd(session, fd), 1);
    SSL_set_connect_state(session);
    *ret_context = context;
    return session;
}

static void turn(struct rig *rig)
{
    (void)uv_run(&rig->loop, UV_RUN_NOWAIT);
    (void)usleep(200); /* for the kernel to carry what was sent: at worst a delayed acknowledgement's 40 ms */
}

enum { TURNS_MAX = 5000 };

/* Until the inlet has said something; the client may have failed by then. */
static void shake_hands(struct rig *rig, SSL *session)
{
    int before = rig->done_count;

    for (int i = 0; i < TURNS_MAX && rig->done_count == before; i++) {
        (void)SSL_do_handshake(session);
        turn(rig);
    }
    assert_int_equal(rig->done_count, before + 1);
}

static void client_free(SSL *session, SSL_CTX *context, int fd)
{
    SSL_free(session);
    SSL_CTX_free(context);
    (void)close(fd);
}

static void what_goes_in_comes_out(void **state)
{
    enum { BYTES = 3000000 };
    struct rig rig;
    SSL_CTX *context;
    static uint8_t sent[BYTES];
    static uint8_t received[BYTES];
    size_t sent_bytes = 0;
    size_t received_bytes = 0;

    (void)state;
    for (size_t i = 0; i < BYTES; i++) {
        sent[i] = (uint8_t)(i * 7 + i / 251);
    }
    rig_start(&rig, NULL, 5000);
    int fd = connect_tcp(&rig);
    SSL *session = client_new(&rig, fd, false, &context);
    shake_hands(&rig, session);
    assert_true(rig.handed >= 0);
    for (int i = 0; i < TURNS_MAX && received_bytes < BYTES; i++) { /* to the server */
        size_t bytes = 0;
        if (sent_bytes < BYTES && SSL_write_ex(session, sent + sent_bytes,
                                      BYTES - sent_bytes < 50000 ? BYTES - sent_bytes : 50000, &bytes) == 1) {
            sent_bytes += bytes;
        }
        turn(&rig);
        ssize_t got = recv(rig.handed, received + received_bytes, BYTES - received_bytes, MSG_DONTWAIT);
        received_bytes += got > 0 ? (size_t)got : 0;
    }
    assert_int_equal(received_bytes, BYTES);
    assert_memory_equal(sent, received, BYTES);
    memset(received, 0, BYTES);
    sent_bytes = received_bytes = 0;
    for (int i = 0; i < TURNS_MAX && received_bytes < BYTES; i++) { /* and back */
        size_t bytes = 0;
        ssize_t put = send(rig.handed, sent + sent_bytes, BYTES - sent_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent_bytes += put > 0 ? (size_t)put : 0;
        turn(&rig);
        if (SSL_read_ex(session, received + received_bytes, BYTES - received_bytes, &bytes) == 1) {
            received_bytes += bytes;
        }
    }
    assert_int_equal(received_bytes, BYTES);
    assert_memory_equal(sent, received, BYTES);
    const unsigned char *protocol;
    unsigned int protocol_bytes;
    SSL_get0_alpn_selected(session, &protocol, &protocol_bytes);
    assert_true(slice_equal(slice_of(protocol, protocol_bytes), SLICE_LITERAL("h2")));
    client_free(session, context, fd);
    rig_stop(&rig);
}

static void certificates_and_addresses_are_told(void **state)
{
    static const struct {
        const char *names;
        const char *told;
    } rows[] = {
        {"DNS:orders.shop, URI:https://x/y, URI:" SPIFFE_ID, SPIFFE_ID},
        {"DNS:orders.shop, URI:https://x/y", "https://x/y"},
        {"DNS:orders.shop, DNS:other", "orders.shop"},
        {"email:a@b", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rig rig;
        SSL_CTX *context;
        struct sockaddr_in address;

        rig_start(&rig, rows[i].names, 5000);
        int fd = connect_tcp(&rig);
        SSL *session = client_new(&rig, fd, true, &context);
        shake_hands(&rig, session);
        const struct tls_peer *peer = tls_inlet_peer(rig.inlet, rig.handed);

        assert_non_null(peer);
        assert_string_equal(peer->name, rows[i].told);
        memcpy(&address, &peer->address, sizeof address);
        assert_int_equal(address.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
        assert_null(tls_inlet_peer(rig.inlet, fd)); /* the client's own socket is another */
        assert_null(tls_inlet_peer(NULL, rig.handed));
        client_free(session, context, fd);
        rig_stop(&rig);
    }
}

static void failed_handshakes_are_counted(void **state)
{
    struct rig rig;
    SSL_CTX *context;

    (void)state;
    rig_start(&rig, "URI:" SPIFFE_ID, 5000);
    int fd = connect_tcp(&rig);
    SSL *session = client_new(&rig, fd, false, &context); /* shows none */
    shake_hands(&rig, session);
    assert_int_equal(rig.handed, -1);
    client_free(session, context, fd);

    fd = connect_tcp(&rig); /* speaks no TLS */
    assert_int_equal(send(fd, "PRI * HTTP/2.0\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    for (int i = 0; i < TURNS_MAX && rig.done_count < 2; i++) {
        turn(&rig);
    }
    (void)close(fd);
    fd = connect_tcp(&rig); /* goes at once */
    (void)close(fd);
    for (int i = 0; i < TURNS_MAX && rig.done_count < 3; i++) {
        turn(&rig);
    }
    assert_int_equal(rig.done_count, 3);
    assert_int_equal(rig.handed, -1);
    assert_int_equal(metric_get(rig.cells, METRIC_CONNECTIONS_TLS), 3);
    rig_stop(&rig);
}

static void a_handshake_that_never_ends_is_given_up(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, NULL, 1);
    int fd = connect_tcp(&rig);
    while (rig.done_count == 0) {
        (void)uv_run(&rig.loop, UV_RUN_ONCE); /* the inlet's timer */
    }
    assert_int_equal(rig.handed, -1);
    assert_int_equal(metric_get(rig.cells, METRIC_CONNECTIONS_TLS), 1);
    (void)close(fd);
    rig_stop(&rig);
}

/* One that is under way when the inlet closes is told of, too. */
static void closing_ends_all(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, NULL, 5000);
    int fd = connect_tcp(&rig);
    tls_inlet_close(rig.inlet);
    assert_int_equal(rig.done_count, 1);
    assert_int_equal(rig.handed, -1);
    (void)close(fd);
    rig_stop(&rig);
}

static void ends_pass_through(void **state)
{
    struct rig rig;
    SSL_CTX *context;
    char byte[2];
    size_t bytes = 0;
    ssize_t got = -1;

    (void)state;
    rig_start(&rig, NULL, 5000);
    int fd = connect_tcp(&rig);
    SSL *session = client_new(&rig, fd, false, &context);
    shake_hands(&rig, session);
    assert_int_equal(SSL_write_ex(session, "a", 1, &bytes), 1);
    (void)SSL_shutdown(session); /* says that nothing more comes */
    for (int i = 0; i < TURNS_MAX && got != 0; i++) {
        turn(&rig);
        got = recv(rig.handed, byte, sizeof byte, MSG_DONTWAIT);
        if (got > 0) {
            assert_int_equal(byte[0], 'a');
        }
    }
    assert_int_equal(got, 0);
    assert_int_equal(send(rig.handed, "bye", 3, MSG_NOSIGNAL), 3); /* what the server still says arrives */
    (void)close(rig.handed);
    rig.handed = -1;
    char text[8] = "";
    for (int i = 0; i < TURNS_MAX && bytes != 3; i++) {
        turn(&rig);
        bytes = 0;
        (void)SSL_read_ex(session, text, sizeof text, &bytes);
    }
    assert_string_equal(text, "bye");
    client_free(session, context, fd);
    rig_stop(&rig);
}

/* The servers are done with it, so it may not hold descriptors for as long as its peer likes. */
static void a_peer_that_does_not_read_is_cut(void **state)
{
    static const char bytes[65536];
    struct rig rig;
    SSL_CTX *context;

    (void)state;
    rig_start(&rig, NULL, 5000);
    int fd = connect_buffered(&rig, 8192);
    SSL *session = client_new(&rig, fd, false, &context);
    shake_hands(&rig, session);
    for (int idle = 0, i = 0; idle < 1000 && i < TURNS_MAX; i++) { /* until all buffers are full */
        ssize_t put = send(rig.handed, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        idle = put > 0 ? 0 : idle + 1;
        turn(&rig);
    }
    (void)close(rig.handed);
    rig.handed = -1;
    for (int i = 0; i < 20 && metric_get(rig.cells, METRIC_CONNECTIONS_LIMITED) == 0; i++) {
        (void)uv_run(&rig.loop, UV_RUN_ONCE); /* the inlet's timer */
    }
    assert_int_equal(metric_get(rig.cells, METRIC_CONNECTIONS_LIMITED), 1);
    assert_int_equal(rig.done_count, 1);
    client_free(session, context, fd);
    rig_stop(&rig);
}

static void bad_files_are_named(void **state)
{
    struct rig rig;
    SSL_CTX *context = NULL;
    const char *what = "";
    char other_key[64];
    struct identity other = identity_new(NULL);

    (void)state;
    rig_start(&rig, NULL, 5000);
    write_key(other_key, other.key);
    assert_int_equal(tls_server_new("/nowhere", rig.files.key, NULL, &context, &what), WERR_CONFIG);
    assert_non_null(strstr(what, "cert_file"));
    assert_int_equal(tls_server_new(rig.files.cert, other_key, NULL, &context, &what), WERR_CONFIG);
    assert_non_null(strstr(what, "key_file"));
    assert_int_equal(
        tls_server_new(rig.files.cert, rig.files.key, rig.files.key, &context, &what), WERR_CONFIG);
    assert_non_null(strstr(what, "client_ca_file"));
    assert_null(context);
    (void)unlink(other_key);
    identity_free(&other);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(certificates_and_addresses_are_told),
        cmocka_unit_test(failed_handshakes_are_counted),
        cmocka_unit_test(a_handshake_that_never_ends_is_given_up),
        cmocka_unit_test(closing_ends_all),
        cmocka_unit_test(ends_pass_through),
        cmocka_unit_test(a_peer_that_does_not_read_is_cut),
        cmocka_unit_test(bad_files_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
