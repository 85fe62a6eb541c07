/* See timing_batch.h. */
#include "trace/timing_batch.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

enum { INDEX_MASK = (1 << 24) - 1 };

/* Where a timing has its names. */
static void names_of(struct timing *timing, uint32_t *ret_names[TIMING_NAME_COUNT])
{
    ret_names[0] = &timing->source;
    ret_names[1] = &timing->source_namespace;
    ret_names[2] = &timing->destination;
    ret_names[3] = &timing->destination_namespace;
    ret_names[4] = &timing->route;
    ret_names[5] = &timing->sender;
    ret_names[6] = &timing->version;
}

/* ---- writing ---- */

int timing_writer_init(
    struct timing_writer *writer, const struct interner *interner, uint32_t strings_count_max)
{
    *writer = (struct timing_writer){.interner = interner, .count_max = strings_count_max};
    writer->told = calloc(strings_count_max, sizeof *writer->told);
    return writer->told != NULL ? 0 : WERR_NOMEM;
}

void timing_writer_deinit(struct timing_writer *writer)
{
    free(writer->told);
    free(writer->batch);
    *writer = (struct timing_writer){.told = NULL};
}

static bool has_room(const struct timing_batch *batch)
{
    return batch->timing_count < TIMING_BATCH_COUNT_MAX &&
           batch->name_count + TIMING_NAME_COUNT <= TIMING_BATCH_NAMES_MAX &&
           batch->text_bytes + TIMING_NAME_COUNT * TIMING_NAME_BYTES_MAX <= TIMING_BATCH_TEXT_BYTES;
}

/* Tells an id that is new to the reader; the id, or INTERNED_UNKNOWN when it names nothing. */
static uint32_t tell(struct timing_writer *writer, uint32_t id)
{
    struct timing_batch *batch = writer->batch;
    uint32_t index = id & INDEX_MASK;

    if (id < INTERNED_FIXED_COUNT) {
        return id;
    }
    if (index >= writer->count_max) {
        return INTERNED_UNKNOWN; /* INTERNED_FULL */
    }
    if (writer->told[index] == id) {
        return id;
    }
    struct slice text = interner_text(writer->interner, id);
    if (text.length == 0) {
        return INTERNED_UNKNOWN;
    }
    size_t length = text.length < TIMING_NAME_BYTES_MAX ? text.length : TIMING_NAME_BYTES_MAX;
    memcpy(batch->text + batch->text_bytes, text.ptr, length);
    batch->names[batch->name_count++] =
        (struct timing_name){.id = id, .at = batch->text_bytes, .length = (uint32_t)length};
    batch->text_bytes += (uint32_t)length;
    writer->told[index] = id;
    return id;
}

int timing_writer_add(struct timing_writer *writer, const struct timing *timing)
{
    uint32_t *names[TIMING_NAME_COUNT];

    if (writer->batch == NULL) {
        writer->batch = malloc(sizeof *writer->batch);
        if (writer->batch == NULL) {
            return WERR_NOMEM;
        }
        writer->batch->timing_count = writer->batch->name_count = writer->batch->text_bytes = 0;
        writer->batch->under_way = NULL;
    }
    if (!has_room(writer->batch)) {
        return WERR_FULL;
    }
    struct timing *to = &writer->batch->timings[writer->batch->timing_count++];
    *to = *timing;
    names_of(to, names);
    for (size_t i = 0; i < TIMING_NAME_COUNT; i++) {
        *names[i] = tell(writer, *names[i]);
    }
    return 0;
}

struct timing_batch *timing_writer_take(struct timing_writer *writer)
{
    struct timing_batch *batch = writer->batch;

    if (batch == NULL || batch->timing_count == 0) {
        return NULL;
    }
    writer->batch = NULL;
    return batch;
}

void timing_writer_lost(struct timing_writer *writer, struct timing_batch *batch)
{
    for (uint32_t i = 0; i < batch->name_count; i++) {
        writer->told[batch->names[i].id & INDEX_MASK] = 0;
    }
    free(batch);
}

/* ---- reading ---- */

int timing_reader_init(struct timing_reader *reader, struct interner *interner, uint32_t strings_count_max)
{
    *reader = (struct timing_reader){.interner = interner, .count_max = strings_count_max};
    reader->names = calloc(strings_count_max, sizeof *reader->names);
    return reader->names != NULL ? 0 : WERR_NOMEM;
}

void timing_reader_deinit(struct timing_reader *reader)
{
    free(reader->names); /* references end with the interner */
    *reader = (struct timing_reader){.names = NULL};
}

void timing_reader_learn(struct timing_reader *reader, const struct timing_batch *batch)
{
    for (uint32_t i = 0; i < batch->name_count; i++) {
        const struct timing_name *from = &batch->names[i];
        struct timing_reader_name *to = &reader->names[from->id & INDEX_MASK];
        uint32_t own = interner_intern(reader->interner, slice_of(batch->text + from->at, from->length));
        own = own == INTERNED_FULL ? (uint32_t)INTERNED_OVERFLOW : own;
        interner_ref(reader->interner, own);
        if (to->id != 0) {
            interner_unref(reader->interner, to->own);
        }
        *to = (struct timing_reader_name){.id = from->id, .own = own};
    }
}

static uint32_t own_id(const struct timing_reader *reader, uint32_t id)
{
    uint32_t index = id & INDEX_MASK;

    if (id < INTERNED_FIXED_COUNT) {
        return id;
    }
    return index < reader->count_max && reader->names[index].id == id ? reader->names[index].own
                                                                      : (uint32_t)INTERNED_UNKNOWN;
}

void timing_reader_translate(const struct timing_reader *reader, struct timing *timing)
{
    uint32_t *names[TIMING_NAME_COUNT];

    names_of(timing, names);
    for (size_t i = 0; i < TIMING_NAME_COUNT; i++) {
        *names[i] = own_id(reader, *names[i]);
    }
}
