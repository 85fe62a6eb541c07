/* The conditions of `meshes`, and the list of all names: every other key that names a mesh is given its
 * number here. Main thread, at start. */
#include "config/loader.h"

#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/mesh_names.h"

/* The number of the name, from 1; 0 when it is not in the list. */
static size_t find_name(const struct config_strings *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], name) == 0) {
            return i + 1;
        }
    }
    return 0;
}

static int add_name(struct loader *loader, const char *key, const char *name)
{
    struct config_strings *names = &loader->config->mesh_names;

    if (names->count == MESH_COUNT_MAX) {
        return loader_fail(loader, WERR_CONFIG, key, "expected at most %d meshes", MESH_COUNT_MAX);
    }
    names->items[names->count++] = name;
    return 0;
}

static int check_mesh(struct loader *loader, size_t index)
{
    const struct config_mesh *mesh = &loader->config->meshes.items[index];
    char key[64];

    (void)snprintf(key, sizeof key, "meshes[%zu]", index);
    if (mesh->name == NULL) {
        return loader_fail(loader, WERR_CONFIG, key, "expected a name");
    }
    (void)snprintf(key, sizeof key, "meshes[%zu].name", index);
    if (find_name(&loader->config->mesh_names, mesh->name) != 0) {
        return loader_fail(loader, WERR_CONFIG, key, "expected a name that no other mesh has");
    }
    return add_name(loader, key, mesh->name);
}

/* A receiver may name a mesh that has no other senders. */
static int number_of(struct loader *loader, const char *key, const char *name, uint8_t *ret_number)
{
    struct config_strings *names = &loader->config->mesh_names;
    int status = 0;

    if (name != NULL && find_name(names, name) == 0) {
        status = add_name(loader, key, name);
    }
    *ret_number = name != NULL ? (uint8_t)find_name(names, name) : 0;
    return status;
}

int check_meshes(struct loader *loader)
{
    struct config *config = loader->config;
    struct config_access_logs *logs = &config->receivers.access_logs;
    const struct config_scrapes *scrapes = &config->receivers.scrape;
    char key[64];
    uint8_t number; /* not kept: a target has its mesh as a label */
    int status = 0;

    config->mesh_names.items = arena_zalloc(&config->arena, MESH_COUNT_MAX * sizeof(const char *));
    if (config->mesh_names.items == NULL) {
        return loader_fail_memory(loader);
    }
    for (size_t i = 0; status == 0 && i < config->meshes.count; i++) {
        status = check_mesh(loader, i);
    }
    for (size_t i = 0; status == 0 && i < logs->count; i++) {
        (void)snprintf(key, sizeof key, "receivers.access_logs[%zu].mesh", i);
        status = number_of(loader, key, logs->items[i].mesh, &logs->items[i].mesh_number);
    }
    for (size_t i = 0; status == 0 && i < scrapes->count; i++) {
        (void)snprintf(key, sizeof key, "receivers.scrape[%zu].mesh", i);
        status = number_of(loader, key, scrapes->items[i].mesh, &number);
    }
    return status;
}
