/* The conditions of `identity`. Main thread, at start. */
#include "config/loader.h"

#include <string.h>

#include "core/error.h"

static bool is_local(const char *url)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};

    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        size_t length = strlen(hosts[i]);
        if (strncmp(url + 7, hosts[i], length) == 0 && strchr(":/", url[7 + length]) != NULL) {
            return strchr(url, '@') == NULL; /* before one stands a user, not a host */
        }
    }
    return false;
}

int check_identity(struct loader *loader)
{
    const struct config_identity *identity = &loader->config->identity;

    if (identity->kubelet.url != NULL && !check_is_url(identity->kubelet.url)) {
        return loader_fail(
            loader, WERR_CONFIG, "identity.kubelet.url", "expected http://HOST... or https://HOST...");
    }
    if (identity->kubelet.url == NULL && identity->kubelet.token_file != NULL) {
        return loader_fail(loader, WERR_CONFIG, "identity.kubelet.token_file", "expected url beside it");
    }
    if (identity->kubelet.token_file != NULL && strncmp(identity->kubelet.url, "http://", 7) == 0 &&
        !is_local(identity->kubelet.url)) {
        return loader_fail(loader, WERR_CONFIG, "identity.kubelet.url",
            "expected https://HOST...: the token would be sent for all to read");
    }
    if (identity->downward_api != NULL && identity->downward_api[0] != '/') {
        return loader_fail(loader, WERR_CONFIG, "identity.downward_api", "expected an absolute path");
    }
    if (identity->downward_api != NULL && identity->kubelet.url != NULL) {
        return loader_fail(
            loader, WERR_CONFIG, "identity.downward_api", "expected this or kubelet, not both");
    }
    return 0;
}
