/* Label sets and services of the aggregator: edges.h. */
#include "aggregate/edges.h"

#include "aggregate/label_text.h"
#include "core/error.h"

enum { TEXT_BYTES_MAX = 65536 };

static uint32_t service_hash(uint32_t name, uint32_t name_space, uint32_t mesh)
{
    uint32_t ids[3] = {name, name_space, mesh};

    return (uint32_t)XXH3_64bits(ids, sizeof(ids));
}

static uint32_t edge_hash(const struct edge_key *key)
{
    return (uint32_t)XXH3_64bits(key, sizeof(*key));
}

int edges_init(struct edges *edges, struct interner *interner, struct budget *budget)
{
    *edges = (struct edges){.budget = budget, .interner = interner};
    table_init(&edges->edges, budget);
    table_init(&edges->services, budget);
    buffer_init(&edges->scratch, TEXT_BYTES_MAX);
    int error = hash_index_init(&edges->edge_index, budget);

    return error < 0 ? error : hash_index_init(&edges->service_index, budget);
}

void edges_deinit(struct edges *edges)
{
    if (edges->budget == NULL) {
        return;
    }
    for (uint32_t i = 0; i < edges->edges.used; i++) {
        struct edge *edge = table_at(&edges->edges, i);

        if (edge != NULL) {
            memory_free(edges->budget, edge->text, edge->text_length + 1);
            memory_free(edges->budget, edge, sizeof(*edge));
        }
    }
    for (uint32_t i = 0; i < edges->services.used; i++) {
        memory_free(edges->budget, table_at(&edges->services, i), sizeof(struct service));
    }
    table_deinit(&edges->edges);
    table_deinit(&edges->services);
    hash_index_deinit(&edges->edge_index);
    hash_index_deinit(&edges->service_index);
    buffer_deinit(&edges->scratch);
}

static struct service *add_service(
    struct edges *edges, uint32_t name, uint32_t name_space, uint32_t mesh, uint32_t hash)
{
    struct service *service = memory_calloc(edges->budget, sizeof(*service));

    if (service == NULL) {
        return NULL;
    }
    *service = (struct service){.name = name, .name_space = name_space, .mesh = mesh, .hash = hash};
    service->number = table_add(&edges->services, service);
    if (service->number != SLOT_NONE && hash_index_add(&edges->service_index, hash, service->number) < 0) {
        table_remove(&edges->services, service->number);
        service->number = SLOT_NONE;
    }
    if (service->number == SLOT_NONE) {
        memory_free(edges->budget, service, sizeof(*service));
        return NULL;
    }
    interner_ref(edges->interner, name);
    interner_ref(edges->interner, name_space);
    return service;
}

/* NULL for a name that is none, and without memory: the service is then not listed. */
static struct service *obtain_service(struct edges *edges, uint32_t name, uint32_t name_space, uint32_t mesh)
{
    if (name < INTERNED_FIXED_COUNT) {
        return NULL;
    }
    uint32_t hash = service_hash(name, name_space, mesh);
    uint32_t at = hash_index_first(&edges->service_index, hash);
    struct service *service = NULL;

    for (uint32_t number; hash_index_next(&edges->service_index, hash, &at, &number);) {
        service = table_at(&edges->services, number);
        if (service->name == name && service->name_space == name_space && service->mesh == mesh) {
            service->reference_count++;
            return service;
        }
    }
    service = add_service(edges, name, name_space, mesh, hash);
    if (service != NULL) {
        service->reference_count++;
    }
    return service;
}

static void release_service(struct edges *edges, struct service *service)
{
    if (service == NULL || --service->reference_count > 0) {
        return;
    }
    hash_index_remove(&edges->service_index, service->hash, service->number);
    table_remove(&edges->services, service->number);
    interner_unref(edges->interner, service->name);
    interner_unref(edges->interner, service->name_space);
    memory_free(edges->budget, service, sizeof(*service));
}

static int render(struct edges *edges, struct edge *edge)
{
    struct buffer *text = &edges->scratch;
    const struct interner *interner = edges->interner;

    text->length = 0;
    text->error = 0;
    label_text_append(text, "reporter", slice_of_string(reporter_name((enum reporter)edge->key.reporter)));
    label_text_append(text, "source", interner_text(interner, edge->key.source));
    label_text_append(text, "source_namespace", interner_text(interner, edge->key.source_namespace));
    label_text_append(text, "destination", interner_text(interner, edge->key.destination));
    label_text_append(
        text, "destination_namespace", interner_text(interner, edge->key.destination_namespace));
    label_text_append(text, "route", interner_text(interner, edge->key.route));
    label_text_append(text, "mesh", slice_of_string(mesh_name(&edges->meshes, edge->key.mesh)));
    if (text->error < 0) {
        return text->error;
    }
    edge->text = memory_calloc(edges->budget, text->length + 1);
    if (edge->text == NULL) {
        return WERR_NOMEM;
    }
    memcpy(edge->text, text->data, text->length);
    edge->text_length = (uint32_t)text->length;
    return 0;
}

