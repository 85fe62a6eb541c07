/* The server's TLS context, on OpenSSL: tls_server.h. */
#include "listen/tls_server.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "core/error.h"
#include "core/slice.h"

/* A key with a passphrase is refused instead of asking on the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *user)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)user;
    return 0;
}

static int select_protocol(SSL *session, const unsigned char **out, unsigned char *out_length,
    const unsigned char *offered, unsigned int offered_length, void *user)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    unsigned char *chosen;

    (void)session;
    (void)user;
    if (SSL_select_next_proto(&chosen, out_length, ours, sizeof ours - 1, offered, offered_length) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int load_files(SSL_CTX *context, const char *cert_file, const char *key_file,
    const char *client_ca_file, const char **ret_what)
{
    if (SSL_CTX_use_certificate_chain_file(context, cert_file) != 1) {
        *ret_what = "tls.cert_file: no certificate in it";
        return WERR_CONFIG;
    }
    if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
        *ret_what = "tls.key_file: no private key of the certificate in it";
        return WERR_CONFIG;
    }
    if (client_ca_file == NULL) {
        return 0;
    }
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(client_ca_file);
    if (names == NULL || SSL_CTX_load_verify_file(context, client_ca_file) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        *ret_what = "tls.client_ca_file: no certificates in it";
        return WERR_CONFIG;
    }
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}

int tls_server_new(const char *cert_file, const char *key_file, const char *client_ca_file,
    SSL_CTX **ret_context, const char **ret_what)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (context == NULL) {
        return WERR_NOMEM;
    }
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_mode(context,
        SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
    int error = load_files(context, cert_file, key_file, client_ca_file, ret_what);
    if (error == 0 && (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
                          SSL_CTX_set_num_tickets(context, 0) != 1)) {
        error = WERR_NOMEM;
    }
    ERR_clear_error();
    if (error < 0) {
        SSL_CTX_free(context);
        return error;
    }
    *ret_context = context;
    return 0;
}

/* How well a name of that kind tells who it is; 0: not at all. */
static int rank_of(const GENERAL_NAME *name, struct slice text)
{
    if (text.length == 0 || memchr(text.ptr, 0, text.length) != NULL) {
        return 0;
    }
    if (name->type == GEN_URI) {
        return slice_has_prefix(text, SLICE_LITERAL("spiffe://")) ? 3 : 2;
    }
    return name->type == GEN_DNS ? 1 : 0;
}

void tls_peer_name(const SSL *session, char *out, size_t out_bytes)
{
    X509 *certificate = SSL_get1_peer_certificate(session);
    GENERAL_NAMES *names =
        certificate != NULL ? X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL) : NULL;
    int best = 0;

    out[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        struct slice text = slice_of(NULL, 0);

        if (name->type == GEN_URI || name->type == GEN_DNS) {
            const ASN1_IA5STRING *value = name->d.ia5;

            text = slice_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
        }
        int rank = rank_of(name, text);

        if (rank > best && text.ptr != NULL && text.length < out_bytes) {
            best = rank;
            memcpy(out, text.ptr, text.length);
            out[text.length] = '\0';
        }
    }
    GENERAL_NAMES_free(names);
    X509_free(certificate);
}
