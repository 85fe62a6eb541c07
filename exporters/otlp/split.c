/*
 * Requests taken apart; see split.h. Each level that is open has a buffer of the children that go into the
 * current piece. A piece is closed from the innermost level outwards: a level's own fields, then its
 * children, wrapped and appended to the level above. Runs on the exporter's thread, and only for requests
 * that are too large.
 */
#include "exporters/otlp/split.h"

#include "core/error.h"

enum {
    LEVELS_MAX = 5,
    WIRE_BYTES_TYPE = 2,
    ENVELOPE_BYTES = 12, /* of a level's tag and length, at most */
};

/* Which field numbers of a level are its children, as bits; the last level's are the items. */
struct shape {
    uint32_t children[LEVELS_MAX];
    size_t level_count;
};

static const struct shape shapes[OTLP_SIGNAL_COUNT] = {
    [OTLP_SIGNAL_TRACES] = {.children = {1u << 1, 1u << 2, 1u << 2}, .level_count = 3},
    [OTLP_SIGNAL_LOGS] = {.children = {1u << 1, 1u << 2, 1u << 2}, .level_count = 3},
    [OTLP_SIGNAL_METRICS] =
        {
            .children = {1u << 1, 1u << 2, 1u << 2, 1u << 5 | 1u << 7 | 1u << 9 | 1u << 10 | 1u << 11,
                1u << 1},
            .level_count = 5,
        },
};

struct level {
    struct slice message;
    uint32_t number;        /* of the field that it came in */
    size_t own_bytes;       /* of the fields that are no children */
    struct buffer children; /* of the current piece */
};

struct splitter {
    const struct shape *shape;
    const struct split_limits *limits;
    split_sink sink;
    void *user;
    struct level levels[LEVELS_MAX];
    size_t open_count;
    size_t piece_bytes; /* of the items in the current piece, with their tags and closed envelopes */
    uint64_t piece_count;
    uint64_t oversized_count;
};

struct field {
    uint32_t number;
    bool is_bytes;
    struct slice raw;   /* tag and value */
    struct slice bytes; /* when is_bytes */
};

static int read_varint(struct slice *from, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < 10 && i < from->length; i++) {
        value |= (uint64_t)(from->ptr[i] & 0x7f) << (7 * i);
        if (from->ptr[i] < 0x80) {
            *from = slice_sub(*from, i + 1, from->length);
            *ret_value = value;
            return 0;
        }
    }
    return WERR_TRUNCATED;
}

/* 1 with a field, 0 at the end, or an error. */
static int next_field(struct slice *from, struct field *ret_field)
{
    struct slice start = *from;
    uint64_t tag = 0;
    uint64_t length = 0;

    if (from->length == 0) {
        return 0;
    }
    int error = read_varint(from, &tag);
    if (error == 0) {
        switch (tag & 7) {
        case 0:
            error = read_varint(from, &length);
            length = 0;
            break;
        case 1:
            length = 8;
            break;
        case WIRE_BYTES_TYPE:
            error = read_varint(from, &length);
            break;
        case 5:
            length = 4;
            break;
        default:
            error = WERR_INVALID;
            break;
        }
    }
    if (error < 0 || length > from->length) {
        return error < 0 ? error : WERR_TRUNCATED;
    }
    ret_field->number = tag >> 3 < 32 ? (uint32_t)(tag >> 3) : 0; /* higher ones are nobody's children */
    ret_field->is_bytes = (tag & 7) == WIRE_BYTES_TYPE;
    ret_field->bytes = slice_sub(*from, 0, (size_t)length);
    *from = slice_sub(*from, (size_t)length, from->length);
    ret_field->raw = slice_of(start.ptr, start.length - from->length);
    return 1;
}

static bool is_child(const struct splitter *self, size_t level, const struct field *field)
{
    return field->is_bytes && (self->shape->children[level] >> field->number & 1) != 0;
}

static void append_varint(struct buffer *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        (void)buffer_append_byte(out, (uint8_t)(value | 0x80));
    }
    (void)buffer_append_byte(out, (uint8_t)value);
}

/* The fields of a level that are no children. */
static void append_own(const struct splitter *self, size_t at, struct buffer *out)
{
    struct slice rest = self->levels[at].message;
    struct field field;

    while (next_field(&rest, &field) > 0) {
        if (!is_child(self, at, &field)) {
            (void)buffer_append_slice(out, field.raw);
        }
    }
}