static void free_edge(struct edges *edges, struct edge *edge)
{
    memory_free(edges->budget, edge->text, edge->text_length + 1);
    memory_free(edges->budget, edge, sizeof(*edge));
}

static struct edge *add_edge(struct edges *edges, const struct edge_key *key, uint32_t hash)
{
    struct edge *edge = memory_calloc(edges->budget, sizeof(*edge));

    if (edge == NULL) {
        return NULL;
    }
    *edge = (struct edge){.key = *key, .hash = hash};
    if (render(edges, edge) < 0) {
        free_edge(edges, edge);
        return NULL;
    }
    edge->number = table_add(&edges->edges, edge);
    if (edge->number != SLOT_NONE && hash_index_add(&edges->edge_index, hash, edge->number) < 0) {
        table_remove(&edges->edges, edge->number);
        edge->number = SLOT_NONE;
    }
    if (edge->number == SLOT_NONE) {
        free_edge(edges, edge);
        return NULL;
    }
    interner_ref(edges->interner, key->source);
    interner_ref(edges->interner, key->source_namespace);
    interner_ref(edges->interner, key->destination);
    interner_ref(edges->interner, key->destination_namespace);
    interner_ref(edges->interner, key->route);
    edge->services[0] = obtain_service(edges, key->source, key->source_namespace, key->mesh);
    edge->services[1] = obtain_service(edges, key->destination, key->destination_namespace, key->mesh);
    return edge;
}

struct edge *edges_obtain(struct edges *edges, const struct edge_key *key)
{
    uint32_t hash = edge_hash(key);
    uint32_t at = hash_index_first(&edges->edge_index, hash);
    struct edge *edge = NULL;

    for (uint32_t number; hash_index_next(&edges->edge_index, hash, &at, &number);) {
        edge = table_at(&edges->edges, number);
        if (memcmp(&edge->key, key, sizeof(*key)) == 0) {
            edge->reference_count++;
            return edge;
        }
    }
    edge = add_edge(edges, key, hash);
    if (edge != NULL) {
        edge->reference_count++;
    }
    return edge;
}

void edges_release(struct edges *edges, struct edge *edge)
{
    if (edge == NULL || --edge->reference_count > 0) {
        return;
    }
    hash_index_remove(&edges->edge_index, edge->hash, edge->number);
    table_remove(&edges->edges, edge->number);
    release_service(edges, edge->services[0]);
    release_service(edges, edge->services[1]);
    interner_unref(edges->interner, edge->key.source);
    interner_unref(edges->interner, edge->key.source_namespace);
    interner_unref(edges->interner, edge->key.destination);
    interner_unref(edges->interner, edge->key.destination_namespace);
    interner_unref(edges->interner, edge->key.route);
    free_edge(edges, edge);
}

static uint32_t recent_period(uint32_t now_s)
{
    return now_s / EDGE_RECENT_S + 1; /* 0 is no period */
}

void edge_recent_add(struct edge_recent *recent, enum outcome outcome, uint64_t count, uint32_t now_s)
{
    uint32_t period = recent_period(now_s);

    if (period != recent->period) {
        if (period == recent->period + 1) {
            memcpy(recent->counts[1], recent->counts[0], sizeof(recent->counts[0]));
        } else {
            memset(recent->counts[1], 0, sizeof(recent->counts[1]));
        }
        memset(recent->counts[0], 0, sizeof(recent->counts[0]));
        recent->period = period;
    }
    uint32_t *cell = &recent->counts[0][outcome];

    *cell = count > UINT32_MAX - *cell ? UINT32_MAX : *cell + (uint32_t)count;
}

bool edge_recent_read(
    const struct edge_recent *recent, uint32_t now_s, uint64_t ret_outcomes[static OUTCOME_COUNT])
{
    uint32_t age = recent_period(now_s) - recent->period;
    uint64_t sum = 0;

    if (recent->period == 0 || age > 1) {
        return false;
    }
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        ret_outcomes[i] =
            age == 0 ? (uint64_t)recent->counts[0][i] + recent->counts[1][i] : recent->counts[0][i];
        sum += ret_outcomes[i];
    }
    return sum > 0;
}
