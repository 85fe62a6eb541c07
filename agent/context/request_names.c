/* The label values of a request's enumerations, as every exposition writes them. Any thread. */
#include "context/request.h"

static const char *const reporter_names[REPORTER_COUNT] = {
    [REPORTER_SOURCE] = "source",
    [REPORTER_DESTINATION] = "destination",
    [REPORTER_WAYPOINT] = "waypoint",
};

static const char *const outcome_names[OUTCOME_COUNT] = {
    [OUTCOME_OK] = "ok",
    [OUTCOME_CLIENT_ERROR] = "client_error",
    [OUTCOME_SERVER_ERROR] = "server_error",
    [OUTCOME_NO_RESPONSE] = "no_response",
    [OUTCOME_CANCELLED] = "cancelled",
};

static const char *const protocol_names[PROTOCOL_COUNT] = {
    [PROTOCOL_UNKNOWN] = "unknown",
    [PROTOCOL_HTTP1] = "http1",
    [PROTOCOL_HTTP2] = "http2",
    [PROTOCOL_HTTP3] = "http3",
    [PROTOCOL_GRPC] = "grpc",
    [PROTOCOL_TCP] = "tcp",
};

static const char *const method_names[METHOD_COUNT] = {
    [METHOD_NONE] = "",
    [METHOD_CONNECT] = "CONNECT",
    [METHOD_DELETE] = "DELETE",
    [METHOD_GET] = "GET",
    [METHOD_HEAD] = "HEAD",
    [METHOD_OPTIONS] = "OPTIONS",
    [METHOD_PATCH] = "PATCH",
    [METHOD_POST] = "POST",
    [METHOD_PUT] = "PUT",
    [METHOD_TRACE] = "TRACE",
    [METHOD_OTHER] = "_OTHER",
};

/* Values outside an enumeration can only come from a record; they read as the one that says nothing. */
const char *reporter_name(enum reporter reporter)
{
    return (unsigned)reporter < REPORTER_COUNT ? reporter_names[reporter] : "unknown";
}

const char *outcome_name(enum outcome outcome)
{
    return (unsigned)outcome < OUTCOME_COUNT ? outcome_names[outcome] : "unknown";
}

const char *protocol_name(enum protocol protocol)
{
    return protocol_names[(unsigned)protocol < PROTOCOL_COUNT ? protocol : PROTOCOL_UNKNOWN];
}

const char *method_name(enum method method)
{
    return method_names[(unsigned)method < METHOD_COUNT ? method : METHOD_OTHER];
}

enum method method_of(struct slice text)
{
    if (text.length == 0) {
        return METHOD_NONE;
    }
    for (unsigned i = METHOD_CONNECT; i < METHOD_OTHER; i++) {
        if (strlen(method_names[i]) == text.length && memcmp(method_names[i], text.ptr, text.length) == 0) {
            return (enum method)i;
        }
    }
    return METHOD_OTHER;
}