/* The level's part of the piece goes into the level above; nothing when it is empty. */
static int wrap(struct splitter *self, size_t at)
{
    struct level *level = &self->levels[at];
    struct buffer *out = &self->levels[at - 1].children;

    if (level->children.length == 0) {
        return level->children.error;
    }
    append_varint(out, (uint64_t)level->number << 3 | WIRE_BYTES_TYPE);
    append_varint(out, level->own_bytes + level->children.length);
    append_own(self, at, out);
    (void)buffer_append(out, level->children.data, level->children.length);
    int error = level->children.error;
    level->children.length = 0;
    return error < 0 ? error : out->error;
}

/* Gives the piece away; what is open stays open for the next. */
static int flush(struct splitter *self)
{
    int error = 0;

    for (size_t at = self->open_count; at > 1 && error == 0; at--) {
        error = wrap(self, at - 1);
    }
    struct buffer *piece = &self->levels[0].children;
    if (error == 0 && self->piece_count > 0) {
        append_own(self, 0, piece);
        error = piece->error;
        if (error == 0) {
            self->sink(self->user, piece, self->piece_count);
            buffer_deinit(piece);
            buffer_init(piece, SIZE_MAX);
        }
    }
    self->piece_bytes = 0;
    self->piece_count = 0;
    return error;
}

static size_t open_bytes(const struct splitter *self)
{
    size_t bytes = 0;

    for (size_t i = 0; i < self->open_count; i++) {
        bytes += self->levels[i].own_bytes + ENVELOPE_BYTES;
    }
    return bytes;
}

static int add_item(struct splitter *self, const struct field *field)
{
    const struct split_limits *limits = self->limits;
    size_t envelope_bytes = open_bytes(self);
    int error = 0;

    if (envelope_bytes + field->raw.length > limits->bytes_max ||
        (limits->item_bytes_max > 0 && field->bytes.length > limits->item_bytes_max)) {
        self->oversized_count++;
        return 0;
    }
    if (self->piece_count >= limits->count_max ||
        self->piece_bytes + envelope_bytes + field->raw.length > limits->bytes_max) {
        error = flush(self);
    }
    struct buffer *children = &self->levels[self->open_count - 1].children;
    self->piece_count++;
    self->piece_bytes += field->raw.length;
    return error < 0 ? error : buffer_append_slice(children, field->raw);
}

/* Opens a level, and closes it when its children are through. As deep as the shape, at most LEVELS_MAX. */
static int walk(struct splitter *self, size_t at, const struct field *container)
{
    struct level *level = &self->levels[at];
    struct slice rest = container->bytes;
    struct field field;
    int got;

    level->message = container->bytes;
    level->number = container->number;
    level->own_bytes = 0;
    self->open_count = at + 1;
    while ((got = next_field(&rest, &field)) > 0) {
        level->own_bytes += is_child(self, at, &field) ? 0 : field.raw.length;
    }
    rest = container->bytes;
    while (got == 0 && next_field(&rest, &field) > 0) {
        if (is_child(self, at, &field)) {
            got = at + 1 == self->shape->level_count ? add_item(self, &field) : walk(self, at + 1, &field);
        }
    }
    if (got == 0 && at > 0) {
        self->piece_bytes += level->children.length > 0 ? level->own_bytes + ENVELOPE_BYTES : 0;
        got = wrap(self, at);
    }
    self->open_count = at;
    return got;
}

int split_request(enum otlp_signal signal, struct slice message, const struct split_limits *limits,
    split_sink sink, void *user, uint64_t *ret_oversized_count)
{
    struct splitter self = {.shape = &shapes[signal], .limits = limits, .sink = sink, .user = user};
    struct field whole = {.bytes = message};

    for (size_t i = 0; i < LEVELS_MAX; i++) {
        buffer_init(&self.levels[i].children, SIZE_MAX);
    }
    int error = walk(&self, 0, &whole);
    self.open_count = 1;
    if (error == 0) {
        error = flush(&self);
    }
    for (size_t i = 0; i < LEVELS_MAX; i++) {
        buffer_deinit(&self.levels[i].children);
    }
    *ret_oversized_count = self.oversized_count;
    return error;
}
