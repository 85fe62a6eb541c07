/* TLS contexts and sessions of destinations, on OpenSSL; runs on the exporter's thread. */
#include "exporters/otlp/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "core/error.h"

/* A key with a passphrase is refused instead of asking on the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *user)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)user;
    return 0;
}

static int load_files(const struct otlp_destination_config *config, SSL_CTX *context, const char **ret_what)
{
    int loaded = config->ca_file != NULL ? SSL_CTX_load_verify_file(context, config->ca_file)
                                         : SSL_CTX_set_default_verify_paths(context);
    if (loaded != 1) {
        *ret_what = config->ca_file != NULL ? "tls.ca_file: no certificates in it" : "no system certificates";
        return WERR_CONFIG;
    }
    if (config->cert_file != NULL && SSL_CTX_use_certificate_chain_file(context, config->cert_file) != 1) {
        *ret_what = "tls.cert_file: no certificate in it";
        return WERR_CONFIG;
    }
    if (config->key_file != NULL &&
        (SSL_CTX_use_PrivateKey_file(context, config->key_file, SSL_FILETYPE_PEM) != 1 ||
            SSL_CTX_check_private_key(context) != 1)) {
        *ret_what = "tls.key_file: no private key of the certificate in it";
        return WERR_CONFIG;
    }
    return 0;
}

int tls_context_new(
    const struct otlp_destination_config *config, SSL_CTX **ret_context, const char **ret_what)
{
    static const unsigned char alpn[] = {2, 'h', '2'};
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (context == NULL) {
        return WERR_NOMEM;
    }
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(context, config->insecure_skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    int error = load_files(config, context, ret_what);
    if (error == 0 && (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
                          SSL_CTX_set_alpn_protos(context, alpn, sizeof alpn) != 0)) {
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

static bool set_name(SSL *session, const char *name, bool name_is_ip)
{
    if (name_is_ip) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), name) == 1;
    }
    SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(session, name) == 1 && SSL_set_tlsext_host_name(session, name) == 1;
}

SSL *tls_session_new(SSL_CTX *context, const char *name, bool name_is_ip, BIO **ret_in, BIO **ret_out)
{
    SSL *session = SSL_new(context);
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());

    if (session == NULL || in == NULL || out == NULL || !set_name(session, name, name_is_ip)) {
        SSL_free(session);
        (void)BIO_free(in);
        (void)BIO_free(out);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_bio(session, in, out);
    SSL_set_connect_state(session);
    *ret_in = in;
    *ret_out = out;
    return session;
}

void tls_failure_text(const SSL *session, char *ret_text, size_t capacity)
{
    long verified = SSL_get_verify_result(session);
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    if (verified != X509_V_OK && (SSL_get_verify_mode(session) & SSL_VERIFY_PEER) != 0) {
        reason = X509_verify_cert_error_string(verified);
    }
    (void)snprintf(ret_text, capacity, "TLS: %s", reason != NULL ? reason : "handshake failed");
    ERR_clear_error();
}
