/*
 * Attributes of the samples' spans: which texts there are, and in how many samples of each group. Texts lie
 * in a pool of fixed size. On why's owner's thread.
 */
#include <string.h>
#include <xxhash.h>

#include "trace/why_internal.h"

enum { TEXT_BYTES_MAX = 256 }; /* longer values are no category of anything: left out */

void why_attributes_reset(struct why *why)
{
    why->attribute_count = 0;
    why->pool_bytes = 0;
    why->sample_counts[0] = why->sample_counts[1] = 0;
    memset(why->attribute_slots, 0, sizeof why->attribute_slots);
}

static bool is_same(
    const struct why *why, const struct why_attribute *attribute, struct slice key, struct slice text)
{
    const uint8_t *at = why->pool + attribute->key_at;

    return slice_equal(slice_of(at, attribute->key_bytes), key) &&
           slice_equal(slice_of(at + attribute->key_bytes, attribute->text_bytes), text);
}

/* NULL when there is no room, or it is not there and not to be added. */
static struct why_attribute *obtain(struct why *why, struct slice key, struct slice text, bool may_add)
{
    uint32_t hash = (uint32_t)XXH3_64bits_withSeed(text.length > 0 ? (const void *)text.ptr : "", text.length,
        XXH3_64bits(key.length > 0 ? (const void *)key.ptr : "", key.length));
    uint32_t at = hash % WHY_FEATURE_SLOTS;

    for (; why->attribute_slots[at] != 0; at = (at + 1) % WHY_FEATURE_SLOTS) {
        struct why_attribute *attribute = &why->attributes[why->attribute_slots[at] - 1];
        if (attribute->hash == hash && is_same(why, attribute, key, text)) {
            return attribute;
        }
    }
    if (!may_add) {
        return NULL;
    }
    if (why->attribute_count == WHY_FEATURE_COUNT_MAX ||
        key.length + text.length > WHY_ATTRIBUTE_BYTES_MAX - why->pool_bytes) {
        why->result.features_cut++;
        return NULL;
    }
    struct why_attribute *attribute = &why->attributes[why->attribute_count++];

    *attribute = (struct why_attribute){.key_at = why->pool_bytes,
        .key_bytes = (uint32_t)key.length,
        .text_bytes = (uint32_t)text.length,
        .hash = hash};
    memcpy(why->pool + why->pool_bytes, key.ptr, key.length);
    if (text.length > 0) {
        memcpy(why->pool + why->pool_bytes + key.length, text.ptr, text.length);
    }
    why->pool_bytes += (uint32_t)(key.length + text.length);
    why->attribute_slots[at] = why->attribute_count;
    return attribute;
}

void why_add_attribute(struct why *why, bool is_slow, uint32_t sample, struct slice key, struct slice text)
{
    if (sample >= why->sample_counts[is_slow] || key.length == 0 || key.length > TEXT_BYTES_MAX ||
        text.length > TEXT_BYTES_MAX) {
        why->result.features_cut++;
        return;
    }
    struct why_attribute *attribute = obtain(why, key, text, is_slow);

    if (attribute == NULL || why_sample_has(why, is_slow, sample, (uint32_t)(attribute - why->attributes))) {
        return;
    }
    attribute->has[is_slow][sample / 64] |= 1ull << sample % 64;
    attribute->with[is_slow]++;
    if (is_slow && (attribute->with[true] == 1 || why_total_ns(why->samples[true][sample]) >
                                                      why_total_ns(why->samples[true][attribute->example]))) {
        attribute->example = sample;
    }
}

bool why_sample_has(const struct why *why, bool is_slow, uint32_t sample, uint32_t attribute)
{
    return (why->attributes[attribute].has[is_slow][sample / 64] >> sample % 64 & 1) != 0;
}
