/* The conditions of `identity`. Main thread, at start. */
#include "config/loader.h"
#include "core/error.h"

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
    if (identity->downward_api != NULL && identity->downward_api[0] != '/') {
        return loader_fail(loader, WERR_CONFIG, "identity.downward_api", "expected an absolute path");
    }
    if (identity->downward_api != NULL && identity->kubelet.url != NULL) {
        return loader_fail(
            loader, WERR_CONFIG, "identity.downward_api", "expected this or kubelet, not both");
    }
    return 0;
}
