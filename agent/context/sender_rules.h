/*
 * Who may send records at all: patterns over sender ids (context/sender.h), as `identity.allow` and
 * `identity.deny` have them. Asked once a connection, off the record path. Any thread.
 */
#ifndef WEFT_CONTEXT_SENDER_RULES_H
#define WEFT_CONTEXT_SENDER_RULES_H

#include <stdbool.h>
#include <stddef.h>

struct sender_patterns {
    const char **items; /* with * ? and [], as fnmatch(3) reads them; a * matches slashes too. Borrowed */
    size_t count;
};

struct sender_rules {
    struct sender_patterns allow; /* none: everybody may */
    struct sender_patterns deny;  /* counts more */
};

bool sender_rules_are_none(const struct sender_rules *rules);

bool sender_rules_allow(const struct sender_rules *rules, const char *sender_id);

#endif
