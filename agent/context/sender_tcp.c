/* Senders over TCP: sender_tcp.h. */
#include "context/sender_tcp.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "context/spiffe.h"

static const char spiffe_scheme[] = "spiffe://";

/* Ids are shown and compared: printable ASCII, whatever an authority signed. Slashes part their texts. */
static void clean(char *text)
{
    for (; *text != '\0'; text++) {
        bool fits = *text > ' ' && *text < 0x7f && *text != '/' && *text != '"' && *text != '\\';

        *text = (char)(fits ? *text : '_');
    }
}

static void set_name(struct sender *sender, const char *text)
{
    size_t length = strlen(text);

    (void)snprintf(sender->name, sizeof sender->name, "%s", text);
    if (length >= sizeof sender->name) {
        enum { TAIL_BYTES = 18 }; /* '~', 16 digits, NUL */

        (void)snprintf(sender->name + sizeof sender->name - TAIL_BYTES, TAIL_BYTES, "~%016llx",
            (unsigned long long)XXH3_64bits(text, length));
    }
    clean(sender->name);
}

void sender_of_name(const char *certificate_name, struct sender *ret_sender)
{
    struct sender sender = {.kind = SENDER_SAN, .uid = SENDER_UID_UNMAPPED, .gid = SENDER_UID_UNMAPPED};
    struct service_name told = service_name_of_spiffe(slice_of_string(certificate_name));
    size_t scheme_bytes = sizeof spiffe_scheme - 1;
    bool is_spiffe = strncmp(certificate_name, spiffe_scheme, scheme_bytes) == 0;

    set_name(&sender, certificate_name + (is_spiffe ? scheme_bytes : 0));
    if (told.service_namespace.length < sizeof sender.namespace) {
        (void)snprintf(sender.namespace, sizeof sender.namespace, "%.*s", (int)told.service_namespace.length,
            told.service_namespace.length > 0 ? (const char *)told.service_namespace.ptr : "");
        clean(sender.namespace);
    }
    sender_id_format(&sender);
    *ret_sender = sender;
}

void sender_of_address(const char *address, struct sender *ret_sender)
{
    struct sender sender = {.kind = SENDER_ADDRESS, .uid = SENDER_UID_UNMAPPED, .gid = SENDER_UID_UNMAPPED};

    set_name(&sender, address);
    sender_id_format(&sender);
    *ret_sender = sender;
}
