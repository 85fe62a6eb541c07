/* The conditions of `routes`. Main thread, at start and at each reload. */
#include <stdio.h>

#include "config/loader.h"
#include "core/error.h"

int check_routes(struct loader *loader)
{
    const struct route_rules *routes = &loader->config->routes;

    for (size_t i = 0; i < routes->count; i++) {
        const char *path_template = routes->items[i].path_template;
        const char *fault = path_template != NULL ? route_rule_fault(path_template) : "a template";
        char key[64];

        if (fault != NULL) {
            (void)snprintf(key, sizeof key, "routes[%zu]%s", i, path_template != NULL ? ".template" : "");
            return loader_fail(loader, WERR_CONFIG, key, "expected %s", fault);
        }
    }
    return 0;
}
